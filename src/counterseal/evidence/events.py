"""The ledger's story of one warrant, told again: each leaf opened and proved, each statement judged
by the rules every holder uses.

A leaf's time is its tick's, and a tick's time is in the tick's first leaf; so both are in the
bag. The ledger's other leaves stay shut: the fold below therefore knows of this warrant alone,
which is enough for order, signers, roles, bodies, scope and releases.

| rule | finds |
| --- | --- |
| B8 | a ledger event that is not under the ledger's checkpoint, or does not open to its statement |
| B9 | events that are missing or stand in the wrong order: request, approval, listing, |
|    | custodians' releases, witnesses' releases |
| B10 | a warrant, approval, ratification, cancellation, listing or release that its charter does |
|     | not admit: signer, role, body, grounds, caps, expiry, opener's key |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from counterseal.evidence.bag import Bag
from counterseal.evidence.findings import Findings
from counterseal.evidence.logged import Logged, decode_file, prove
from counterseal.evidence.records import BagEvents, LedgerEvent
from counterseal.protocol.access import Access, check_released
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.approval import Replacement
from counterseal.protocol.decision import VerifiedWarrant, decide
from counterseal.protocol.errors import CountersealError, Refused
from counterseal.protocol.export import check_export
from counterseal.protocol.ledger_leaf import STATEMENT_MAX, Opening, TickRecord
from counterseal.protocol.ledger_statement import LedgerStatement
from counterseal.protocol.record import Record
from counterseal.protocol.release import Listing
from counterseal.protocol.warrant import Warrant
from counterseal.tlog.ledger import Schedule

_WHERE = "data/ledger/events.cbor"
# What the fold refuses because something else had to come before it: these are faults of order
# (B9), all others of content (B10).
_ORDER = {"W15", "R7", "R9", "R10"}


class WarrantStory(msgspec.Struct, frozen=True):
    """A warrant whose listings both quorums released. `released_at` gives each listing's first
    release by a witness (Unix seconds).
    """

    verified: VerifiedWarrant
    listings: dict[bytes, Listing]
    released_at: dict[bytes, int]
    time: int

    @property
    def windows(self) -> dict[bytes, bytes]:
        """Window id to the digest of its listing."""
        return {
            window: digest
            for digest, listing in self.listings.items()
            for window in listing.windows
        }


def concerned(record: Record, warrants: set[bytes]) -> bool:
    """Whether a ledger statement is about one of these warrants: the statements that a bag has to
    hold.
    """
    if isinstance(record, Warrant):
        return record.digest() in warrants
    named = {getattr(record, "warrant_digest", None), getattr(record, "successor_digest", None)}
    return not named.isdisjoint(warrants)


def with_predecessors(statements: list[Record], warrant: bytes) -> set[bytes]:
    """The warrant's digest, and those of the warrants that it replaced."""
    family = {warrant}
    for record in reversed(statements):
        if isinstance(record, Replacement) and record.successor_digest in family:
            family.add(record.warrant_digest)
    return family


def read_story(bag: Bag, logged: Logged, warrant: bytes, findings: Findings) -> WarrantStory | None:
    """Replays the events. None, and a fault, unless the warrant (by digest) ran and both quorums
    released a listing of it.
    """
    file = decode_file(bag, "ledger/events.cbor", BagEvents, findings)
    state, verified = AccessState(logged.rules.rulebook()), None
    for time, statement in _timed(file.events if file else (), logged, findings):
        with findings.under("B8", _WHERE):
            outcome = state.apply(time, statement)
            if outcome.rule is not None:
                rule = "B9" if outcome.rule in _ORDER else "B10"
                findings.fault(
                    rule,
                    _WHERE,
                    f"{_kind(outcome.kind)} {outcome.digest.hex()[:16]}: {outcome.message}"
                    f" [{outcome.rule}]",
                )
            elif outcome.kind.endswith("/release") and warrant in state.accesses:
                with findings.under("B10", _WHERE):
                    verified = decide(state, warrant, time)
    return _story(bag, state, verified, warrant, findings)


def _story(
    bag: Bag,
    state: AccessState,
    verified: VerifiedWarrant | None,
    warrant: bytes,
    findings: Findings,
) -> WarrantStory | None:
    access = state.accesses.get(warrant)
    if access is None:
        findings.fault(
            "B9",
            _WHERE,
            "the ledger's request of the warrant in data/order/warrant.cose is missing.",
        )
        return None
    if access.approved_at is None and not access.warrant.urgent:
        findings.fault("B9", _WHERE, "the approval of the warrant is missing.")
    with findings.under("B10", _WHERE):
        check_export(state, warrant, state.time)
    if not access.listings:
        findings.fault("B9", _WHERE, "there is no listing of the warrant.")
    if verified is None:
        findings.fault("B9", _WHERE, "there is no release of the warrant's windows.")
        return None
    listings = _released(bag, access, verified, findings)
    verified = msgspec.structs.replace(verified, access=access)
    return WarrantStory(
        verified,
        listings,
        {digest: _witnessed(access, verified, digest) for digest in listings},
        state.time,
    )


def _released(
    bag: Bag, access: Access, verified: VerifiedWarrant, findings: Findings
) -> dict[bytes, Listing]:
    """The listings that both quorums released. One that is not released yet is no fault, unless the
    bag has shares of it.
    """
    listings: dict[bytes, Listing] = {}
    for digest, listing in access.listings:
        try:
            listings[digest] = check_released(access, digest, verified.charter)
        except Refused as error:
            sentence = f"listing {listing.number}: {error.message} [{error.code}]"
            if any(name.startswith(f"shares/{listing.number}-") for name in bag.names("shares")):
                findings.fault("B9", _WHERE, sentence)
            else:
                findings.remark(f"The ledger's {sentence}")
    return listings


def _witnessed(access: Access, verified: VerifiedWarrant, listing: bytes) -> int:
    witnesses = verified.charter.tree.witness_positions()
    return min(
        one.time
        for one in access.releases
        if one.release.position in witnesses and one.release.listing_digest == listing
    )


def _timed(
    events: tuple[LedgerEvent, ...], logged: Logged, findings: Findings
) -> Iterator[tuple[int, bytes]]:
    """The statements in order with their ticks' times; each leaf is proved on the way."""
    tick: TickRecord | None = None
    before = -1
    for event in events:
        where = f"{_WHERE}, leaf {event.index}"
        if event.index <= before:
            findings.fault("B9", where, "the events are not in the ledger's order.")
        before = event.index
        with findings.under("B8", where):
            prove(
                logged.ledger, Opening(event.salt, event.statement).leaf(), event.index, event.path
            )
        record = _tick_record(event.statement)
        if record is not None:
            tick = _check_tick(record, event.index, tick, logged.schedule, findings)
        elif tick is None or not _within(event.index, tick, logged.schedule):
            findings.fault(
                "B8", where, "the record of its tick is missing, so that it has no time."
            )
            yield tick.time if tick else 0, event.statement
        else:
            yield tick.time, event.statement


def _tick_record(statement: bytes) -> TickRecord | None:
    try:
        return TickRecord.decode(statement)
    except CountersealError:
        # any other statement; what it is, is asked of it next
        return None


def _check_tick(
    record: TickRecord,
    index: int,
    before: TickRecord | None,
    schedule: Schedule,
    findings: Findings,
) -> TickRecord:
    if schedule.first_leaf(record.number) != index:
        findings.fault(
            "B8",
            f"{_WHERE}, leaf {index}",
            f"the record of tick {record.number} is not that tick's first leaf.",
        )
    if before is not None and record.time < before.time:
        findings.fault(
            "B8", f"{_WHERE}, leaf {index}", "the tick's time is before the one before it."
        )
        return msgspec.structs.replace(record, time=before.time)
    return record


def _within(index: int, tick: TickRecord, schedule: Schedule) -> bool:
    return schedule.first_leaf(tick.number) < index < schedule.first_leaf(tick.number + 1)


def _kind(tag: str) -> str:
    return tag.rpartition("/")[2] or "a statement"


def check_order_files(bag: Bag, statements: Mapping[str, bytes], findings: Findings) -> None:
    """The files in `data/order/` are the ledger's statements of the warrant and its approval, byte
    for byte (B18).
    """
    for name in {*bag.names("order"), *(f"order/{kind}.cose" for kind in statements)}:
        kind = name.removeprefix("order/").removesuffix(".cose")
        with findings.under("B18", f"data/{name}"):
            if bag.read(name, STATEMENT_MAX) != statements.get(kind):
                findings.fault(
                    "B18", f"data/{name}", "this is not the statement that the ledger holds."
                )


def order_statements(bag: Bag, warrant: bytes) -> dict[str, bytes]:
    """The ledger's statements about the order itself by kind: `warrant`, `approval`,
    `ratification`. Raises as `Events.decode`.
    """
    found: dict[str, bytes] = {}
    for event in BagEvents.decode(bag.read("ledger/events.cbor", BagEvents.limit)).events:
        if _tick_record(event.statement) is not None:
            continue
        record = LedgerStatement.decode(event.statement).record
        kind = _kind(record.tag())
        if kind in ("warrant", "approval", "ratification") and concerned(record, {warrant}):
            found[kind] = event.statement
    return found
