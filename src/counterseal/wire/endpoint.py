"""One route of the HTTP interface: its method and path, who may call it, what it takes and gives.

An `Endpoint` serves both sides. Whoever calls makes the path with `at`, the body with
`encode_request`, and reads `decode_answer`; the service reads path and query by `reading`, the body
with `decode_request`, and answers with `encode_answer`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Generic, Literal, TypeVar, cast
from urllib.parse import quote

import msgspec

from counterseal.protocol.record import Part

from .body import KIB, SMALL, decode_body, encode_body

Method = Literal["GET", "POST", "PUT", "PATCH"]
Q = TypeVar("Q")
A = TypeVar("A")

CBOR = "application/cbor"
OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"

_PART = re.compile(r"\{(\w+)\}")


class Authentication(enum.Enum):
    """Who may call a route, and how they show that it is they (authentication.py)."""

    ANYBODY = "anybody"
    NEW_DEVICE = "a device that signs, whether or not the directory knows it"
    DEVICE = "a device of the directory, not revoked"
    MAYBE_DEVICE = "anybody; a device of the directory for an account's statements"
    INSTITUTION = "an institution that a charter of the domain names"
    STATEMENT = "anybody who carries a statement whose own signatures suffice"
    FIRST_STATEMENT = "the operator, with the token, for the first; then as any statement"
    OPERATOR = "the operator, with the token in operator.token"


class Raw(msgspec.Struct, frozen=True):
    """A body that is not CBOR: bytes of this media type."""

    media_type: str
    about: str


class ErrorCode(msgspec.Struct, frozen=True):
    """A way in which a call fails beside those that every call has: HTTP status, stable code and
    when.
    """

    status: int
    code: str
    when: str


class Otherwise(msgspec.Struct, frozen=True):
    """An answer of another status than 200 that is a CBOR array and no error in JSON."""

    status: int
    answer: type[Part]


class Header(msgspec.Struct, frozen=True):
    """A header that an answer may carry, or a request may."""

    name: str
    about: str


class Query(msgspec.Struct, frozen=True):
    """A whole number in the query. One that is outside `least` and `most` counts as the nearest of
    them, unless it is required: then it is refused.
    """

    name: str
    about: str
    default: int | None = None
    required: bool = False
    least: int = 0
    most: int = (1 << 59) - 1


HEX: Mapping[str, int] = {
    "account": 32,
    "charter": 32,
    "conversation": 16,
    "digest": 32,
    "entry": 32,
    "warrant": 32,
    "window": 32,
}
"""Parts of paths that are byte strings, in lower-case hex: name to bytes."""
NUMBERS = frozenset({"chunk", "index", "listing", "position", "quarter", "seq"})
"""Parts of paths that are whole numbers from 0, in decimal."""
TEXTS: Mapping[str, str] = {"handle": "a handle", "path": "a path of tlog-tiles, with its slashes"}
"""Parts of paths that are text."""


class Endpoint(msgspec.Struct, Generic[Q, A], frozen=True, kw_only=True):
    """A route. `request_max` and `answer_max` are bytes of a body."""

    method: Method
    path: str
    authentication: Authentication
    summary: str
    answer: type[A] | Raw
    request: type[Q] | Raw | None = None
    notes: str = ""
    otherwise: tuple[Otherwise, ...] = ()
    errors: tuple[ErrorCode, ...] = ()
    query: tuple[Query, ...] = ()
    headers: tuple[Header, ...] = ()
    request_max: int = KIB
    answer_max: int = SMALL
    repeatable: bool = False
    """Whether the same call, though it is no GET, may be made again; see `may_repeat`."""

    @property
    def may_repeat(self) -> bool:
        """Whether the same call may be made again when it is unknown whether the first one
        arrived.
        """
        return self.repeatable or self.method == "GET"

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the path's parts, in order."""
        return tuple(_PART.findall(self.path))

    def at(self, **values: bytes | int | str) -> str:
        """The path with its parts and the query filled in: `at(conversation=id, after=3)`. A name
        that is a word of Python takes an underscore: `from_`.
        """
        given = {name.rstrip("_"): value for name, value in values.items()}
        path = _PART.sub(lambda part: write_part(part[1], given.pop(part[1])), self.path)
        query = [
            f"{one.name}={int(given.pop(one.name))}" for one in self.query if one.name in given
        ]
        if given:
            raise TypeError(f"{self.path} takes no {', '.join(given)}")
        return "?".join((path, "&".join(query))) if query else path

    def encode_request(self, request: Q) -> bytes:
        """The body of a request."""
        return _encode(request)

    def decode_request(self, data: bytes) -> Q:
        """The request in a body of at most `request_max` bytes. Raises `Refused` E1 to E7."""
        return cast("Q", _decode(data, self.request_max, self.request))

    def encode_answer(self, answer: A) -> bytes:
        """The body of an answer of status 200."""
        return _encode(answer)

    def decode_answer(self, data: bytes) -> A:
        """The answer in a body of at most `answer_max` bytes, right in form and not believed.
        Raises `Refused` E1 to E7.
        """
        return cast("A", _decode(data, self.answer_max, self.answer))

    def decode_otherwise(self, status: int, data: bytes) -> Part | None:
        """The array that this route answers with another status than 200; None for a status
        without one, whose body is an error in JSON. Raises `Refused` E1 to E7.
        """
        for one in self.otherwise:
            if one.status == status:
                return decode_body(data, self.answer_max, one.answer)
        return None


def write_part(name: str, value: bytes | int | str) -> str:
    """A part of a path as it is written: hex, decimal or quoted text."""
    if name in HEX:
        if not isinstance(value, bytes) or len(value) != HEX[name]:
            raise TypeError(f"{name} has {HEX[name]} bytes")
        return value.hex()
    if name in NUMBERS:
        return str(int(value))
    return quote(str(value), safe="/" if name == "path" else "")


def _encode(body: object) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else encode_body(cast("Part", body))


def _decode(data: bytes, limit: int, kind: object) -> object:
    if kind is None:
        return None
    return data if isinstance(kind, Raw) else decode_body(data, limit, cast("type[Part]", kind))
