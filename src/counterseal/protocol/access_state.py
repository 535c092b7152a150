"""The ledger as a fold: every warrant's life, from the statements in order and their ticks' times
(section 8).

A statement that a rule refuses has no effect; the rule is kept as the reason. Nothing here reads a
clock: time is what the ledger says, and it only moves on. What each kind of statement does is in
`warrant_statements.py` and `release_statements.py`; what a holder decides by all of it, in
`decision.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from . import release_statements, warrant_statements
from .access_fold import AccessFold
from .approval import Approval, Cancellation, Extension, Ratification, Reinstatement, Replacement
from .errors import Refused
from .ledger_statement import LedgerStatement
from .record import Record
from .release import Listing, Release
from .report import Destruction, OpeningReport
from .trusted_rules import Rulebook
from .warrant import Warrant


class Outcome(msgspec.Struct, frozen=True):
    """What one statement did: nothing, for the `rule` named, or (None) what its kind says."""

    time: int
    kind: str
    digest: bytes
    rule: str | None
    message: str


class AccessState(AccessFold):
    """The fold. `apply` every statement of the ledger in order; then ask `decision.py`."""

    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__(rulebook)
        self.outcomes: list[Outcome] = []

    def apply(self, time: int, data: bytes) -> Outcome:
        """Takes in one statement at its tick's `time` (seconds). A statement that is refused has no
        effect and is an outcome, not an exception. Raises `BadInput` if time runs backwards."""
        self.advance(time)
        kind, digest, rule, message = "", b"", None, "taken"
        try:
            received = LedgerStatement.decode(data)
            kind, digest = received.record.tag(), received.record.digest()
            _HANDLERS[type(received.record)](self, time, received)
        except Refused as error:
            rule, message = error.rule, error.message
        outcome = Outcome(time, kind, digest, rule, message)
        self.outcomes.append(outcome)
        return outcome


_HANDLERS: dict[type[Record], Callable[[AccessFold, int, LedgerStatement], None]] = {
    Warrant: warrant_statements.take_request,
    Approval: warrant_statements.take_approval,
    Ratification: warrant_statements.take_ratification,
    Cancellation: warrant_statements.take_cancellation,
    Replacement: warrant_statements.take_replacement,
    Extension: warrant_statements.take_extension,
    Reinstatement: warrant_statements.take_reinstatement,
    Listing: release_statements.take_listing,
    Release: release_statements.take_release,
    OpeningReport: release_statements.take_report,
    Destruction: release_statements.take_destruction,
}
