"""Events are put together byte by byte; what comes out is what wire describes."""

from __future__ import annotations

import pytest

from counterseal.service.event_bytes import events_message, events_page
from counterseal.service.store.rows import StoredEvent
from counterseal.wire.events import EVENTS, ConversationEvent, EventsPage
from counterseal.wire.socket import EventsPushed, decode_pushed, encode_pushed

SIZES = (0, 1, 23, 24, 255, 256, 65_535, 65_536)
EVENTS_STORED = [
    StoredEvent(n + 1, n % 3, 1_800_000_000 + n, bytes(size)) for n, size in enumerate(SIZES)
]
LARGE = [StoredEvent(1 << 33, 2, 1 << 40, b"x")]


@pytest.mark.parametrize("stored", [[], EVENTS_STORED, EVENTS_STORED * 4, LARGE])
def test_bytes_are_wires(stored: list[StoredEvent]) -> None:
    events = tuple(ConversationEvent(row.n, row.kind, row.time, row.data) for row in stored)
    conversation = b"c" * 16

    page = EventsPage(events, 70_000)
    assert events_page(stored, 70_000) == EVENTS.encode_answer(page)
    assert EVENTS.decode_answer(events_page(stored, 70_000)) == page

    pushed = EventsPushed(conversation, events)
    assert events_message(conversation, stored) == encode_pushed(pushed)
    assert decode_pushed(events_message(conversation, stored)) == pushed
