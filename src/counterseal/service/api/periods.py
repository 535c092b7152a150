"""Period roots, and the proof of one frame under its period's root."""

from __future__ import annotations

from counterseal.protocol.cbor import encode, tag
from counterseal.protocol.errors import NotAuthorised, NotFound
from counterseal.service.api.http import Answer, Call, DeviceCall
from counterseal.service.store import conversations, windows
from counterseal.service.store import periods as table

_PAGE = 500


async def after(call: Call) -> Answer:
    """`GET /v1/periods?after=INDEX`."""
    rows = table.after(call.service.store.reader, call.integer("after", -1), _PAGE)
    return [[row.log_index, row.record] for row in rows]


async def inclusion(call: DeviceCall) -> Answer:
    """`GET /v1/conversations/{id}/inclusion/{window_id}/{seq}`: for the conversation's devices,
    past ones included.
    """
    service, db = call.service, call.service.store.reader
    seen = conversations.get(db, call.hex("id", 16))
    if not conversations.memberships(db, seen.no, call.caller.device):
        raise NotAuthorised("This device is not in the conversation.", code="not-a-member")
    window, seq = windows.find(db, call.hex("window")), call.path_integer("seq")
    stamp = (
        windows.find_stamp(db, window.no, seq)
        if window is not None and window.conversation == seen.no
        else None
    )
    if window is None or stamp is None:
        raise NotFound("There is no such frame in this conversation.", code="frame")
    place = service.periods.window_place(window)
    return [
        encode([tag("stamp"), stamp[1], stamp[0], stamp[2]]),
        service.periods.frame_path(window, seq),
        [seq, place.frames],
        place.path,
        [place.index, place.size],
        place.row.record,
        place.row.log_index,
    ]
