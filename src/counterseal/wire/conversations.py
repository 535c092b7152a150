"""Conversations: made by one device, changed by one commit an epoch, left by proposal."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from counterseal.protocol.record import Bytes16, Bytes32, Part, Positive, Uint

from .body import KIB, MIB, Rows
from .endpoint import Authentication, Endpoint, ErrorCode, Otherwise

HANDSHAKE_MAX = 4 * MIB
"""Bytes of a commit, a Welcome, a tree or a group info, and of the whole body around them."""
PROPOSAL_MAX = 64 * KIB
HandshakeBytes = Annotated[bytes, Meta(max_length=HANDSHAKE_MAX)]


class PostConversation(Part, frozen=True):
    """A new group at epoch 0: MLS GroupInfo and ratchet tree."""

    group_info: HandshakeBytes
    tree: HandshakeBytes


class ConversationPosted(Part, frozen=True):
    """The conversation's id: the group's."""

    conversation_id: Bytes16


class CommitWelcome(Part, frozen=True):
    """For the devices that a commit adds: MLS Welcome and ratchet tree."""

    devices: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=1_000)]
    welcome: HandshakeBytes
    tree: HandshakeBytes


class PostCommit(Part, frozen=True):
    """A commit for an epoch, with a Welcome if it adds devices."""

    epoch: Uint
    message: HandshakeBytes
    welcome: CommitWelcome | None


class PostProposal(Part, frozen=True):
    """A proposal for an epoch: the sender's own leaving."""

    epoch: Uint
    message: Annotated[bytes, Meta(max_length=PROPOSAL_MAX)]


class HandshakePosted(Part, frozen=True):
    """The number of the event in its conversation."""

    n: Positive


class EpochTaken(Part, frozen=True):
    """Another commit took the epoch's only place; the conversation is at epoch `current`."""

    word: Literal["epoch"]
    current: Uint


class ShownConversation(Part, frozen=True):
    """A conversation that the device is a member of: the last event's number and the epoch."""

    conversation_id: Bytes16
    last_n: Uint
    epoch: Uint


class ShownConversations(Rows, frozen=True):
    """The conversations that the device is a member of."""

    rows: Annotated[tuple[ShownConversation, ...], Meta(max_length=100_000)]


_TAKEN = (Otherwise(409, EpochTaken),)
_HANDSHAKE_ERRORS = (
    ErrorCode(403, "not-a-member", "the device is not in the conversation"),
    ErrorCode(403, "other-device", "the handshake is another device's"),
    ErrorCode(404, "conversation", "there is no such conversation"),
    ErrorCode(409, "busy", "proposals kept coming between; try again"),
    ErrorCode(422, "mls", "the handshake does not verify, or is of another kind"),
)

CONVERSATION_POST: Endpoint[PostConversation, ConversationPosted] = Endpoint(
    method="POST",
    path="/v1/conversations",
    authentication=Authentication.DEVICE,
    summary="Makes a conversation: epoch 0, the creator alone.",
    notes=(
        "Under the charter in force and a logged keyset of it. The same bytes again get the same "
        "answer."
    ),
    request=PostConversation,
    answer=ConversationPosted,
    errors=(
        ErrorCode(404, "keyset", "the keyset is not logged"),
        ErrorCode(409, "conversation", "the id is taken"),
        ErrorCode(409, "too-many-conversations", "the device is in as many as it may"),
        ErrorCode(422, "mls", "the group does not verify"),
    ),
    request_max=HANDSHAKE_MAX,
    repeatable=True,
)
COMMIT_POST: Endpoint[PostCommit, HandshakePosted] = Endpoint(
    method="POST",
    path="/v1/conversations/{conversation}/commits",
    authentication=Authentication.DEVICE,
    summary="Offers a commit; the first that the service takes is the epoch's only one.",
    notes="The Welcome names exactly the devices that the commit adds.",
    request=PostCommit,
    answer=HandshakePosted,
    otherwise=_TAKEN,
    errors=(
        ErrorCode(400, "welcome", "the Welcome names other devices than the commit adds"),
        *_HANDSHAKE_ERRORS,
        ErrorCode(422, "A7", "an added device is not in its account's chain, or is revoked"),
    ),
    request_max=HANDSHAKE_MAX,
)
PROPOSAL_POST: Endpoint[PostProposal, HandshakePosted] = Endpoint(
    method="POST",
    path="/v1/conversations/{conversation}/proposals",
    authentication=Authentication.DEVICE,
    summary="Hands in a member's own wish to leave.",
    request=PostProposal,
    answer=HandshakePosted,
    otherwise=_TAKEN,
    errors=_HANDSHAKE_ERRORS,
    request_max=HANDSHAKE_MAX,
)
CONVERSATIONS: Endpoint[None, ShownConversations] = Endpoint(
    method="GET",
    path="/v1/conversations",
    authentication=Authentication.DEVICE,
    summary="The conversations that the caller is a member of.",
    answer=ShownConversations,
    answer_max=4 * MIB,
)
