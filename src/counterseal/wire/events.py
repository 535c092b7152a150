"""What happened in conversations, to read by cursor: events, and Welcomes in a device's inbox."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.record import Bytes16, Part, Positive, Uint

from .body import MIB
from .conversations import HandshakeBytes
from .endpoint import Authentication, Endpoint, ErrorCode, Query

FRAME, COMMIT, PROPOSAL = 0, 1, 2
"""Kinds of events."""
EVENTS_PAGE = 500
"""Events in an answer, at most."""
EVENTS_BYTES = MIB
"""Bytes of messages after which a page of events ends."""
INBOX_PAGE = 20
"""Welcomes in an answer, at most."""


class ConversationEvent(Part, frozen=True):
    """One event: its number in the conversation, from 1; kind 0 frame, 1 commit, 2 proposal; the
    service's stamp in Unix seconds; the MLS message.
    """

    n: Positive
    kind: Uint
    time: Uint
    message: HandshakeBytes


class EventsPage(Part, frozen=True):
    """Events in order, and the number of the last one that the device may have."""

    events: Annotated[tuple[ConversationEvent, ...], Meta(max_length=EVENTS_PAGE)]
    last_n: Uint


class InboxWelcome(Part, frozen=True):
    """A Welcome in a device's inbox: its number there, from 1; kind 0; the conversation, the
    Welcome, the ratchet tree, and the number of the commit that it belongs to.
    """

    n: Positive
    kind: Uint
    conversation_id: Bytes16
    welcome: HandshakeBytes
    tree: HandshakeBytes
    commit_n: Positive


class InboxEntries(Part, frozen=True):
    """Welcomes in order."""

    entries: Annotated[tuple[InboxWelcome, ...], Meta(max_length=INBOX_PAGE)]


EVENTS: Endpoint[None, EventsPage] = Endpoint(
    method="GET",
    path="/v1/conversations/{conversation}/events",
    authentication=Authentication.DEVICE,
    summary="A conversation's events after a number: at most 500 and about 1 MiB.",
    notes=(
        "Kind 0 is a frame, 1 a commit, 2 a proposal. A device gets what its memberships cover: "
        "from the commit that added it up to the one that removed it."
    ),
    answer=EventsPage,
    errors=(
        ErrorCode(403, "not-a-member", "the device was never in the conversation"),
        ErrorCode(404, "conversation", "there is no such conversation"),
    ),
    query=(
        Query("after", "the last number that is known", default=0),
        Query("limit", "events at most", default=EVENTS_PAGE, least=1, most=EVENTS_PAGE),
    ),
    answer_max=32 * MIB,
)
INBOX: Endpoint[None, InboxEntries] = Endpoint(
    method="GET",
    path="/v1/inbox",
    authentication=Authentication.DEVICE,
    summary="The Welcomes for the caller after a number, at most 20.",
    answer=InboxEntries,
    query=(Query("after", "the last number that is known", default=0),),
    answer_max=32 * MIB,
)
