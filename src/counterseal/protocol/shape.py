"""The shape of a record as a decoder: made once from a struct's field types, it takes bytes apart
and refuses what does not fit before anything is built (section 1).

At each place the shape knows which major type may come, how long a string and how many elements an
array may be, and how many bytes its elements need at least. So input that is not of the shape costs
no more than the part of it that is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from msgspec import inspect

from . import cbor
from .cbor import ARRAY, BYTES, MAP, NEGATIVE, SIMPLE, TEXT, UINT, Shape, Value
from .errors import Refused

_Made = tuple[Shape, int, frozenset[int]]
"""A shape, the bytes that a value of it has at least, and the major types that it begins with."""
_ENDLESS = 1 << 32
_NOUNS = {
    UINT: "a number from 0",
    NEGATIVE: "a negative number",
    BYTES: "a byte string",
    TEXT: "a text",
    ARRAY: "an array",
    MAP: "an empty map",
    7: "true, false or null",
}


@functools.cache
def shape_of(kind: type) -> Shape:
    """The shape of a type that `msgspec` knows."""
    return _make(inspect.type_info(kind))[0]


@functools.cache
def shape_of_field(kind: type) -> Shape:
    """The shape of a struct's first field."""
    struct = inspect.type_info(kind)
    assert isinstance(struct, inspect.StructType)
    return _make(struct.fields[0].type)[0]


def _make(kind: inspect.Type) -> _Made:
    """The shape of one type. A type that no record has is an error in the record: `KeyError`."""
    return _MAKERS[type(kind)](kind)


def _bytes(kind: inspect.BytesType) -> _Made:
    least, most = kind.min_length or 0, _ENDLESS if kind.max_length is None else kind.max_length
    if least == most:
        return _fixed_bytes(least), least + len(cbor.head(BYTES, least)), frozenset({BYTES})

    def take(data: bytes, at: int) -> tuple[Value, int]:
        length, at = _length(data, at, BYTES, least, most)
        end = at + length
        return data[at:end], end

    return take, least + len(cbor.head(BYTES, least)), frozenset({BYTES})


def _fixed_bytes(size: int) -> Shape:
    """A byte string of one size has one head, which is compared in one step."""
    head = cbor.head(BYTES, size)

    before = len(head)

    def take(data: bytes, at: int) -> tuple[Value, int]:
        start = at + before
        end = start + size
        if not data.startswith(head, at) or end > len(data):
            _length(data, at, BYTES, size, size)
        return data[start:end], end

    return take


def _text(kind: inspect.StrType) -> _Made:
    # a character takes at most four bytes; how many there are is for msgspec to count
    most = _ENDLESS if kind.max_length is None else 4 * kind.max_length
    least = kind.min_length or 0

    def take(data: bytes, at: int) -> tuple[Value, int]:
        length, start = _length(data, at, TEXT, least, most)
        end = start + length
        return cbor.take_text(data, start, end), end

    return take, 1 + least, frozenset({TEXT})


def _number(kind: inspect.IntType) -> _Made:
    majors = frozenset({UINT} if kind.ge is not None and kind.ge >= 0 else {UINT, NEGATIVE})

    def take(data: bytes, at: int) -> tuple[Value, int]:
        first = data[at]
        if first < 24:
            return first, at + 1
        if first == 0x1A:
            # a time, as a rule
            argument = int.from_bytes(data[at + 1 : at + 5], "big")
            if argument > 0xFFFF and at + 5 <= len(data):
                return argument, at + 5
        major, argument, end = cbor.read_head(data, at)
        if major not in majors:
            raise _misfit(at, major, majors)
        return (argument if major == UINT else -1 - argument), end

    return take, 1, majors


def _simple(kind: inspect.BoolType | inspect.NoneType) -> _Made:
    values = (True, False) if isinstance(kind, inspect.BoolType) else (None,)

    def take(data: bytes, at: int) -> tuple[Value, int]:
        major, argument, end = cbor.read_head(data, at)
        if major != 7 or SIMPLE[argument] not in values:
            raise _misfit(at, major, frozenset({7}))
        return SIMPLE[argument], end

    return take, 1, frozenset({7})


def _empty_map(_: inspect.DictType) -> _Made:
    def take(data: bytes, at: int) -> tuple[Value, int]:
        major, _, end = cbor.read_head(data, at)
        if major != MAP:
            raise _misfit(at, major, frozenset({MAP}))
        return {}, end

    return take, 1, frozenset({MAP})


def _literal(kind: inspect.LiteralType) -> _Made:
    return _make(inspect.StrType(max_length=max(len(str(value)) for value in kind.values)))


def _many(kind: inspect.VarTupleType) -> _Made:
    least, most = kind.min_length or 0, _ENDLESS if kind.max_length is None else kind.max_length
    item, item_bytes, _ = _make(kind.item_type)

    def take(data: bytes, at: int) -> tuple[Value, int]:
        count, start = _length(data, at, ARRAY, least, most)
        if count * item_bytes > len(data) - start:
            raise Refused("E6", f"the array at byte {at} has no room for {count} elements")
        elements = []
        for _ in range(count):
            element, start = item(data, start)
            elements.append(element)
        return tuple(elements), start

    return take, 1 + least * item_bytes, frozenset({ARRAY})


def _struct(kind: inspect.StructType) -> _Made:
    fields = [_make(field.type) for field in kind.fields]
    needed = sum(field.required for field in kind.fields)
    if kind.tag is not None:
        fields.insert(0, _tag(str(kind.tag)))
        needed += 1
    return _fields(fields, needed)


def _tuple(kind: inspect.TupleType) -> _Made:
    return _fields([_make(item) for item in kind.item_types], len(kind.item_types))


def _fields(fields: list[_Made], needed: int) -> _Made:
    """An array with a place for each field, of which the last ones may be missing."""
    shapes, most = tuple(field[0] for field in fields), len(fields)
    whole = ARRAY << 5 | most if most < 24 else -1

    def take(data: bytes, at: int) -> tuple[Value, int]:
        if data[at] == whole and at + most < len(data):
            count, at = most, at + 1
        else:
            count, at = _length(data, at, ARRAY, needed, most)
        elements = []
        for shape in shapes if count == most else shapes[:count]:
            element, at = shape(data, at)
            elements.append(element)
        return tuple(elements), at

    return take, 1 + sum(field[1] for field in fields[:needed]), frozenset({ARRAY})


def _tag(text: str) -> _Made:
    encoded = cbor.encode(text)

    def take(data: bytes, at: int) -> tuple[Value, int]:
        if not data.startswith(encoded, at):
            cbor.read_head(data, at)
            raise Refused("E6", f"byte {at} does not begin the text {text!r}")
        return text, at + len(encoded)

    return take, len(encoded), frozenset({TEXT})


def _either(kind: inspect.UnionType) -> _Made:
    """Types that differ in their first byte: one that may be null, as a rule."""
    made = [_make(one) for one in kind.types]
    by_major = {major: shape for shape, _, majors in made for major in majors}
    assert len(by_major) == sum(len(majors) for _, _, majors in made)

    def take(data: bytes, at: int) -> tuple[Value, int]:
        shape = by_major.get(data[at] >> 5)
        if shape is None:
            raise _misfit(at, cbor.read_head(data, at)[0], frozenset(by_major))
        return shape(data, at)

    return take, min(bytes_ for _, bytes_, _ in made), frozenset(by_major)


def _metadata(kind: inspect.Metadata) -> _Made:
    return _make(kind.type)


def _length(data: bytes, at: int, major: int, least: int, most: int) -> tuple[int, int]:
    """The length of the string or array at `at`, and where its content begins."""
    found, length, start = cbor.read_head(data, at)
    if found != major:
        raise _misfit(at, found, frozenset({major}))
    if not least <= length <= most:
        unit = "elements" if major == ARRAY else "bytes"
        much = str(least) if least == most else f"{least} to {most}"
        raise Refused("E6", f"byte {at} announces {length} {unit} where {much} are expected")
    return length, start


def _misfit(at: int, found: int, majors: frozenset[int]) -> Refused:
    expected = " or ".join(_NOUNS[major] for major in sorted(majors))
    return Refused("E6", f"byte {at} begins {_NOUNS[found]} where {expected} is expected")


_MAKERS: dict[type, Callable[..., _Made]] = {
    inspect.BoolType: _simple,
    inspect.BytesType: _bytes,
    inspect.DictType: _empty_map,
    inspect.IntType: _number,
    inspect.LiteralType: _literal,
    inspect.Metadata: _metadata,
    inspect.NoneType: _simple,
    inspect.StrType: _text,
    inspect.StructType: _struct,
    inspect.TupleType: _tuple,
    inspect.UnionType: _either,
    inspect.VarTupleType: _many,
}
