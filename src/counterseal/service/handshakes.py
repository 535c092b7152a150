"""Handshakes: a device makes a conversation, commits to it, or proposes to leave it.

Each is verified by the compiled core against the stored state of its group, judged, and taken only
if nothing came between; when just a proposal did, it is judged again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from counterseal.protocol.errors import Conflict
from counterseal.service import mls
from counterseal.service.authentication import DeviceCaller
from counterseal.service.clock import WindowClock
from counterseal.service.decisions import conversations
from counterseal.service.decisions.conversations import CommitTaken, WelcomeFor
from counterseal.service.delivery import Hub
from counterseal.service.devices import KnownDevices
from counterseal.service.settings import LimitSettings
from counterseal.service.store.interface import Snapshot, Store, Transaction
from counterseal.service.store.rows import StoredConversation, StoredEvent
from counterseal.service.trust import DomainRules
from counterseal.wire.socket import InboxPushed

_TRIES = 8


class Handshakes:
    """Takes handshakes, and tells the connected devices of them."""

    def __init__(
        self,
        store: Store,
        trust: DomainRules,
        devices: KnownDevices,
        window_clock: WindowClock,
        hub: Hub,
        limits: LimitSettings,
    ) -> None:
        self._store = store
        self._trust = trust
        self._devices = devices
        self._clock = window_clock
        self._hub = hub
        self._limits = limits

    async def create(self, caller: DeviceCaller, group_info: bytes, tree: bytes) -> bytes:
        """The id of a new conversation, under the charter in force and a logged keyset."""
        group = mls.public_group(group_info, tree)
        row = conversations.check_new(group, caller)
        self._trust.check_context(row.charter, row.quarter, row.keyset)
        conversation = group.view.conversation
        limit = self._limits.conversations

        def job(tables: Transaction) -> None:
            conversations.create(tables, conversation, row, caller.device, limit)

        await self._store.write("conversation", job)
        return conversation

    async def commit(
        self,
        caller: DeviceCaller,
        conversation: bytes,
        epoch: int,
        message: bytes,
        welcome: WelcomeFor | None,
    ) -> int:
        """The number of a commit: the first that the service takes is the epoch's only one."""

        async def attempt() -> int:
            seen, staged = await self._staged(caller, conversation, epoch, message)
            conversations.check_commit(staged, caller, seen, self._limits.members)
            view = staged.view
            context = (view.charter_digest, view.quarter, view.keyset_digest)
            if context != (seen.charter, seen.quarter, seen.keyset):
                self._trust.check_context(*context)
            await self._check_added(staged, welcome)
            return await self._take_commit(caller, seen, staged, message, welcome)

        return await _again_after_proposals(attempt)

    async def propose(
        self, caller: DeviceCaller, conversation: bytes, epoch: int, message: bytes
    ) -> int:
        """The number of a member's proposal to leave."""

        async def attempt() -> int:
            seen, staged = await self._staged(caller, conversation, epoch, message)
            conversations.check_proposal(staged, caller)

            def job(tables: Transaction) -> StoredEvent:
                now = self._clock.now()
                return conversations.take_proposal(tables, seen, staged, caller, message, now)

            def after(event: StoredEvent) -> None:
                self._hub.publish(seen.no, seen.id, [event])

            return (await self._store.write("proposal", job, after)).n

        return await _again_after_proposals(attempt)

    async def _staged(
        self, caller: DeviceCaller, conversation: bytes, epoch: int, message: bytes
    ) -> tuple[StoredConversation, mls.Public]:
        """The conversation, and what the handshake makes of its group."""

        def job(snapshot: Snapshot) -> tuple[StoredConversation, bytes]:
            return conversations.judged_against(snapshot, conversation, caller.device, epoch)

        seen, state = await self._store.read(job)
        return seen, mls.public_process(state, message)

    async def _check_added(self, staged: mls.Public, welcome: WelcomeFor | None) -> None:
        accounts = [await self._devices.account_of(device) for _, device in staged.added]

        def job(snapshot: Snapshot) -> list[bytes | None]:
            return [snapshot.key_packages.owner(ref) for ref in staged.added_refs]

        owners = await self._store.read(job) if staged.added_refs else []
        conversations.check_added(staged, accounts, owners, welcome)

    async def _take_commit(
        self,
        caller: DeviceCaller,
        seen: StoredConversation,
        staged: mls.Public,
        message: bytes,
        welcome: WelcomeFor | None,
    ) -> int:
        def job(tables: Transaction) -> CommitTaken:
            now = self._clock.now()
            return conversations.take_commit(tables, seen, staged, caller, message, welcome, now)

        def after(taken: CommitTaken) -> None:
            self._hub.publish(seen.no, seen.id, [taken.event])
            self._hub.end_membership(seen.no, taken.removed, taken.event.n)
            for device, n in taken.delivered:
                self._hub.notify_device(device, InboxPushed(n))

        return (await self._store.write("commit", job, after)).event.n


async def _again_after_proposals(attempt: Callable[[], Awaitable[int]]) -> int:
    for _ in range(_TRIES):
        try:
            return await attempt()
        except Conflict as error:
            if error.code != "version":
                raise
    raise Conflict("Proposals keep coming between; try again.", code="busy")
