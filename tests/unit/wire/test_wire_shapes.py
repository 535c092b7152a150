"""Every type that travels has bounds, and survives the way there and back."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import msgspec
import pytest
from msgspec import inspect

import counterseal.wire
from counterseal.protocol.errors import Refused
from counterseal.protocol.record import Part
from counterseal.wire import accounts, body, conversations, endpoint, events, socket
from counterseal.wire.endpoints import ENDPOINTS, WITNESS_ENDPOINTS

MODULES = [
    importlib.import_module(f"counterseal.wire.{found.name}")
    for found in pkgutil.iter_modules(counterseal.wire.__path__)
]
PARTS = sorted(
    {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Part)
        and kind.__module__.startswith("counterseal.wire")
        and kind is not body.Rows
    },
    key=lambda kind: kind.__name__,
)
ALL = ENDPOINTS + WITNESS_ENDPOINTS


def unbounded(kind: inspect.Type, where: str) -> list[str]:
    """The places in a type where it takes values of any length or size, or of any type."""
    match kind:
        case inspect.BytesType() | inspect.StrType():
            pattern = kind.pattern if isinstance(kind, inspect.StrType) else None
            return [] if kind.max_length is not None or pattern is not None else [where]
        case inspect.VarTupleType():
            inner = unbounded(kind.item_type, where + "[]")
            return inner if kind.max_length is not None else [where, *inner]
        case inspect.TupleType():
            return [
                place
                for number, item in enumerate(kind.item_types)
                for place in unbounded(item, f"{where}[{number}]")
            ]
        case inspect.IntType():
            bounds = (kind.ge, kind.gt, kind.le, kind.lt)
            return [] if sum(bound is not None for bound in bounds) == 2 else [where]
        case inspect.UnionType():
            return [place for one in kind.types for place in unbounded(one, where)]
        case inspect.StructType():
            return [
                place
                for field in kind.fields
                for place in unbounded(field.type, f"{where}.{field.name}")
            ]
        case inspect.BoolType() | inspect.NoneType() | inspect.LiteralType():
            return []
        case inspect.Metadata():
            return unbounded(kind.type, where)
    return [f"{where}: {type(kind).__name__}"]


@pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.__name__)
def test_every_field_of_every_type_has_a_bound(kind: type[Part]) -> None:
    assert unbounded(inspect.type_info(kind), kind.__name__) == []


def test_the_check_of_bounds_sees_what_has_none() -> None:
    class Loose(Part, frozen=True):
        data: bytes
        text: str
        numbers: tuple[int, ...]
        anything: Any

    assert len(unbounded(inspect.type_info(Loose), "Loose")) == 5


def sample(kind: inspect.Type) -> Any:
    """The smallest plain value of a type."""
    match kind:
        case inspect.BytesType():
            return bytes(kind.min_length or 0)
        case inspect.StrType():
            return "a" * (kind.min_length or 0)
        case inspect.VarTupleType():
            return tuple(sample(kind.item_type) for _ in range(max(1, kind.min_length or 0)))
        case inspect.TupleType():
            return tuple(sample(item) for item in kind.item_types)
        case inspect.IntType():
            return kind.ge or 0
        case inspect.UnionType():
            return sample(kind.types[0])
        case inspect.StructType():
            tag = () if kind.tag is None else (kind.tag,)
            return (*tag, *(sample(field.type) for field in kind.fields))
        case inspect.BoolType():
            return True
        case inspect.NoneType():
            return None
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.Metadata():
            return sample(kind.type)
    raise AssertionError(kind)


def sample_of(kind: type[Part]) -> Part:
    return msgspec.convert(sample(inspect.type_info(kind)), kind, builtin_types=(bytes,))


@pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.__name__)
def test_what_is_encoded_is_decoded_to_the_same(kind: type[Part]) -> None:
    value = sample_of(kind)
    assert body.decode_body(body.encode_body(value), 1 << 24, kind) == value


@pytest.mark.parametrize("one", ALL, ids=lambda one: f"{one.method} {one.path}")
def test_the_smallest_bodies_are_within_their_limits(one: endpoint.Endpoint[Any, Any]) -> None:
    if isinstance(one.request, type):
        request = sample_of(one.request)
        assert one.decode_request(one.encode_request(request)) == request
    if isinstance(one.answer, type):
        answer = sample_of(one.answer)
        assert one.decode_answer(one.encode_answer(answer)) == answer
    for other in one.otherwise:
        answer = sample_of(other.answer)
        assert one.decode_otherwise(other.status, body.encode_body(answer)) == answer


def test_a_body_over_its_limit_is_refused() -> None:
    with pytest.raises(Refused, match="E4"):
        accounts.PROFILE_PUT.decode_request(bytes(accounts.PROFILE_PUT.request_max + 1))


def test_each_route_is_listed_once_and_its_parts_have_a_form() -> None:
    assert len({(one.method, one.path) for one in ENDPOINTS}) == len(ENDPOINTS)
    known = {*endpoint.HEX, *endpoint.NUMBERS, *endpoint.TEXTS}
    assert {part for one in ALL for part in one.parts} <= known
    listed = {
        id(value)
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, endpoint.Endpoint)
    }
    assert listed == {id(one) for one in ALL}


def test_rows_are_the_whole_body() -> None:
    rows = conversations.ShownConversations((conversations.ShownConversation(bytes(16), 3, 1),))
    data = conversations.CONVERSATIONS.encode_answer(rows)
    assert data == b"\x81\x83\x50" + bytes(16) + b"\x03\x01"


def test_answers_that_are_arrays_and_no_errors() -> None:
    taken = conversations.COMMIT_POST.decode_otherwise(409, b"\x82\x65epoch\x07")
    assert taken == conversations.EpochTaken("epoch", 7)
    assert conversations.COMMIT_POST.decode_otherwise(403, b"{}") is None


def test_a_device_passes_over_messages_of_a_later_version() -> None:
    assert socket.decode_pushed(b"\x82\x65later\x07") is None
    assert socket.decode_pushed(b"\x82\x65clock\x07") == socket.ClockPushed(7)
    pushed = socket.EventsPushed(bytes(16), (events.ConversationEvent(1, 0, 9, b"m"),))
    assert socket.decode_pushed(socket.encode_pushed(pushed)) == pushed
    for wrong in (b"\x07", b"\x80", b"\x81\x07"):
        with pytest.raises(Refused, match="E6"):
            socket.decode_pushed(wrong)
