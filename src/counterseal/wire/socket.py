"""The WebSocket: events as they are committed, and word of what else there is to fetch.

A device opens it with a signed GET like any other request. Its first message is the conversations
that it follows, each with the number of the last event that it knows; it may send further such
arrays, for instance when it joins a conversation. A device that was removed and added again asks
again for the conversation.

The service sends arrays that begin with a word. A device ignores those whose word it does not know.
Under load the events of a few milliseconds come in one message. A device that does not read fast
enough is disconnected (close code 1013) and catches up by cursor; 1008 says that it will not be
served: its message was malformed, or it was revoked. Messages are binary, both ways.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol import cbor
from counterseal.protocol.errors import Refused
from counterseal.protocol.record import Bytes16, Part, Uint

from .body import MIB, Rows, decode_body, encode_body
from .endpoint import Authentication, Endpoint, ErrorCode, Raw
from .events import ConversationEvent

FOLLOW_MAX = MIB
"""Bytes of a message from a device."""
PUSH_MAX = 32 * MIB
"""Bytes of a message from the service."""
CLOSE_POLICY, CLOSE_TRY_AGAIN = 1008, 1013
"""Close codes."""


class Follow(Part, frozen=True):
    """A conversation, and the number of the last event that the device knows in it."""

    conversation_id: Bytes16
    after: Uint


class Follows(Rows, frozen=True):
    """The conversations that a device follows from now on, beside earlier ones."""

    rows: Annotated[tuple[Follow, ...], Meta(max_length=10_000)]


class EventsPushed(Part, frozen=True, tag="events"):
    """Events of a conversation, in order."""

    conversation_id: Bytes16
    events: Annotated[tuple[ConversationEvent, ...], Meta(max_length=100_000)]


class InboxPushed(Part, frozen=True, tag="inbox"):
    """The device's inbox goes up to the number `last_n`."""

    last_n: Uint


class NoticePushed(Part, frozen=True, tag="notice"):
    """A notice was published, for somebody."""

    index: Uint


class ClockPushed(Part, frozen=True, tag="clock"):
    """The domain's clock, Unix seconds."""

    now: Uint


Pushed = EventsPushed | InboxPushed | NoticePushed | ClockPushed
PUSHED: dict[str, type[Pushed]] = {
    "events": EventsPushed,
    "inbox": InboxPushed,
    "notice": NoticePushed,
    "clock": ClockPushed,
}
"""What the service sends, by its first word."""

SOCKET: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/v1/ws",
    authentication=Authentication.DEVICE,
    summary="Opens the WebSocket. A refused device gets the error, no socket.",
    answer=Raw("", "a WebSocket"),
    errors=(ErrorCode(429, "too-many", "as many devices are connected as the service takes"),),
)


def encode_follows(follows: Follows) -> bytes:
    """A message of a device."""
    return encode_body(follows)


def decode_follows(data: bytes) -> Follows:
    """A message of a device. Raises `Refused` E1 to E7."""
    return decode_body(data, FOLLOW_MAX, Follows)


def encode_pushed(pushed: Pushed) -> bytes:
    """A message of the service."""
    return encode_body(pushed)


def decode_pushed(data: bytes) -> Pushed | None:
    """A message of the service; None for one whose word this version does not know. Raises
    `Refused` E1 to E7.
    """
    first = cbor.first_element(data)[1]
    if not isinstance(first, str):
        raise Refused("E6", "A message of the service is an array that begins with a word.")
    kind = PUSHED.get(first)
    if kind is not None:
        return decode_body(data, PUSH_MAX, kind)
    cbor.outline(data, PUSH_MAX)
    return None
