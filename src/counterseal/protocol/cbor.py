"""Deterministic CBOR, the part of it that the protocol uses (docs/protocol.md section 1).

Values are `int` (64 bits and a sign), `bytes`, `str`, `tuple` (or `list` when encoding), `bool`,
`None` and the empty `dict`, which only COSE headers contain. There is one encoding of each value,
and `decode` refuses every other.

| rule | refuses |
| --- | --- |
| E1 | input that ends early, or that goes on after the value |
| E2 | an integer or a length that is not in its shortest form; an indefinite length |
| E3 | a type outside the list above, a reserved form, a map with entries, nesting over 16, |
|    | invalid UTF-8 |
| E4 | input longer than the record's limit |
| E7 | a value that decodes but does not encode to the same bytes |

The first fault in reading order counts; a length greater than the bytes that are left is E1 at
once.

`decode` takes the shape that the value must have (shape.py): what has no place in it is not built.
What is not of its shape is still looked through for the first fault of the encoding, up to its
65,536th element.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from .errors import Refused

Value: TypeAlias = "int | bytes | str | bool | tuple[Value, ...] | dict[str, Value] | None"

Shape: TypeAlias = Callable[[bytes, int], "tuple[Value, int]"]
"""Takes the value at a byte of the input: (value, the byte after it). Raises `Refused` E1 to E3, or
E6 where the input is not of the shape; `IndexError` where it ends.
"""

DEPTH = 16
"""How many arrays may be inside one another."""
ELEMENTS_MAX = 65_536
"""How many elements a value may have in all that is decoded without a shape, or that is not of its
shape.
"""
TAG = "counterseal/v1/"

UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, _CBOR_TAG, _SIMPLE_VALUE = range(8)
SIMPLE: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}
_UTF8 = codecs.getincrementaldecoder("utf-8")
_PIECE = 1 << 16
_BYTE = [bytes((number,)) for number in range(256)]
_END = 0x18  # a head that is not whole: `read_head` says that the input ends
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""By the low five bits of a head, the least argument that has no shorter form."""
_WIDE = {
    major << 5 | info: (1 + (1 << (info - 24)), least)
    for major in (UINT, NEGATIVE, BYTES)
    for info, least in _LEAST.items()
}
"""By the first byte of a number or a byte string: the bytes of its head, and its least argument."""
# By an element's first byte, how many bytes it has in all; 0 where that byte alone does not tell.
_WHOLE = [1] * 24 + [0] * 8 + [1] * 24 + [0] * 8 + list(range(1, 25)) + [0] * 168
for _byte in (0x60, 0xA0, 0xF4, 0xF5, 0xF6):
    _WHOLE[_byte] = 1


def tag(name: str) -> str:
    """`counterseal/v1/NAME`: the first element of every array that is hashed, signed or put into a
    KDF or an AEAD.
    """
    return TAG + name


def H(array: Any) -> bytes:
    """SHA-256 (32 bytes) over the encoding of an array whose first element is a tag."""
    return hashlib.sha256(encode(array)).digest()


def expand(prk: bytes, array: Any, length: int) -> bytes:
    """HKDF-Expand with SHA-256: `length` bytes (at most 8,160) from `prk` with the array's encoding
    as info.
    """
    return HKDFExpand(SHA256(), length, encode(array)).derive(prk)


def encode(value: Any) -> bytes:
    """The one encoding of a value. Raises `Refused` E3 for a type, a size or a depth that has
    none.
    """
    out: list[bytes] = []
    _put(value, out, 0)
    return b"".join(out)


def head(major: int, argument: int) -> bytes:
    """The head of a value in its shortest form. Raises `Refused` E3 for more than 64 bits."""
    if argument < 24:
        return _BYTE[major << 5 | argument]
    if argument < 1 << 8:
        return _BYTE[major << 5 | 24] + _BYTE[argument]
    for info, size in ((25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return _BYTE[major << 5 | info] + argument.to_bytes(size, "big")
    raise Refused("E3", "An integer has more than 64 bits; no record holds such a number.")


def _put(value: Any, out: list[bytes], depth: int) -> None:
    kind = type(value)
    if kind is bytes:
        out.append(head(BYTES, len(value)))
        out.append(value)
    elif kind is int:
        out.append(head(UINT, value) if value >= 0 else head(NEGATIVE, -1 - value))
    elif kind is tuple or kind is list:
        if depth == DEPTH:
            raise Refused("E3", f"Arrays are more than {DEPTH} deep in one another; no record is.")
        out.append(head(ARRAY, len(value)))
        for element in value:
            _put(element, out, depth + 1)
    elif kind is str:
        data = _utf8(value)
        out.append(head(TEXT, len(data)))
        out.append(data)
    elif kind is bool or value is None:
        out.append(b"\xf6" if value is None else b"\xf5" if value else b"\xf4")
    elif kind is dict and not value:
        out.append(b"\xa0")
    else:
        raise Refused("E3", f"A {kind.__name__} has no encoding here.")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Refused("E3", "A text holds half of a surrogate pair.") from None


def decode(data: bytes, limit: int, shape: Shape | None = None) -> Value:
    """The value that `data` (at most `limit` bytes) encodes; arrays come as tuples. With a `shape`
    (shape.py) nothing is built that the shape has no place for; without one, a value has at most
    65,536 elements. Raises `Refused` E1 to E4, E6 or E7.
    """
    _check_limit(data, limit)
    value, end = _read(data) if shape is None else _read_shape(data, shape)
    _check_end(data, end)
    # the rules above leave no such input; this line is what makes that a fact
    if encode(value) != data:
        raise Refused("E7", "The input is not the deterministic encoding of its own value.")
    return value


def scan(data: bytes) -> None:
    """Returns if `data` is one encoded value of at most 65,536 elements, whichever it is; builds
    nothing. Raises `Refused` E1, E2, E3, or E6 for more elements.
    """
    _check_end(data, _skip(data))


def outline(data: bytes, limit: int) -> tuple[int, Value]:
    """How many elements the array in `data` has, and its first one, of an array only whether it
    has elements; (0, None) for what is no array. Nothing else is built, but all is scanned. Raises
    `Refused` E1 to E4, or E6 for more than 65,536 elements.
    """
    _check_limit(data, limit)
    scan(data)
    return first_element(data)


def first_element(data: bytes) -> tuple[int, Value]:
    """As `outline`, of what has been scanned up to its first element at least."""
    major, count, start = read_head(data, 0)
    if major != ARRAY or not count:
        return 0, None
    major, argument, _ = read_head(data, start)
    return count, argument > 0 if major == ARRAY else _take(data, start)[0]


def read_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, argument and end of the head at byte `at`: a number's value or -1 minus it, a
    string's or an array's length, which the bytes that are left suffice for. A simple value has
    major type 7. Raises `Refused` E1 to E3.
    """
    if at >= len(data):
        raise Refused("E1", f"The input ends at byte {at} where a value should begin.")
    first = data[at]
    major = first >> 5
    if major >= _CBOR_TAG:
        if first in SIMPLE:
            return major, first, at + 1
        raise Refused("E3", f"Byte {at} (0x{first:02x}) begins a type that no record uses.")
    argument, start = first & 31, at + 1
    if argument >= 24:
        argument, start = _argument(data, at, argument)
    if major == MAP and argument:
        raise Refused("E3", f"A map with entries begins at byte {at}; records are arrays.")
    if major >= BYTES and argument > len(data) - start:
        raise Refused("E1", f"Byte {at} announces {argument} bytes or elements; fewer are left.")
    return major, argument, start


def take_text(data: bytes, start: int, end: int) -> str:
    """The text in these bytes. Raises `Refused` E3."""
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise Refused("E3", f"The text at byte {start} is not valid UTF-8.") from None


def _check_limit(data: bytes, limit: int) -> None:
    if len(data) > limit:
        raise Refused("E4", f"The input has {len(data)} bytes where this record may have {limit}.")


def _check_end(data: bytes, end: int) -> None:
    if end != len(data):
        raise Refused("E1", f"The input goes on after the value, which ends at byte {end}.")


def _argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    if info == 31:
        raise Refused("E2", f"An indefinite length begins at byte {at}; every length is stated.")
    if info > 27:
        raise Refused("E3", f"A reserved form of length is at byte {at}; no record uses it.")
    size = 1 << (info - 24)
    end = at + 1 + size
    if end > len(data):
        raise Refused("E1", f"The input ends inside the number that begins at byte {at}.")
    argument = int.from_bytes(data[at + 1 : end], "big")
    if argument < _LEAST[info]:
        raise Refused("E2", f"The number {argument} at byte {at} is not in its shortest form.")
    return argument, end


def _read(data: bytes) -> tuple[Value, int]:
    # what is built below has been looked through first, so that what has too many elements, or a
    # fault anywhere, costs no memory
    _skip(data)
    return _take(data, 0)


def _take(data: bytes, at: int) -> tuple[Value, int]:
    """The value at `at` of scanned data."""
    major, argument, start = read_head(data, at)
    if major == ARRAY:
        elements: list[Value] = []
        for _ in range(argument):
            element, start = _take(data, start)
            elements.append(element)
        return tuple(elements), start
    if major == UINT:
        return argument, start
    if major == NEGATIVE:
        return -1 - argument, start
    if major == MAP:
        return {}, start
    if major == _SIMPLE_VALUE:
        return SIMPLE[argument], start
    end = start + argument
    return (data[start:end] if major == BYTES else take_text(data, start, end)), end


def _read_shape(data: bytes, shape: Shape) -> tuple[Value, int]:
    try:
        return shape(data, 0)
    except IndexError:
        raise Refused("E1", "The input ends where a value should begin.") from None
    except Refused as refusal:
        # The form is wrong at one place. What is wrong in the encoding comes first wherever it is,
        # because a decoder that knows no shapes finds only that.
        if refusal.rule == "E6":
            scan(data)
        raise


def _skip(data: bytes) -> int:
    """The end of the value at the beginning of `data`, of at most `ELEMENTS_MAX` elements.

    Hostile input comes here, as long as a body may be: the loop is written to be fast.
    """
    at, left, elements, size = 0, 1, 0, len(data)
    # of each array around the present one: how many of its elements are still to come
    around: list[int] = []
    while left or around:
        if not left:
            left = around.pop()
            continue
        elements += 1
        if elements > ELEMENTS_MAX:
            raise Refused("E6", f"The input has more than {ELEMENTS_MAX} elements in all.")
        left -= 1
        first = data[at] if at < size else _END
        whole = _WHOLE[first]
        if whole and at + whole <= size:
            at += whole
            continue
        if first >> 5 == ARRAY:
            if len(around) == DEPTH:
                raise Refused("E3", f"Arrays are more than {DEPTH} deep at byte {at}.")
            around.append(left)
            if first < 0x98 and first - 0x80 < size - at:
                left, at = first - 0x80, at + 1
            else:
                _, left, at = read_head(data, at)
        else:
            at = _skip_scalar(data, at)
    return at


def _skip_scalar(data: bytes, at: int) -> int:
    """The end of a number, a string or a simple value."""
    first = data[at] if at < len(data) else 0
    # right by far the most often: then it costs no further call
    if first in _WIDE:
        width, least = _WIDE[first]
        end = at + width
        argument = int.from_bytes(data[at + 1 : end], "big")
        if argument >= least and end <= len(data):
            if first < 0x40:
                return end
            if argument <= len(data) - end:
                return end + argument
    elif 0x60 <= first < 0x78:
        end = at + first - 0x5F
        if end <= len(data) and data[at + 1 : end].isascii():
            return end
    major, argument, end = read_head(data, at)
    if major == TEXT:
        _check_text(data, end, end + argument)
    return end + argument if major in (BYTES, TEXT) else end


def _check_text(data: bytes, start: int, end: int) -> None:
    """UTF-8 piece by piece, so that a text of megabytes takes no memory."""
    if end - start <= _PIECE:
        take_text(data, start, end)
        return
    decoder = _UTF8()
    try:
        for at in range(start, end, _PIECE):
            decoder.decode(data[at : min(at + _PIECE, end)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise Refused("E3", f"The text at byte {start} is not valid UTF-8.") from None
