"""A body of hostile bytes is refused before it costs memory, at every endpoint and both ways."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from msgspec import inspect
from tests.unit.test_protocol_shape import MEMORY, bombs, peak
from tests.unit.wire.test_wire_shapes import ALL, sample

from counterseal.protocol import cbor
from counterseal.wire.body import Rows
from counterseal.wire.endpoint import Endpoint
from counterseal.wire.socket import FOLLOW_MAX, PUSHED, decode_follows, decode_pushed

SIZE = 4 << 20


def arrays(value: Any, path: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """The places of all arrays in a value."""
    if not isinstance(value, tuple):
        return []
    inner = [place for at, one in enumerate(value) for place in arrays(one, (*path, at))]
    return [path, *inner]


def with_bomb(value: Any, place: tuple[int, ...], bomb: bytes) -> bytes:
    """The value's encoding with the bomb where the array is, and what comes after it."""
    if not place:
        return bomb
    head = cbor.head(cbor.ARRAY, len(value))
    return head + b"".join(
        with_bomb(one, place[1:], bomb) if at == place[0] else cbor.encode(one)
        for at, one in enumerate(value)
    )


def hostile(kind: type, limit: int) -> list[bytes]:
    """Zeros and empty arrays in the place of each array of the smallest right body. Other bombs go
    the same way once the shape refuses (test_protocol_shape.py).
    """
    value = sample(inspect.type_info(kind))
    value = value[0] if issubclass(kind, Rows) else value
    size = min(SIZE, limit)
    return [
        with_bomb(value, place, bomb)[:size]
        for bomb in (bombs(size)["zeros"], bombs(size)["empty arrays"])
        for place in arrays(value)
    ]


BODIES = [
    pytest.param(decode, kind, limit, id=f"{one.method} {one.path} {name}")
    for one in ALL
    for name, decode, kind, limit in (
        ("request", one.decode_request, one.request, one.request_max),
        ("answer", one.decode_answer, one.answer, one.answer_max),
    )
    if isinstance(kind, type)
]


@pytest.mark.parametrize(("decode", "kind", "limit"), BODIES)
def test_a_hostile_body_takes_little_memory(decode: Any, kind: type, limit: int) -> None:
    for data in hostile(kind, limit):
        assert peak(decode, data) < MEMORY


@pytest.mark.parametrize("one", [one for one in ALL if one.otherwise], ids=lambda one: one.path)
def test_a_hostile_answer_of_another_status_takes_little_memory(one: Endpoint[Any, Any]) -> None:
    for other in one.otherwise:
        decode = functools.partial(one.decode_otherwise, other.status)
        for data in hostile(other.answer, one.answer_max):
            assert peak(decode, data) < MEMORY


def test_a_hostile_message_over_the_socket_takes_little_memory() -> None:
    for data in bombs(FOLLOW_MAX).values():
        assert peak(decode_follows, data) < MEMORY
    for kind in PUSHED.values():
        for data in hostile(kind, SIZE):
            assert peak(decode_pushed, data) < MEMORY
