"""Frames: parsed, judged by V1 to V6, stamped, and appended durably before the sender hears of
it.
"""

from __future__ import annotations

from typing import Annotated

import apsw
import msgspec
from msgspec import Meta

from counterseal.protocol.errors import Refused
from counterseal.protocol.frame import (
    BODY_MAX,
    Authenticated,
    WindowPlace,
    check_posting,
    received_part,
)
from counterseal.protocol.record import Part
from counterseal.protocol.stamp import message_digest
from counterseal.protocol.window import Label
from counterseal.service import mls
from counterseal.service.api.http import Answer, DeviceCall
from counterseal.service.delivery import FRAME, Event
from counterseal.service.store import conversations, windows
from counterseal.service.store.conversations import Conversation
from counterseal.service.store.windows import Window

LIMIT = 64 * (BODY_MAX + 16) + 16
"""Bytes of a posted batch: 64 frames."""
_LABELS_KEPT = 20_000


class Batch(Part, frozen=True):
    """`[[message, ...]]`."""

    messages: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=64)]


class ParsedFrame(msgspec.Struct, frozen=True):
    """A PrivateMessage with what it says in the open."""

    body: bytes
    epoch: int
    authenticated: Authenticated


class Appended(msgspec.Struct, frozen=True):
    """What became of a batch: a stamp `[n, time]` each for the frames before the first refused one,
    and the new events.
    """

    number: int
    conversation: bytes
    stamps: list[list[int]]
    refused: list[str] | None
    events: list[Event]


class _Place(msgspec.Struct):
    """A window while a batch is judged; `next_seq` moves on."""

    window: Window
    label: Label
    next_seq: int
    logged: bool


async def post(call: DeviceCall) -> Answer:
    """`POST /v1/conversations/{id}/frames`."""
    service, conversation, device = call.service, call.hex("id", 16), call.caller.device
    frames, refused = _parse(conversation, call.decode(Batch).messages)

    def job(db: apsw.Connection) -> Appended:
        return _append(db, service.labels, service.clock.now(), conversation, device, frames)

    def publish(appended: Appended) -> None:
        service.hub.publish(appended.number, appended.conversation, appended.events)

    appended = await service.store.write("frames", job, publish)
    return [appended.stamps, appended.refused or refused]


def _parse(
    conversation: bytes, messages: tuple[bytes, ...]
) -> tuple[list[ParsedFrame], list[str] | None]:
    """The frames up to the first that cannot be read, and what is wrong with that one."""
    frames: list[ParsedFrame] = []
    for body in messages:
        try:
            frames.append(_parse_one(conversation, body))
        except Refused as error:
            return frames, [error.code, error.message]
    return frames, None


def _parse_one(conversation: bytes, body: bytes) -> ParsedFrame:
    if len(body) > BODY_MAX:
        raise Refused(
            "V6",
            f"The message has {len(body)} bytes where {BODY_MAX} are allowed; send a blob instead.",
        )
    group, epoch, data = mls.parse_private(body)
    if group != conversation:
        raise Refused("F1", "The message belongs to another conversation than it was posted to.")
    return ParsedFrame(body, epoch, received_part(Authenticated, data))


def _append(
    db: apsw.Connection,
    labels: dict[int, Label],
    now: int,
    conversation: bytes,
    device: bytes,
    frames: list[ParsedFrame],
) -> Appended:
    """The writer's part: every frame judged against what is stored at this moment."""
    seen = conversations.get_for_sender(db, conversation, device)
    places: dict[bytes, _Place | None] = {}
    done = Appended(seen.no, conversation, [], None, [])
    for frame in frames:
        place = _place(db, labels, places, frame.authenticated.window_id)
        try:
            done.stamps.append(_append_one(db, seen, place, frame, device, now, done.events))
        except Refused as error:
            done = msgspec.structs.replace(done, refused=[error.code, error.message])
            break
    for place in places.values():
        if place is not None and place.next_seq != place.window.next_seq:
            windows.set_next_seq(db, place.window.no, place.next_seq)
    if done.events:
        conversations.set_last_n(db, seen.no, done.events[-1].n)
    return done


def _append_one(
    db: apsw.Connection,
    seen: Conversation,
    place: _Place | None,
    frame: ParsedFrame,
    device: bytes,
    now: int,
    events: list[Event],
) -> list[int]:
    authenticated = frame.authenticated
    if place is not None and authenticated.seq < place.next_seq:
        first = windows.find_stamp(db, place.window.no, authenticated.seq)
        if first is not None and first[1] == message_digest(frame.body):
            return [first[0], first[2]]  # the same bytes again get the first stamp again
    if place is not None:
        _check_current(seen, place, authenticated)
    n = seen.last_n + len(events) + 1
    known = None if place is None else WindowPlace(place.label, place.next_seq, seen.epoch, n)
    stamp = check_posting(authenticated, frame.body, known, device, frame.epoch, now)
    assert place is not None
    events.append(conversations.append(db, seen.no, n, FRAME, now, frame.body))
    windows.stamp(db, place.window.no, authenticated.seq, n, stamp.message_digest, now)
    place.next_seq += 1
    return [n, now]


def _check_current(seen: Conversation, place: _Place, authenticated: Authenticated) -> None:
    window = place.window
    if place.logged:
        raise Refused(
            "V3", "The period's root is in the log; nothing is added to it. Open a new window."
        )
    if window.conversation != seen.no or window.seal_digest != authenticated.seal_digest:
        raise Refused(
            "V1",
            "The frame's window is another conversation's, or its counterseal another than the stored one.",
        )
    if (window.charter, window.keyset) != (seen.charter, seen.keyset):
        raise Refused(
            "L1", "The conversation has moved on to another charter or keyset; open a new window."
        )
    if window.roster_epoch != seen.roster_epoch:
        raise Refused(
            "L6",
            "The conversation's roster has changed since the window was opened; open a new one.",
        )
    if authenticated.seq > windows.SEQ_MAX:
        raise Refused("V2", "The window is full; open a new one.")


def _place(
    db: apsw.Connection,
    labels: dict[int, Label],
    places: dict[bytes, _Place | None],
    window_id: bytes,
) -> _Place | None:
    if window_id not in places:
        found = windows.find_open(db, window_id)
        places[window_id] = None
        if found is not None:
            window, logged = found
            places[window_id] = _Place(
                window, _label(db, labels, window.no), window.next_seq, logged
            )
    return places[window_id]


def _label(db: apsw.Connection, labels: dict[int, Label], number: int) -> Label:
    """A window's label, decoded once: labels never change. The cache is the writer thread's
    alone.
    """
    label = labels.get(number)
    if label is None:
        if len(labels) >= _LABELS_KEPT:
            labels.clear()
        label = labels[number] = Label.decode(windows.seal(db, number).label)
    return label
