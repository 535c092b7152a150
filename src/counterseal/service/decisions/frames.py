"""Frames: parsed, judged by V1 to V6 against what is stored, stamped and appended."""

from __future__ import annotations

import msgspec

from counterseal.protocol.errors import NotAuthorised, NotFound, Refused
from counterseal.protocol.frame import (
    BODY_MAX,
    Authenticated,
    WindowPlace,
    check_posting,
    received_part,
)
from counterseal.protocol.stamp import message_digest
from counterseal.protocol.window import Label
from counterseal.service import mls
from counterseal.service.store.interface import SEQ_MAX, Transaction
from counterseal.service.store.rows import (
    StoredConversation,
    StoredEvent,
    StoredStamp,
    StoredWindow,
)
from counterseal.wire.events import FRAME

_LABELS_KEPT = 20_000


class ParsedFrame(msgspec.Struct, frozen=True):
    """A PrivateMessage with what it says in the open."""

    body: bytes
    epoch: int
    authenticated: Authenticated


class Appended(msgspec.Struct, frozen=True):
    """What became of a batch: stamps `(n, time)` of the frames before the first refused one.

    `events` are the new ones; a frame that was there already has its first stamp and no event.
    """

    conversation: StoredConversation
    stamps: list[tuple[int, int]]
    events: list[StoredEvent]
    refused: Refused | None


class LabelCache:
    """Windows' labels by the window's `no`, decoded once: they never change.

    For the store's one writer alone.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Label] = {}

    def of(self, tables: Transaction, no: int) -> Label:
        """A window's label."""
        label = self._kept.get(no)
        if label is None:
            if len(self._kept) >= _LABELS_KEPT:
                self._kept.clear()
            label = self._kept[no] = Label.decode(tables.windows.seal(no).label)
        return label


class _OpenWindow(msgspec.Struct):
    """A window while a batch is judged; `next_seq` moves on."""

    window: StoredWindow
    label: Label
    next_seq: int
    logged: bool


class _Batch(msgspec.Struct, frozen=True):
    """What the frames of one batch are judged against, and what they have made so far."""

    conversation: StoredConversation
    device: bytes
    now: int
    windows: dict[bytes, _OpenWindow | None]
    events: list[StoredEvent]


def parse(
    conversation: bytes, messages: tuple[bytes, ...]
) -> tuple[list[ParsedFrame], Refused | None]:
    """The frames up to the first that cannot be read, and what is wrong with that one."""
    frames: list[ParsedFrame] = []
    for body in messages:
        try:
            frames.append(_parse_one(conversation, body))
        except Refused as error:
            return frames, error
    return frames, None


def append(
    tables: Transaction,
    labels: LabelCache,
    now: int,
    conversation: bytes,
    device: bytes,
    frames: list[ParsedFrame],
) -> Appended:
    """Every frame up to the first that is refused, stamped with `now` (seconds) and appended.

    Raises `NotFound` "conversation", `NotAuthorised` "not-a-member".
    """
    batch = _Batch(_sendable(tables, conversation, device), device, now, {}, [])
    stamps: list[tuple[int, int]] = []
    refused = None
    for frame in frames:
        window = _window(tables, labels, batch.windows, frame.authenticated.window_id)
        try:
            stamps.append(_append_one(tables, batch, window, frame))
        except Refused as error:
            refused = error
            break

    for window in batch.windows.values():
        if window is not None and window.next_seq != window.window.next_seq:
            tables.windows.set_next_seq(window.window.no, window.next_seq)
    if batch.events:
        tables.conversations.set_last_n(batch.conversation.no, batch.events[-1].n)
    return Appended(batch.conversation, stamps, batch.events, refused)


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


def _sendable(tables: Transaction, conversation: bytes, device: bytes) -> StoredConversation:
    found = tables.conversations.find_for_sender(conversation, device)
    if found is None:
        raise NotFound("There is no such conversation here.", code="conversation")
    if not found.member or not found.active:
        raise NotAuthorised("This device is not in the conversation.", code="not-a-member")
    return found.conversation


def _append_one(
    tables: Transaction, batch: _Batch, window: _OpenWindow | None, frame: ParsedFrame
) -> tuple[int, int]:
    authenticated, conversation = frame.authenticated, batch.conversation

    # the same bytes again get the first stamp again
    if window is not None and authenticated.seq < window.next_seq:
        first = tables.windows.find_stamp(window.window.no, authenticated.seq)
        if first is not None and first.digest == message_digest(frame.body):
            return first.n, first.time

    n = conversation.last_n + len(batch.events) + 1
    known = None
    if window is not None:
        _check_current(conversation, window, authenticated)
        known = WindowPlace(window.label, window.next_seq, conversation.epoch, n)
    stamp = check_posting(authenticated, frame.body, known, batch.device, frame.epoch, batch.now)

    assert window is not None
    event = StoredEvent(n, FRAME, batch.now, frame.body)
    tables.conversations.append(conversation.no, event)
    row = StoredStamp(n, stamp.message_digest, batch.now)
    tables.windows.add_stamp(window.window.no, authenticated.seq, row)
    batch.events.append(event)
    window.next_seq += 1
    return n, batch.now


def _check_current(
    conversation: StoredConversation, open_window: _OpenWindow, authenticated: Authenticated
) -> None:
    window = open_window.window
    if open_window.logged:
        raise Refused(
            "V3", "The period's root is in the log; nothing is added to it. Open a new window."
        )
    if window.conversation != conversation.no or window.seal_digest != authenticated.seal_digest:
        raise Refused(
            "V1",
            "The frame's window is another conversation's, or its counterseal another than the"
            " stored one.",
        )
    if (window.charter, window.keyset) != (conversation.charter, conversation.keyset):
        raise Refused(
            "L1", "The conversation has moved on to another charter or keyset; open a new window."
        )
    if window.roster_epoch != conversation.roster_epoch:
        raise Refused(
            "L6",
            "The conversation's roster has changed since the window was opened; open a new one.",
        )
    if authenticated.seq > SEQ_MAX:
        raise Refused("V2", "The window is full; open a new one.")


def _window(
    tables: Transaction,
    labels: LabelCache,
    windows: dict[bytes, _OpenWindow | None],
    window_id: bytes,
) -> _OpenWindow | None:
    if window_id not in windows:
        found = tables.windows.find_open(window_id)
        windows[window_id] = None
        if found is not None:
            window, logged = found
            label = labels.of(tables, window.no)
            windows[window_id] = _OpenWindow(window, label, window.next_seq, logged)
    return windows[window_id]
