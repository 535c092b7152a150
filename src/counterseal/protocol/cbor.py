"""Deterministic CBOR, the part of it that the protocol uses (docs/protocol.md section 1).

Values are `int` (64 bits and a sign), `bytes`, `str`, `tuple` (or `list` when encoding), `bool`,
`None` and the empty `dict`, which only COSE headers contain. There is one encoding of each value,
and `decode` refuses every other.

| rule | refuses |
| --- | --- |
| E1 | input that ends early, or that goes on after the value |
| E2 | an integer or a length that is not in its shortest form; an indefinite length |
| E3 | a type outside the list above, a reserved form, a map with entries, nesting over 16, invalid UTF-8 |
| E4 | input longer than the record's limit |
| E7 | a value that decodes but does not encode to the same bytes |

The first fault in reading order counts; a length greater than the bytes that are left is E1 at
once.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from .errors import Refused

Value: TypeAlias = "int | bytes | str | bool | tuple[Value, ...] | dict[str, Value] | None"

DEPTH = 16
"""How many arrays may stand inside one another."""
TAG = "counterseal/v1/"

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _CBOR_TAG = range(7)
_SIMPLE: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}


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


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes((major << 5 | info,)) + argument.to_bytes(size, "big")
    raise Refused("E3", "An integer has more than 64 bits; no record holds such a number.")


def _put(value: Any, out: list[bytes], depth: int) -> None:
    kind = type(value)
    if kind is bytes:
        out += (_head(_BYTES, len(value)), value)
    elif kind is int:
        out.append(_head(_UINT, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    elif kind is str:
        data = _utf8(value)
        out += (_head(_TEXT, len(data)), data)
    elif kind is tuple or kind is list:
        if depth == DEPTH:
            raise Refused(
                "E3", f"Arrays stand more than {DEPTH} deep in one another; no record does."
            )
        out.append(_head(_ARRAY, len(value)))
        for element in value:
            _put(element, out, depth + 1)
    elif kind is bool or value is None:
        out.append(b"\xf6" if value is None else b"\xf5" if value else b"\xf4")
    elif kind is dict and not value:
        out.append(b"\xa0")
    else:
        raise Refused(
            "E3",
            f"A {kind.__name__} has no encoding here; use int, bytes, str, tuple, bool or None.",
        )


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Refused(
            "E3", "A text holds half of a surrogate pair, which UTF-8 cannot carry."
        ) from None


def decode(data: bytes, limit: int) -> Value:
    """The value that `data` (at most `limit` bytes) encodes; arrays come as tuples. Raises
    `Refused` E1 to E4 or E7.
    """
    if len(data) > limit:
        raise Refused("E4", f"The input has {len(data)} bytes where this record may have {limit}.")
    value, end = _take(data, 0, 0)
    if end != len(data):
        raise Refused(
            "E1", f"The input goes on after the value: {len(data) - end} bytes from byte {end} on."
        )
    # the rules above leave no such input; this line is what makes that a fact
    if encode(value) != data:
        raise Refused("E7", "The input is not the deterministic encoding of its own value.")
    return value


def _take(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if at >= len(data):
        raise Refused("E1", f"The input ends at byte {at} where a value should begin.")
    first = data[at]
    major = first >> 5
    if first in _SIMPLE:
        return _SIMPLE[first], at + 1
    if major >= _CBOR_TAG:
        raise Refused(
            "E3",
            f"Byte {at} (0x{first:02x}) begins a tag, a float or a simple value that no record uses.",
        )
    if major == _ARRAY and depth == DEPTH:
        raise Refused(
            "E3",
            f"Arrays stand more than {DEPTH} deep in one another at byte {at}; no record does.",
        )
    argument, start = _argument(data, at, first & 31)
    if major == _UINT:
        return argument, start
    if major == _NEGATIVE:
        return -1 - argument, start
    if major == _MAP:
        if argument:
            raise Refused("E3", f"A map with entries begins at byte {at}; records are arrays.")
        return {}, start
    if argument > len(data) - start:
        raise Refused(
            "E1",
            f"Byte {at} announces {argument} bytes or elements, but {len(data) - start} are left.",
        )
    if major == _ARRAY:
        return _take_array(data, start, argument, depth)
    end = start + argument
    return (data[start:end] if major == _BYTES else _take_text(data, start, end)), end


def _argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    if info < 24:
        return info, at + 1
    if info == 31:
        raise Refused("E2", f"An indefinite length begins at byte {at}; every length is stated.")
    if info > 27:
        raise Refused("E3", f"A reserved form of length stands at byte {at}; no record uses it.")
    size = 1 << (info - 24)
    end = at + 1 + size
    if end > len(data):
        raise Refused("E1", f"The input ends inside the number that begins at byte {at}.")
    argument = int.from_bytes(data[at + 1 : end], "big")
    if argument < (24 if size == 1 else 1 << 4 * size):
        raise Refused("E2", f"The number {argument} at byte {at} is not in its shortest form.")
    return argument, end


def _take_array(data: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    elements: list[Value] = []
    for _ in range(count):
        element, at = _take(data, at, depth + 1)
        elements.append(element)
    return tuple(elements), at


def _take_text(data: bytes, start: int, end: int) -> str:
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise Refused("E3", f"The text at byte {start} is not valid UTF-8.") from None
