"""Nothing is built that a record has no place for, and the first fault in the encoding counts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta
from tests.support import world as w

from counterseal.protocol import cbor
from counterseal.protocol.cbor import ELEMENTS_MAX, head
from counterseal.protocol.charter import Charter
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import Refused
from counterseal.protocol.keyset import Keyset
from counterseal.protocol.record import Part, Record, decode_part
from counterseal.protocol.statement import (
    BY_ACCOUNT,
    BY_INSTITUTIONS,
    UNSIGNED,
    ReceivedStatement,
)
from counterseal.protocol.window import Label, Roster

RECORDS: list[type[Record]] = [*BY_ACCOUNT, *BY_INSTITUTIONS, *UNSIGNED, Label, Roster]
MEMORY = 20 << 20
"""Bytes that decoding hostile input may take."""


@functools.cache
def bombs(size: int) -> dict[str, bytes]:
    """Arrays of `size` bytes of which each one becomes an object of its own when it is decoded."""

    def many(element: bytes) -> bytes:
        count = (size - 5) // len(element)
        return head(4, count) + element * count

    return {
        "zeros": many(b"\x00"),
        "empty arrays": many(b"\x80"),
        "empty texts": many(b"\x60"),
        "empty strings": many(b"\x40"),
        "empty maps": many(b"\xa0"),
        "arrays of one": many(b"\x81\x00"),
        "deep": many(b"\x81" * 14 + b"\x80"),
        "endless depth": b"\x81" * size,
        "within arrays": b"\x81" * 15 + many(b"\x80")[15:],
        "one text": head(3, size - 5) + b"\xf0\x9f\x94\x91" + b"a" * (size - 9),
        "texts": many(b"\x61a"),
        "numbers": many(b"\x1b" + b"\xff" * 8),
    }


def resident(what: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))


def peak(decode: Callable[[bytes], object], data: bytes) -> int:
    """The bytes by which the process grew while the data was being decoded, which must refuse."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    with pytest.raises(Refused):
        decode(data)
    return resident("VmHWM") - before


def test_the_measure_of_memory_sees_what_is_built() -> None:
    def build(data: bytes) -> None:
        kept = [bytes([one % 256, 1]) for one in range(1_000_000)]
        raise Refused("E6", str(len(kept)))

    assert peak(build, b"") > MEMORY


@pytest.mark.parametrize("name", bombs(64))
def test_four_mebibytes_of_any_value_take_little_memory(name: str) -> None:
    data = bombs(4 << 20)[name]
    if name == "one text":
        assert isinstance(cbor.decode(data, len(data)), str)  # one object; that is no bomb
    else:
        assert peak(lambda data: cbor.decode(data, 4 << 20), data) < MEMORY


@pytest.mark.parametrize("name", bombs(64))
def test_four_mebibytes_of_any_statement_take_little_memory(name: str) -> None:
    data = bombs(4 << 20)[name]
    assert peak(ReceivedStatement.decode, data) < MEMORY
    assert peak(lambda data: ReceivedSign.decode(data, Keyset.limit), data) < MEMORY
    # within a statement that has the right form
    inside = cbor.encode((b"", {}, data[:4_000_000], ((b"", {}, b""),)))
    assert peak(ReceivedStatement.decode, inside) < MEMORY


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_as_large_as_it_may_be_takes_little_memory(kind: type[Record]) -> None:
    tag = cbor.encode(kind.tag())
    for data in bombs(kind.limit).values():
        assert peak(kind.decode, data) < MEMORY
        # behind the right tag
        assert peak(kind.decode, b"\x82" + tag + data[: kind.limit - len(tag) - 1]) < MEMORY


def test_what_is_looked_at_ends_with_the_most_elements() -> None:
    most = head(4, ELEMENTS_MAX - 1) + bytes(ELEMENTS_MAX - 1)
    assert cbor.decode(most, 1 << 20) == (0,) * (ELEMENTS_MAX - 1)
    # a fault behind them is not looked for
    data = head(4, ELEMENTS_MAX + 1) + bytes(ELEMENTS_MAX) + b"\xff"
    with pytest.raises(Refused, match=r"65536.*\[E6\]"):
        cbor.decode(data, 1 << 20)
    with pytest.raises(Refused, match=r"\[E6\]"):
        Roster.decode(data)
    # but a fault among them is what counts
    with pytest.raises(Refused, match=r"\[E3\]"):
        Roster.decode(head(4, 3) + b"\x00\x00\xff")
    # and what the tag says comes before what the form says
    other = cbor.encode(cbor.tag("other"))
    with pytest.raises(Refused, match=r"\[E5\]"):
        Roster.decode(head(4, ELEMENTS_MAX) + other + bytes(ELEMENTS_MAX - 1))


def test_every_valid_record_has_fewer_elements() -> None:
    # dates are the smallest things of which a charter has many: 11 bytes each
    assert Charter.limit // 11 // 2 < ELEMENTS_MAX
    for kind in RECORDS:
        if kind is not Charter:
            assert elements(kind) < ELEMENTS_MAX, kind


def elements(kind: type) -> int:
    """How many elements a value of a type has at most."""
    from msgspec import inspect

    def count(one: inspect.Type) -> int:
        match one:
            case inspect.Metadata():
                return count(one.type)
            case inspect.VarTupleType():
                assert one.max_length is not None
                return 1 + one.max_length * count(one.item_type)
            case inspect.UnionType():
                return max(map(count, one.types))
            case inspect.StructType():
                return 2 + sum(count(field.type) for field in one.fields)
        return 1

    return count(inspect.type_info(kind))


class Sample(Part, frozen=True):
    """One field of each kind."""

    number: Annotated[int, Meta(ge=0, le=9)]
    signed: Annotated[int, Meta(ge=-5, le=70_000)]
    data: Annotated[bytes, Meta(min_length=2, max_length=300)]
    fixed: Annotated[bytes, Meta(min_length=4, max_length=4)]
    text: Annotated[str, Meta(max_length=2)]
    truth: bool
    perhaps: Annotated[bytes, Meta(max_length=1)] | None
    pair: tuple[bool, bool]
    many: Annotated[tuple[Annotated[int, Meta(ge=0, le=9)], ...], Meta(min_length=1, max_length=3)]


GOOD = [1, -5, b"ab", b"abcd", "é", True, None, [True, False], [1, 2]]


def take(*changes: tuple[int, object]) -> Sample:
    values = list(GOOD)
    for at, value in changes:
        values[at] = value
    return decode_part(cbor.encode(values), 1_000, Sample)


def test_a_value_of_the_shape_is_taken() -> None:
    assert cbor.encode(take().plain()) == cbor.encode(GOOD)
    assert take((1, 70_000), (2, bytes(300)), (6, b"x"), (4, "\U0001f511" * 2)).signed == 70_000


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, -1),
        (0, 10),
        (0, b""),
        (0, True),
        (1, -6),
        (1, 70_001),
        (1, None),
        (2, b"a"),
        (2, bytes(301)),
        (2, "ab"),
        (3, b"abc"),
        (3, b"abcde"),
        (3, 4),
        (4, "abc"),
        (4, b"ab"),
        (4, "\U0001f511" * 3),
        (5, 1),
        (5, None),
        (6, b"xy"),
        (6, False),
        (6, 0),
        (7, [True]),
        (7, [True, False, True]),
        (7, [True, None]),
        (8, []),
        (8, [1, 2, 3, 4]),
        (8, [[1]]),
        (8, {}),
    ],
)
def test_a_value_of_another_shape_is_refused(at: int, value: object) -> None:
    with pytest.raises(Refused, match=r"Sample: .*\[E6\]"):
        take((at, value))


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (b"", "E1"),
        (b"\x89", "E1"),
        (b"\x99\x00\x09", "E2"),
        (b"\x89\x18\x01", "E1"),
        (b"\x89\x18\x01" + bytes(8), "E2"),
        (b"\x89\xc0" + bytes(8), "E3"),
        (b"\x89\x00\x1a\x00\x00\x00\x01" + bytes(7), "E2"),
        (b"\x89\x00\x00\x42a", "E1"),
        (b"\x89\x00\x00\x62\xff\xff" + bytes(6), "E3"),
    ],
)
def test_faults_of_the_encoding_keep_their_rules(wrong: bytes, rule: str) -> None:
    with pytest.raises(Refused, match=rf"\[{rule}\]"):
        decode_part(wrong, 1_000, Sample)


def test_each_place_that_ends_early_is_e1() -> None:
    data = cbor.encode(GOOD)
    for end in range(len(data)):
        with pytest.raises(Refused, match=r"\[E1\]"):
            decode_part(data[:end], 1_000, Sample)
    with pytest.raises(Refused, match=r"\[E1\]"):
        decode_part(data + b"\x00", 1_000, Sample)


def test_the_outline_is_the_count_and_the_first_element() -> None:
    for first in (b"x", "x", 7, -7, None, True, {}):
        assert cbor.outline(cbor.encode([first, 0]), 100) == (2, first)
    assert cbor.outline(cbor.encode([[0]]), 100) == (1, True)
    assert cbor.outline(cbor.encode([[]]), 100) == (1, False)
    assert cbor.outline(cbor.encode([]), 100) == (0, None)
    assert cbor.outline(cbor.encode(7), 100) == (0, None)
    with pytest.raises(Refused, match=r"\[E4\]"):
        cbor.outline(bytes(101), 100)
    label = w.make_label(bytes(32))
    assert cbor.outline(label.encode(), Label.limit) == (13, Label.tag())
