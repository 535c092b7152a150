"""Events as they are sent, put together from their bytes: the busiest encoding there is.

What comes out is what wire/events.py and wire/socket.py describe, which a test compares.
"""

from __future__ import annotations

from collections.abc import Sequence

from counterseal.service.store.rows import StoredEvent


def head(major: int, argument: int) -> bytes:
    """The head of a CBOR item, shortest form."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes((major << 5 | info,)) + argument.to_bytes(size, "big")
    raise ValueError("over 64 bits")


def encode_event(event: StoredEvent) -> bytes:
    """`[n, kind, time, bytes]`."""
    return b"".join(
        (
            b"\x84",
            head(0, event.n),
            head(0, event.kind),
            head(0, event.time),
            head(2, len(event.data)),
            event.data,
        )
    )


def encode_events(events: Sequence[StoredEvent]) -> bytes:
    """The array of the events."""
    return b"".join((head(4, len(events)), *map(encode_event, events)))


def events_message(conversation: bytes, events: Sequence[StoredEvent]) -> bytes:
    """`["events", conversation_id, [[n, kind, time, bytes], ...]]`."""
    return b"".join((b"\x83\x66events\x50", conversation, encode_events(events)))


def events_page(events: Sequence[StoredEvent], last_n: int) -> bytes:
    """`[[[n, kind, time, bytes], ...], last_n]`."""
    return b"\x82" + encode_events(events) + head(0, last_n)
