"""Bodies: how a struct becomes the CBOR array that is sent, and how received bytes become a struct.

A body is one array. Most are structs of a fixed number of fields; an array of any number of rows is
a `Rows`, whose one field is the whole array.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from counterseal.protocol import cbor
from counterseal.protocol.record import Bytes32, Part, convert, decode_part, decode_shape
from counterseal.protocol.shape import shape_of_field
from counterseal.protocol.vkey import NOTE_MAX

KIB = 1 << 10
MIB = 1 << 20
SMALL = 64 * KIB
"""Bytes of an answer that holds a few numbers, digests or paths."""

Hashes = Annotated[tuple[Bytes32, ...], Meta(max_length=64)]
"""A path in a Merkle tree of at most 2^63 leaves."""
NoteText = Annotated[str, Meta(max_length=NOTE_MAX)]
"""A checkpoint with its signatures (docs/tlog.md)."""

B = TypeVar("B", bound=Part)


class Rows(Part, frozen=True):
    """An array of any number of rows. Its one field is the whole body."""


class Done(Part, frozen=True):
    """The empty array: the thing is done, and there is nothing to say about it."""


def encode_body(body: Part) -> bytes:
    """The bytes of a request or an answer."""
    value = msgspec.to_builtins(body, builtin_types=(bytes,))
    return cbor.encode(value[0] if isinstance(body, Rows) else value)


def decode_body(data: bytes, limit: int, kind: type[B]) -> B:
    """The request or answer in at most `limit` bytes, right in form and nothing more. Raises
    `Refused` E1 to E4, E6, E7.
    """
    if not issubclass(kind, Rows):
        return decode_part(data, limit, kind)
    return convert((decode_shape(data, limit, shape_of_field(kind), kind.__name__),), kind)
