"""The base of every record: a frozen struct whose encoding is a CBOR array with the record's tag
first (section 1).

The struct's field types *are* the record's schema; `msgspec` compares a decoded array with them.

| rule | refuses |
| --- | --- |
| E5 | a wrong tag or an unknown version |
| E6 | a wrong number of elements, an element of the wrong type, length or range |
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, ClassVar, Self, TypeVar

import msgspec
from msgspec import Meta

from . import cbor
from .errors import Refused
from .shape import shape_of

Uint = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Positive = Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]
TIME_MAX = 253_402_300_799
Time = Annotated[int, Meta(ge=0, le=TIME_MAX)]
"""Unix seconds, up to the end of the year 9999: a moment that every calendar can show."""
Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
XWingKey = Annotated[bytes, Meta(min_length=1216, max_length=1216)]
Domain = Annotated[str, Meta(min_length=1, max_length=253)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Words = Annotated[str, Meta(max_length=1024)]


class Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An array without a tag that stands inside a record."""

    def plain(self) -> Any:
        """The nested lists, bytes, texts and numbers that `cbor.encode` takes."""
        return msgspec.to_builtins(self, builtin_types=(bytes,))


class Record(Part, frozen=True):
    """An array with a tag. `limit` is the most bytes its encoding may have."""

    limit: ClassVar[int] = 65_536

    @classmethod
    def tag(cls) -> str:
        """`counterseal/v1/NAME` of this record."""
        return str(cls.__struct_config__.tag)

    def encode(self) -> bytes:
        """The record's one encoding. Raises `Refused` E4 or E6 for a record that nobody could
        decode again.
        """
        data = cbor.encode(convert(self.plain(), type(self)).plain())
        if len(data) > self.limit:
            raise Refused("E4", f"This {self.tag()} has {len(data)} bytes, over {self.limit}.")
        return data

    def digest(self) -> bytes:
        """SHA-256 (32 bytes) over the encoding: the record's name wherever another record points to
        it.
        """
        return hashlib.sha256(self.encode()).digest()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The record that `data` encodes, right in form and not checked any further. Raises
        `Refused` E1 to E7.
        """
        try:
            return decode_part(data, cls.limit, cls)
        except Refused as refusal:
            if refusal.rule == "E6":
                cls._check_tag(data)
            raise

    @classmethod
    def _check_tag(cls, data: bytes) -> None:
        """Says of input that is not of this record's shape what its first element alone tells.
        Raises `Refused` E5, or E6.
        """
        first = cbor.first_element(data)[1]
        if not isinstance(first, str):
            raise Refused("E6", f"A {cls.tag()} is an array that begins with its tag.")
        if first != cls.tag():
            raise Refused("E5", f"Here is {first[:80]!r} where {cls.tag()!r} is expected.")


P = TypeVar("P", bound=Part)


def convert(value: Any, kind: type[P]) -> P:
    """The nested arrays as a struct of `kind`. Raises `Refused` E6 that says where they differ from
    its fields.
    """
    try:
        return msgspec.convert(value, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Refused("E6", f"This is no {kind.__name__}: {error}.") from None


def decode_part(data: bytes, limit: int, kind: type[P]) -> P:
    """The struct that at most `limit` bytes encode. What is not of its shape is refused before it
    is built. Raises `Refused` E1 to E4, E6, E7.
    """
    return convert(decode_shape(data, limit, shape_of(kind), kind.__name__), kind)


def decode_shape(data: bytes, limit: int, shape: cbor.Shape, name: str) -> cbor.Value:
    """The nested arrays of a shape that at most `limit` bytes encode, not looked at any further.
    `name` is for the error. Raises `Refused` E1 to E4, E6, E7.
    """
    try:
        return cbor.decode(data, limit, shape)
    except Refused as refusal:
        if refusal.rule == "E6":
            raise Refused("E6", f"This is no {name}: {refusal.message}.") from None
        raise
