"""The state of the fold over the ledger (section 8): warrants, barred requesters, and the checks
that several kinds of statement share.

| rule | refuses |
| --- | --- |
| W6 | an approval or ratification that is not signed by exactly one issuer in role approver; a |
|    | warrant that has none |
| W7 | an approver of the requester's own body |
| W11 | anything under a warrant that is cancelled or replaced |
| W14 | a ratification or extension after the time to ratify; anything under an urgent warrant |
|     | that lapsed |
| W15 | a statement out of order: no request before it, or the same step twice |
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from .access import Access
from .calendars import DAY
from .charter import Issuer
from .errors import BadInput, FatalError, Refused
from .ledger_statement import LedgerStatement
from .record import Record
from .trusted_rules import Rulebook
from .verified_charter import VerifiedCharter
from .warrant import Warrant, check_not_expired, check_time

R = TypeVar("R", bound=Record)
CAP_SPAN = 30 * DAY
"""Seconds over which the cap on units is counted."""


class AccessFold:
    """What the ledger's statements have come to so far, and what they are checked against. The
    modules of statements change it; readers go through `AccessState`.
    """

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self.time = 0
        self.accesses: dict[bytes, Access] = {}
        self.barred: dict[bytes, int] = {}

    def advance(self, time: int) -> None:
        """Moves to `time` without a statement: urgent warrants whose time to be ratified is over
        lapse, requesters are barred. Raises `BadInput` if time runs backwards."""
        if time < self.time:
            raise BadInput(
                f"The ledger's time went back from {self.time} to {time}; read it in order."
            )

        self.time = time
        for access in self.accesses.values():
            until = access.ratify_until
            if access.ended_at is None and until is not None and time >= until:
                self.put(access, lapsed_at=until)
                self.barred[access.requester] = until

    def access(self, digest: bytes) -> Access:
        """The warrant with this digest, as requested in the ledger. Raises `Refused` W15."""
        access = self.accesses.get(digest)
        if access is None:
            raise Refused("W15", "The ledger has no valid request of this warrant; request it.")
        return access

    def committed(self, time: int) -> int:
        """Units that count against the cap at `time`: declared ones while a warrant runs, used ones
        after its end.
        """
        total = 0
        for access in self.accesses.values():
            if (
                access.counted_at is None
                or access.replaced_by is not None
                or access.counted_at <= time - CAP_SPAN
            ):
                continue
            over = access.ended_at is not None or time >= access.warrant.expires
            total += access.used if over else access.warrant.units
        return total

    def check_running(self, digest: bytes, time: int) -> Access:
        """The access, if shares may be released under it at `time`. Raises `Refused` W6, W10, W11,
        W12, W14 or W15.
        """
        access = self.access(digest)
        if access.cancelled_at is not None:
            raise Refused("W11", f"The warrant was cancelled or replaced at {access.cancelled_at}.")

        until = access.ratify_until
        if access.lapsed_at is not None or (until is not None and time >= until):
            raise Refused("W14", f"The urgent warrant was not ratified by {access.ratify_by}.")
        if access.approved_at is None and until is None:
            raise Refused("W6", "No approver of another body has approved the warrant.")

        check_not_expired(access.warrant, time)
        self.rulebook.check_not_revoked(access.requester, access.requested_at)
        if access.approver is not None and access.approved_at is not None:
            self.rulebook.check_not_revoked(access.approver, access.approved_at)

        return access

    def put(self, access: Access, **changes: Any) -> None:
        """Replaces an access by itself with these fields changed."""
        self.accesses[access.digest] = msgspec.structs.replace(access, **changes)

    def signers(self, received: LedgerStatement, time: int) -> list[tuple[bytes, Issuer]]:
        """The issuers, by kid, that signed. Raises `Refused` W1, W12, X1, X2, X4."""
        charter = self.rulebook.in_force(time)
        kids = received.signed.verify(charter.issuer_keys)
        return [(self.rulebook.check_not_revoked(kid, time), charter.issuers[kid]) for kid in kids]

    def one_signer(
        self, received: LedgerStatement, time: int, role: str, rule: str
    ) -> tuple[bytes, Issuer]:
        """The one issuer, in this role, that signed. Raises `Refused` `rule`, and as `signers`."""
        signers = self.signers(received, time)
        if len(signers) != 1 or role not in signers[0][1].roles:
            raise Refused(rule, f"This is signed by exactly one issuer in role {role}.")
        return signers[0]

    def check_named(self, record: Any) -> VerifiedCharter:
        """The charter that a statement names. Raises `Refused` W1, or W20 for its time."""
        if record.domain != self.rulebook.domain:
            raise Refused("W1", f"The statement is of the domain {record.domain!r}.")
        if hasattr(record, "time"):
            check_time(record.time, self.rulebook.in_force(self.time).charter, self.time)
        return self.rulebook.charter(record.charter_digest)

    def of(self, record: Any) -> Access:
        """The access that a later statement names, under the same charter. Raises `Refused` W1,
        W15.
        """
        self.check_named(record)
        access = self.access(record.warrant_digest)
        if access.warrant.charter_digest != record.charter_digest:
            raise Refused("W1", "The statement names another charter than its warrant.")
        return access

    def check_other_body(self, access: Access, approver: Issuer) -> None:
        """Returns if the approver is of another body than the requester. Raises
        `Refused` W1, W7.
        """
        requester = self.rulebook.issuer(access.requester, access.requested_at)
        if requester.body == approver.body:
            raise Refused("W7", f"{approver.name!r} is of the requester's own body.")

    def check_cap(self, warrant: Warrant, time: int) -> None:
        """Returns if the warrant's units fit below the cap. Raises `Refused` W1, W8."""
        cap = self.rulebook.in_force(time).charter.caps.units_30_days
        if self.committed(time) + warrant.units > cap:
            raise Refused("W8", f"{warrant.units} more units pass the cap of {cap} in 30 days.")


def as_kind(record: Record, kind: type[R]) -> R:
    """The record again, as the kind that its function handles. Raises `FatalError` for another."""
    # the table in access_state.py sends each kind to its own function
    if not isinstance(record, kind):
        raise FatalError(f"A {record.tag()} came where a {kind.tag()} is handled: a bug.")
    return record
