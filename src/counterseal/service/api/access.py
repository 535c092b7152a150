"""What holders, openers and issuers fetch and hand over under a warrant. Nothing here opens
anything.
"""

from __future__ import annotations

from typing import Annotated, Any

import apsw
from msgspec import Meta

from counterseal.protocol.access_state import Access
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.errors import NotAuthorised, NotFound, Refused
from counterseal.protocol.record import Part
from counterseal.protocol.release import Listing, SealedShares
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service.api.http import Answer, Call, InstitutionCall
from counterseal.service.store import access as table
from counterseal.service.store import conversations, windows
from counterseal.service.store.access import ListingRow, SharesRow
from counterseal.service.store.windows import Window

_PAGE = 100


class Posted(Part, frozen=True):
    """`[sealed-shares, COSE_Sign by their holder]`."""

    statement: Annotated[bytes, Meta(max_length=SealedShares.limit + 8_192)]


async def listings(call: InstitutionCall) -> Answer:
    """`GET /v1/warrants/{digest}/listings`."""
    rows = table.listings(call.service.store.reader, call.hex("digest"))
    return [[row.number, row.digest, row.windows] for row in rows]


async def for_holder(call: InstitutionCall) -> Answer:
    """`GET /v1/warrants/{digest}/listings/{n}/holder/{position}`: all that this holder needs to
    decide, and its own sealed shares.
    """
    row, position = _listing(call), call.path_integer("position")
    await _require_holder(call, position)
    return [row.record, [_holder_row(call, window, position) for window in _windows(call, row)]]


async def material(call: InstitutionCall) -> Answer:
    """`GET /v1/warrants/{digest}/listings/{n}/material`: for openers and issuers,
    `?after=I&limit=M` in the listing's order.
    """
    row = _listing(call)
    _require_opener_or_issuer(call)
    after, limit = (
        max(0, call.integer("after", 0)),
        min(max(1, call.integer("limit", _PAGE)), _PAGE),
    )
    return [_material_row(call, window) for window in _windows(call, row)[after : after + limit]]


async def post_shares(call: Call) -> Answer:
    """`POST /v1/warrants/{digest}/shares`: signed by the holder, whoever carries them, once its
    release is in the ledger (R10).

    The signature is what keeps anybody else from taking the holder's place with shares that do not
    open.
    """
    service, warrant = call.service, call.hex("digest")
    statement = ReceivedSign.decode(call.decode(Posted).statement, SealedShares.limit)
    data = statement.payload
    record = SealedShares.decode(data)
    if record.warrant_digest != warrant:
        raise Refused("R11", "The shares are of another warrant than the address says.")
    holder = (await _charter(call)).check_holder(record.position)
    statement.verify({holder.kid: holder})
    if record.position not in (await _access(call)).released_by(record.listing_digest):
        raise Refused(
            "R10", "This holder's release is not in the ledger yet; it comes before the shares."
        )

    def job(db: apsw.Connection) -> None:
        table.add_shares(db, warrant, SharesRow(record.listing_digest, record.position, data))

    await service.store.write("shares", job)
    return []


async def shares(call: InstitutionCall) -> Answer:
    """`GET /v1/warrants/{digest}/shares`: sealed to the opener's key, so of use to nobody else."""
    return [[row.sealed for row in table.shares(call.service.store.reader, call.hex("digest"))]]


async def _access(call: Call) -> Access:
    state = await call.service.ledger.current()
    if state is None:
        raise NotFound("The ledger has no such warrant.", code="warrant")
    return state.access(call.hex("digest"))


async def _charter(call: Call) -> VerifiedCharter:
    """The charter that the warrant names: its holders are the ones."""
    return call.service.charters.charter((await _access(call)).warrant.charter_digest).verified


def _listing(call: InstitutionCall) -> ListingRow:
    number = call.path_integer("n")
    for row in table.listings(call.service.store.reader, call.hex("digest")):
        if row.number == number:
            return row
    raise NotFound("The warrant has no such listing.", code="listing")


async def _require_holder(call: InstitutionCall, position: int) -> None:
    if (await _charter(call)).check_holder(position).kid != call.caller.kid:
        raise NotAuthorised("A holder fetches for its own position alone.", code="other-holder")


def _require_opener_or_issuer(call: InstitutionCall) -> None:
    in_force = call.service.charters.in_force.charter
    allowed = {one.key.kid for one in in_force.openers} | {one.key.kid for one in in_force.issuers}
    if call.caller.kid not in allowed:
        raise NotAuthorised(
            "This is for openers and issuers of the charter in force.", code="not-an-opener"
        )


def _windows(call: InstitutionCall, row: ListingRow) -> list[Window]:
    found = [
        windows.find(call.service.store.reader, window_id)
        for window_id in Listing.decode(row.record).windows
    ]
    return [window for window in found if window is not None]


def _holder_row(call: InstitutionCall, window: Window, position: int) -> list[Any]:
    records = windows.seal(call.service.store.reader, window.no)
    sealed = Counterseal.decode(records.counterseal).sealed[position]
    place = call.service.periods.window_place(window)
    return [
        records.label,
        records.roster,
        sealed.plain() if sealed is not None else None,
        window.seal_digest,
        place.proof(),
        place.row.record,
        place.row.log_index,
    ]


def _material_row(call: InstitutionCall, window: Window) -> list[Any]:
    db = call.service.store.reader
    records = windows.seal(db, window.no)
    place = call.service.periods.window_place(window)
    frames = [[n, time, _message(call, window, n)] for n, _, time in windows.stamps(db, window.no)]
    return [
        records.label,
        records.roster,
        records.counterseal,
        place.proof(),
        frames,
        place.row.record,
        place.row.log_index,
    ]


def _message(call: InstitutionCall, window: Window, n: int) -> bytes:
    [event] = conversations.events(call.service.store.reader, window.conversation, n - 1, n, 1, 1)
    return event.data
