"""A conversation's history as a person reads it. What each state means is in states.py."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from counterseal.client.states import MessageState
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.store.messages import MessageRow, NewMessage
from counterseal.protocol.frame import Attachment


class MessageCounts(msgspec.Struct, frozen=True):
    """How many messages of others and of one's own (`sent` and `queued`) are in each state."""

    shown: int
    sent: int
    queued: int
    pending: int
    refused: int


class HistoryEntry(msgspec.Struct, frozen=True):
    """One row for display. `sender` is empty for the app's own lines; texts are as they came, not
    yet safe for a terminal.
    """

    number: int
    n: int | None
    state: MessageState
    kind: str
    sender: str
    mine: bool
    sent_at_ms: int | None
    text: str
    rule: str | None
    gap: int
    attachments: tuple[Attachment, ...]


def counts(store: DeviceStore, conversation: bytes | None = None) -> MessageCounts:
    """The counts of one conversation, or of all."""
    by_state = store.messages.counts(conversation)
    return MessageCounts(
        shown=by_state.get(MessageState.SHOWN, 0),
        sent=by_state.get(MessageState.SENT, 0),
        queued=by_state.get(MessageState.QUEUED, 0),
        pending=by_state.get(MessageState.PENDING, 0),
        refused=by_state.get(MessageState.REFUSED, 0),
    )


def entries(
    store: DeviceStore, conversation: bytes, after: int = 0, limit: int = 1000
) -> list[HistoryEntry]:
    """Rows with a number over `after`, in the order in which they were taken in; pending ones among
    them without their text.
    """
    return _entries(store, store.messages.after(conversation, after, limit))


def search(store: DeviceStore, words: str, limit: int = 100) -> list[HistoryEntry]:
    """Messages that were shown or sent and contain all of `words`, newest first."""
    return _entries(store, store.messages.search(words, limit))


def acknowledge(store: DeviceStore, message: int, n: int, stamp: int) -> None:
    """Marks one's own message as sent, however one learnt it: by the answer or by seeing it among
    the events.
    """
    store.messages.set_sent(message, n, stamp)
    store.outbox.remove(message)


def refuse(store: DeviceStore, conversation: bytes, n: int, stamp: int, rule: str) -> None:
    """Notes that frame `n` was refused by `rule`. What it said is not kept: nobody vouches for
    it.
    """
    store.messages.add(
        NewMessage(conversation, MessageState.REFUSED, "frame", n=n, stamp=stamp, rule=rule)
    )


def _entries(store: DeviceStore, rows: Iterable[MessageRow]) -> list[HistoryEntry]:
    me = store.settings.account
    return [_entry(store, row, me) for row in rows]


def _entry(store: DeviceStore, row: MessageRow, me: bytes | None) -> HistoryEntry:
    pending = row.state is MessageState.PENDING
    return HistoryEntry(
        number=row.number,
        n=row.n,
        state=row.state,
        kind=row.kind,
        sender=row.handle,
        mine=row.account == me,
        sent_at_ms=row.sent_at_ms,
        text="" if pending else row.text,
        rule=row.rule,
        gap=row.gap,
        attachments=() if pending else store.messages.attachments(row.number),
    )
