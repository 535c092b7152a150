"""Events as they are sent, put together from their bytes: the busiest encoding there is.

What comes out is what wire/events.py and wire/socket.py describe, which a test compares.
"""

from __future__ import annotations

from collections.abc import Sequence

from counterseal.protocol.cbor import ARRAY, BYTES, UINT, head
from counterseal.service.store.rows import StoredEvent


def encode_event(event: StoredEvent) -> bytes:
    """`[n, kind, time, bytes]`."""
    return b"".join(
        (
            b"\x84",
            head(UINT, event.n),
            head(UINT, event.kind),
            head(UINT, event.time),
            head(BYTES, len(event.data)),
            event.data,
        )
    )


def encode_events(events: Sequence[StoredEvent]) -> bytes:
    """The array of the events."""
    return b"".join((head(ARRAY, len(events)), *map(encode_event, events)))


def events_message(conversation: bytes, events: Sequence[StoredEvent]) -> bytes:
    """`["events", conversation_id, [[n, kind, time, bytes], ...]]`."""
    return b"".join((b"\x83\x66events\x50", conversation, encode_events(events)))


def events_page(events: Sequence[StoredEvent], last_n: int) -> bytes:
    """`[[[n, kind, time, bytes], ...], last_n]`."""
    return b"\x82" + encode_events(events) + head(UINT, last_n)
