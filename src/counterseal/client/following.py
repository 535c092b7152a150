"""Taking in what happens as it happens: each signal of the WebSocket leads to one thing to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from counterseal.client import joining, notices, receiving, sending, synchronising, upkeep
from counterseal.client.session import Session
from counterseal.client.states import LIVE, ConversationState
from counterseal.client.stream import EventStream, Signal, StreamConnected
from counterseal.protocol.errors import CountersealError
from counterseal.wire.socket import ClockPushed, EventsPushed, InboxPushed, NoticePushed


async def follow(
    session: Session, tick: asyncio.Lock, trouble: Callable[[CountersealError], None] | None = None
) -> AsyncIterator[Signal]:
    """Yields after each thing that was taken in, for ever. The folder is open only while something
    is processed, never while waiting.

    What cannot be taken in is told to `trouble` and tried again when the next thing comes, or at
    the next connection.
    """

    def cursors() -> list[tuple[bytes, int]]:
        with session.store() as store:
            return [(row.id, row.cursor) for row in store.conversations.all() if row.state in LIVE]

    stream = EventStream(session.service, cursors)
    session.watch = stream.watch
    try:
        async for signal in stream.signals():
            async with tick:
                try:
                    await _heed(session, stream, signal)
                except CountersealError as error:
                    if trouble is not None:
                        trouble(error)
            yield signal
    finally:
        session.watch = None


async def _heed(session: Session, stream: EventStream, signal: Signal) -> None:
    """Does what a signal asks for."""
    match signal:
        case StreamConnected():
            await synchronising.synchronise(session)
            await sending.flush_all(session)
        case EventsPushed(conversation, events):
            with session.store() as store:
                cursor = store.conversations.cursor(conversation)
            if events and events[0].n <= cursor + 1:
                await receiving.process(session, conversation, events)
            else:
                # something is missing in between: the cursor knows
                await receiving.catch_up(session, conversation)
            await upkeep.settle(session, conversation)
        case InboxPushed():
            await _heed_welcome(session, stream)
        case ClockPushed(now):
            session.hear(now)
            await synchronising.prove_pending(session)
        case NoticePushed():
            await notices.fetch(session)


async def _heed_welcome(session: Session, stream: EventStream) -> None:
    """Joins, and has the stream tell of the new conversation too."""
    await joining.take_inbox(session)
    with session.store() as store:
        rows = store.conversations.all()
    for row in rows:
        if row.state is ConversationState.ACTIVE:
            await receiving.catch_up(session, row.id)
            await stream.watch(row.id, row.cursor)
