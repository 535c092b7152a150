"""Conversations: handshakes go in; events and Welcomes come out."""

from __future__ import annotations

from starlette.responses import Response

from counterseal.service.api.gate import DeviceCall, Gate, ServedEndpoint
from counterseal.service.decisions import conversations
from counterseal.service.decisions.conversations import WelcomeFor
from counterseal.service.event_bytes import events_page
from counterseal.service.handshakes import Handshakes
from counterseal.service.store.interface import Snapshot, Store
from counterseal.wire.conversations import (
    COMMIT_POST,
    CONVERSATION_POST,
    CONVERSATIONS,
    PROPOSAL_POST,
    ConversationPosted,
    HandshakePosted,
    PostCommit,
    PostConversation,
    PostProposal,
    ShownConversation,
    ShownConversations,
)
from counterseal.wire.endpoint import CBOR
from counterseal.wire.events import (
    EVENTS,
    EVENTS_BYTES,
    INBOX,
    INBOX_PAGE,
    EventsPage,
    InboxEntries,
    InboxWelcome,
)

_WELCOME = 0


class ConversationRoutes:
    """Making, changing and reading conversations."""

    def __init__(self, store: Store, handshakes: Handshakes) -> None:
        self._store = store
        self._handshakes = handshakes

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.device(CONVERSATION_POST, self.create),
            gate.device(COMMIT_POST, self.commit),
            gate.device(PROPOSAL_POST, self.propose),
            gate.device(CONVERSATIONS, self.mine),
            gate.device(EVENTS, self.events),
            gate.device(INBOX, self.inbox),
        ]

    async def create(self, call: DeviceCall[PostConversation]) -> ConversationPosted:
        """A new conversation."""
        posted = call.request
        made = await self._handshakes.create(call.caller, posted.group_info, posted.tree)
        return ConversationPosted(made)

    async def commit(self, call: DeviceCall[PostCommit]) -> HandshakePosted:
        """A commit."""
        posted, welcome = call.request, None
        if posted.welcome is not None:
            sent = posted.welcome
            welcome = WelcomeFor(sent.devices, sent.welcome, sent.tree)
        conversation = call.parts["conversation"]
        return HandshakePosted(
            await self._handshakes.commit(
                call.caller, conversation, posted.epoch, posted.message, welcome
            )
        )

    async def propose(self, call: DeviceCall[PostProposal]) -> HandshakePosted:
        """A proposal."""
        posted, conversation = call.request, call.parts["conversation"]
        return HandshakePosted(
            await self._handshakes.propose(call.caller, conversation, posted.epoch, posted.message)
        )

    async def mine(self, call: DeviceCall[None]) -> ShownConversations:
        """The conversations that the device is in."""
        device = call.caller.device
        rows = await self._store.read(lambda snapshot: snapshot.conversations.of_device(device))
        return ShownConversations(
            tuple(ShownConversation(row.id, row.last_n, row.epoch) for row in rows)
        )

    async def events(self, call: DeviceCall[None]) -> EventsPage | Response:
        """What the device's memberships let it have, oldest first."""
        conversation, device = call.parts["conversation"], call.caller.device
        after, limit = call.number("after"), call.number("limit")

        def job(snapshot: Snapshot) -> bytes:
            seen = conversations.get(snapshot.conversations, conversation)
            ranges = conversations.get_ranges(snapshot.conversations, seen.no, device)
            page = conversations.read_page(
                snapshot.conversations, seen, ranges, after, limit, EVENTS_BYTES
            )
            last = ranges[-1].last
            return events_page(page, seen.last_n if last is None else last)

        return Response(await self._store.read(job), media_type=CBOR)

    async def inbox(self, call: DeviceCall[None]) -> InboxEntries:
        """Welcomes for this device."""
        device, after = call.caller.device, call.number("after")
        rows = await self._store.read(
            lambda snapshot: snapshot.conversations.inbox(device, after, INBOX_PAGE)
        )
        return InboxEntries(
            tuple(
                InboxWelcome(n, _WELCOME, row.conversation, row.welcome, row.tree, row.commit_n)
                for n, row in rows
            )
        )
