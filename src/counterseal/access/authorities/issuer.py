"""The issuer: drafts, signs and submits a warrant, approves somebody else's, and follows what
becomes of it.

A warrant's period is made whole outward, and what that adds is said. Nothing here opens or releases
anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from counterseal.access.common import signing
from counterseal.access.common.clock import Clock, real_clock
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient, post_statement
from counterseal.access.common.ledger_copy import Fresh, LedgerCopy
from counterseal.access.common.rules import Rules
from counterseal.describe.phrases import names, when
from counterseal.describe.status import WarrantStatus, warrant_status
from counterseal.protocol.access import Access
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.approval import (
    Approval,
    Cancellation,
    Extension,
    Ratification,
    Reinstatement,
)
from counterseal.protocol.calendars import DAY
from counterseal.protocol.charter import Charter
from counterseal.protocol.cose import ReceivedSign, sign
from counterseal.protocol.errors import BadInput, NotFound, Refused
from counterseal.protocol.ledger_statement import LedgerStatement
from counterseal.protocol.record import Record
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.protocol.warrant import Warrant, check_warrant

WEEK = 7 * DAY


class Draft(msgspec.Struct, frozen=True):
    """A warrant that fits the charter, and sentences about what was rounded or limited on the
    way.
    """

    warrant: Warrant
    notes: tuple[str, ...]


class IssuerLedger:
    """An issuer's view: rules and ledger, read with this home's reader key."""

    def __init__(
        self, home: InstitutionHome, service: InstitutionClient, clock: Clock = real_clock
    ) -> None:
        self.home, self.service, self.clock = home, service, clock
        self.rules = Rules(home, clock)
        self.copy = LedgerCopy(self.rules, clock)

    def sync(self) -> Fresh:
        """The whole ledger up to a cosigned checkpoint no older than the charter's rule."""
        self.rules.sync(self.service)
        return self.copy.sync(self.service, self.rules.in_force().charter.ledger.fresh_online)

    def status(self, digest: bytes) -> WarrantStatus:
        """What the newest ledger says of a warrant. Raises `Refused` as `warrant_status`."""
        fresh = self.sync()
        return warrant_status(fresh.state, digest, fresh.time)

    def charter(self) -> VerifiedCharter:
        """The charter in force."""
        self.rules.sync(self.service)
        return self.rules.in_force()


def draft(
    charter: VerifiedCharter,
    accounts: Sequence[bytes],
    start: int,
    until: int,
    ground: str,
    *,
    direction: str = "sent",
    conversations: Sequence[bytes] | None = None,
    urgent: bool = False,
    units: int | None = None,
    opener: str | None = None,
    expires: int | None = None,
    reference: str = "",
    now: int | None = None,
) -> Draft:
    """A warrant for messages of `accounts` (ids, 32 bytes each) in `[start, until)`, seconds.
    Raises `Refused` W3 to W20.

    Unless given, `units` are one for each account and period, at most the charter's cap; `expires`
    is 30 days from now, or after the period if that is later.
    """
    rules, issued = charter.charter, real_clock() if now is None else now
    whole, notes = whole_periods(start, until, rules.period_length)
    needed = len(set(accounts)) * ((whole[1] - whole[0]) // rules.period_length)
    declared = min(needed, rules.caps.units_30_days) if units is None else units
    if direction not in ("sent", "conversation"):
        raise BadInput(f'The direction is "sent" or "conversation", not {direction!r}.')
    if declared < needed or direction == "conversation":
        notes.append(_units_note(declared, needed, direction))
    warrant = Warrant(
        domain=rules.domain,
        charter_digest=charter.digest,
        account_ids=tuple(sorted(set(accounts))),
        start=whole[0],
        until=whole[1],
        direction="sent" if direction == "sent" else "conversation",
        conversations=None if conversations is None else tuple(sorted(set(conversations))),
        ground=ground,
        urgency="urgent" if urgent else "normal",
        units=declared,
        opener_key=_opener_key(rules, opener),
        expires=max(issued, whole[1]) + min(30, rules.caps.days_per_warrant) * DAY
        if expires is None
        else expires,
        reference=reference,
        issued=issued,
    )
    return Draft(check_warrant(warrant, rules, rules, issued), tuple(notes))


def whole_periods(start: int, until: int, length: int) -> tuple[tuple[int, int], list[str]]:
    """The whole periods around `[start, until)`, and sentences about what was added. Raises
    `BadInput` for an empty span.
    """
    if until <= start:
        raise BadInput("The period ends before it begins.")
    whole = (start // length * length, -(-until // length) * length)
    notes = []
    if whole[0] != start:
        notes.append(
            f"The beginning was moved back from {when(start)} to {when(whole[0])}: periods are "
            "whole."
        )
    if whole[1] != until:
        notes.append(
            f"The end was moved on from {when(until)} to {when(whole[1])}: periods are whole."
        )
    return whole, notes


def _units_note(declared: int, needed: int, direction: str) -> str:
    if direction == "conversation":
        return (
            f"{declared:,} units are declared; others who write in the conversations count as "
            "well, and listings stop there."
        )
    return (
        f"Every period of every account would be {needed:,} units; {declared:,} are declared, "
        "and listings stop when they are used up."
    )


def _opener_key(rules: Charter, name: str | None) -> bytes:
    found = [one for one in rules.openers if name is None or one.name == name]
    if len(found) != 1:
        there = names([one.name for one in rules.openers])
        raise BadInput(f"Name one of the charter's openers: {there}.")
    return found[0].xwing


def sign_warrant(home: InstitutionHome, warrant: Warrant) -> bytes:
    """The warrant's statement with the requester's signatures."""
    return sign([home.signer], warrant.encode())


def warrant_in(data: bytes) -> Warrant:
    """The warrant in a file, signed or not, right in form."""
    return Warrant.decode(signing.payload_of(data, Warrant.limit))


def check_statement(data: bytes, charter: VerifiedCharter, now: int | None = None) -> Warrant:
    """The warrant in a signed file, as an approver checks it: signed by a requester of the charter,
    terms within it at `now` (seconds; by default the present).

    Raises `Refused` W2 to W20.
    """
    received = LedgerStatement.decode(data)
    if not isinstance(received.record, Warrant):
        raise Refused("W2", "The file holds no signed warrant.")
    kids = received.signed.verify(charter.issuer_keys)
    if len(kids) != 1 or "requester" not in charter.issuers[kids[0]].roles:
        raise Refused(
            "W2", "The warrant is signed by exactly one issuer in role requester; this one is not."
        )
    rules, time = charter.charter, real_clock() if now is None else now
    return check_warrant(received.record, rules, rules, time)


def approve(home: InstitutionHome, warrant: Warrant, now: int | None = None) -> bytes:
    """An approver's statement: an approval, or for an urgent warrant a ratification."""
    kind = Ratification if warrant.urgent else Approval
    time = real_clock() if now is None else now
    return sign(
        [home.signer], kind(warrant.domain, warrant.charter_digest, warrant.digest(), time).encode()
    )


def cancel(home: InstitutionHome, warrant: Warrant, reason: str, now: int | None = None) -> bytes:
    """A cancellation by the warrant's requester or an approver."""
    time = real_clock() if now is None else now
    return sign(
        [home.signer],
        Cancellation(
            warrant.domain, warrant.charter_digest, warrant.digest(), reason, time
        ).encode(),
    )


def extend(home: InstitutionHome, warrant: Warrant, number: int, now: int | None = None) -> bytes:
    """An extension of the notices' delay with this issuer's signatures; the other one adds theirs
    with `countersign`.
    """
    time = real_clock() if now is None else now
    return sign(
        [home.signer],
        Extension(warrant.domain, warrant.charter_digest, warrant.digest(), number, time).encode(),
    )


def reinstate(
    home: InstitutionHome, charter: VerifiedCharter, requester: bytes, now: int | None = None
) -> bytes:
    """An approver lets the requester with this kid start urgent warrants again."""
    time = real_clock() if now is None else now
    return sign(
        [home.signer],
        Reinstatement(charter.charter.domain, charter.digest, requester, time).encode(),
    )


def countersign(home: InstitutionHome, statement: bytes) -> bytes:
    """The statement with this issuer's signatures added."""
    return signing.add(statement, home.signer, Extension.limit)


def submit(service: InstitutionClient, *statements: bytes) -> None:
    """Puts statements into the ledger's queue, in order. Whether they have an effect the ledger
    says: `status`.
    """
    for statement in statements:
        post_statement(service, statement)


def why_void(state: AccessState, statement: bytes) -> str | None:
    """Why a statement that stands in the ledger has no effect, or None if it has, or is not
    there.
    """
    digest = LedgerStatement.decode(statement).record.digest()
    found = [outcome for outcome in state.outcomes if outcome.digest == digest]
    return f"{found[0].rule}: {found[0].message}" if found and found[0].rule is not None else None


def record_of(statement: bytes, limit: int = 1 << 20) -> tuple[Record, tuple[bytes, ...]]:
    """The record in a statement and who is said to have signed it."""
    return LedgerStatement.decode(statement).record, ReceivedSign.decode(statement, limit).kids


def find(fresh: Fresh, text: str) -> Access:
    """The warrant whose digest begins with `text` (hexadecimal). Raises `NotFound` or
    `BadInput`.
    """
    found = [
        access
        for digest, access in fresh.state.accesses.items()
        if digest.hex().startswith(text.lower())
    ]
    if not found:
        raise NotFound(f"The ledger has no warrant {text}.")
    if len(found) > 1:
        raise BadInput(f"{text} is the beginning of {len(found)} warrants; write more of it.")
    return found[0]
