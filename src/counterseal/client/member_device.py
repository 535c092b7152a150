"""A member's device as one object: everything that a program may ask of it.

The command line opens the folder for each batch, so that reading in one terminal does not lock out
sending from another. Programs that have the folder to themselves (the demonstration, benchmarks,
tests) hold it open all the time, for speed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from counterseal.client import (
    accounts,
    attachments,
    following,
    history,
    joining,
    key_packages,
    linking,
    membership,
    notices,
    overview,
    own_devices,
    recovery,
    returning,
    sending,
    synchronising,
)
from counterseal.client.attachments import Progress
from counterseal.client.history import HistoryEntry, MessageCounts
from counterseal.client.home import DeviceHome, Pins, Prompt
from counterseal.client.linking import LinkRequest
from counterseal.client.notices import WarrantNotice
from counterseal.client.session import Session
from counterseal.client.states import LIVE, READABLE, ConversationState
from counterseal.protocol.errors import CountersealError, Unavailable
from counterseal.protocol.frame import Attachment

Callback = Callable[[HistoryEntry], Awaitable[None] | None]
Trouble = Callable[[CountersealError], None]


class MemberDevice:
    """One device of one account. Use as `async with await MemberDevice.open(path) as alice`.

    Ids of accounts and keys of devices are 32 bytes, ids of conversations 16. Whatever asks the
    service raises what it refuses, and `Unavailable` when it does not answer.
    """

    def __init__(self, session: Session, *, hold: bool = True) -> None:
        self.session = session
        self._held = contextlib.ExitStack()
        if hold:
            self._held.enter_context(session.home.hold())
        self._tick = asyncio.Lock()

    @classmethod
    async def create_account(
        cls,
        home: Path,
        service_url: str,
        handle: str,
        display_name: str = "",
        *,
        demonstration: bool = False,
        genesis: str | None = None,
        passphrase: str | None = None,
        hold: bool = True,
    ) -> MemberDevice:
        """A new account with its first device in the folder `home`. `genesis` is the first
        charter's digest in hex.

        Raises `Conflict` for a handle or folder that is taken; `Refused` M7, C17.
        """
        made = await accounts.create(
            home,
            service_url,
            handle,
            display_name,
            demonstration=demonstration,
            genesis=genesis,
            passphrase=passphrase,
        )
        return cls(Session.open(made), hold=hold)

    @classmethod
    async def open(
        cls, home: Path, *, prompt: Prompt | None = None, hold: bool = True
    ) -> MemberDevice:
        """The device in an existing folder; `prompt` asks a person for its passphrase.

        Raises `NotFound`, `BadInput`.
        """
        return cls(Session.open(DeviceHome.load(home, prompt)), hold=hold)

    async def __aenter__(self) -> MemberDevice:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes connections and folder."""
        await self.session.close()
        self._held.close()

    # --- who this is

    @property
    def account(self) -> bytes:
        """The account's id."""
        return self.session.me[0]

    @property
    def device(self) -> bytes:
        """The device's key."""
        return self.session.me[1]

    @property
    def pins(self) -> Pins:
        """What this device holds its domain to."""
        return self.session.home.pins

    @property
    def handle(self) -> str:
        """The account's handle, without `@` and domain."""
        with self.session.store() as store:
            return store.settings.handle or ""

    async def describe_account(self) -> overview.AccountOverview:
        """Who this device is, after a look at the charters."""
        await self.refresh()
        with self.session.store() as store:
            return overview.describe_account(self.session, store)

    # --- keeping up

    async def refresh(self) -> None:
        """Looks at charters, keysets, and one's own account, when that is due."""
        async with self._tick:
            await self.session.directory.refresh()

    async def synchronise(self) -> None:
        """Takes in everything that is new; sends nothing."""
        async with self._tick:
            await synchronising.synchronise(self.session)

    async def bring_up(self) -> None:
        """Brings the device up to date: takes in what is new, adopts linked devices, brings back
        members who lost theirs, leaves key packages, sends what waits.
        """
        async with self._tick:
            await synchronising.synchronise(self.session)
            await own_devices.adopt(self.session)
            await returning.bring_back_all(self.session)
            await key_packages.stock(self.session)
            await sending.flush_all(self.session)

    async def sync(self) -> MessageCounts:
        """Brings the device up to date and returns the counts."""
        await self.bring_up()
        return self.counts()

    async def sync_until(self, messages: int, seconds: float = 60.0) -> MessageCounts:
        """Synchronises until this device knows of `messages` messages (shown, sent, refused,
        pending together). Raises `Unavailable` after `seconds`.
        """
        end = time.monotonic() + seconds
        while True:
            counts = await self.sync()
            if counts.shown + counts.sent + counts.pending + counts.refused >= messages:
                return counts
            if time.monotonic() > end:
                raise Unavailable(
                    f"After {seconds:.0f} s this device knows of {counts} only,"
                    f" not of {messages} messages.",
                    code="timeout",
                )
            await asyncio.sleep(0.1)

    async def follow(
        self,
        callback: Callback | None = None,
        *,
        after: int | None = None,
        conversation: bytes | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        """Takes in what happens as it happens, until cancelled. `callback` gets each new row of the
        history in order, from row `after` on (default: from now on), of one conversation or of all.
        """
        shown = self._newest() if after is None else after
        async for _ in following.follow(self.session, self._tick, trouble):
            # the folder is opened once for all of them
            with self.session.store():
                chosen = [conversation] if conversation else self.conversations(*READABLE)
                fresh = [entry for one in chosen for entry in self.entries(one, shown)]
            for entry in sorted(fresh, key=lambda entry: entry.number):
                shown = max(shown, entry.number)
                done = callback(entry) if callback is not None else None
                if done is not None:
                    await done

    def _newest(self) -> int:
        with self.session.store() as store:
            return store.messages.newest()

    # --- conversations

    async def create_conversation(self, name: str = "", members: Sequence[str] = ()) -> bytes:
        """A new conversation with the accounts behind these handles; returns its id. Nothing is
        made when a handle is not found.
        """
        session = self.session
        async with self._tick:
            await session.directory.refresh()
            found = [await session.directory.accounts.find(one) for one in self._local(members)]
            conversation = await membership.create(session, name)
            if found:
                await membership.add_accounts(session, conversation, found)
            return conversation

    async def add(self, conversation: bytes, handles: Sequence[str]) -> None:
        """Brings accounts in, with all their devices, in one commit."""
        async with self._tick:
            await membership.add(self.session, conversation, self._local(handles))

    async def remove(self, conversation: bytes, handle: str) -> None:
        """Removes an account, with all its devices."""
        async with self._tick:
            [local] = self._local([handle])
            account = await self.session.directory.accounts.find(local)
            await membership.remove(self.session, conversation, account)

    async def leave(self, conversation: bytes) -> ConversationState:
        """Asks to be removed; the next active member's commit does it. Returns the state then."""
        async with self._tick:
            await membership.leave(self.session, conversation)
        with self.session.store() as store:
            return store.conversations.state(conversation)

    def conversations(self, *states: ConversationState) -> list[bytes]:
        """Ids of the conversations in one of `states`; without any, of those this device is in."""
        with self.session.store() as store:
            return store.conversations.ids(*(states or LIVE))

    def cursor(self, conversation: bytes) -> int:
        """The number of the conversation's last event that was taken in."""
        with self.session.store() as store:
            return store.conversations.cursor(conversation)

    async def list_conversations(self) -> list[overview.ConversationSummary]:
        """Every conversation, after a look into the inbox."""
        async with self._tick:
            await joining.take_inbox(self.session)
        with self.session.store() as store:
            return overview.list_conversations(self.session, store)

    def find_conversation(self, words: str) -> bytes:
        """The conversation that a person means: by its name, or by at least 4 digits of its id.

        Raises `NotFound`; `BadInput` when several are meant.
        """
        with self.session.store() as store:
            return overview.find_conversation(store.conversations.all(), words)

    def describe_conversation(self, conversation: bytes) -> overview.ConversationOverview:
        """Who reads a conversation, and by which charter it can be opened."""
        with self.session.store() as store:
            return overview.describe_conversation(self.session, store, conversation)

    # --- messages

    async def send(self, conversation: bytes, text: str, sent_at_ms: int | None = None) -> int:
        """Sends one message and waits for the service's acknowledgement; returns its row's number.
        An error leaves it in the outbox.
        """
        [row] = await self.send_many(conversation, [(text, sent_at_ms)])
        return row

    async def send_many(
        self, conversation: bytes, messages: Sequence[tuple[str, int | None]]
    ) -> list[int]:
        """Sends messages in order, up to 64 in one request; `sent_at_ms` has to lie in the present
        period (F10) to be kept.
        """
        async with self._tick:
            with self.session.transaction() as store:
                rows = [
                    sending.queue(store, conversation, self.session.me, text, at)
                    for text, at in messages
                ]
            await sending.flush(self.session, conversation)
            return rows

    def queue(self, conversation: bytes, text: str) -> int:
        """Takes a message into the outbox, for the next `bring_up`; returns its row's number.

        Raises `BadInput`, `NotFound`.
        """
        with self.session.transaction() as store:
            return sending.queue(store, conversation, self.session.me, text, None)

    async def flush(self, conversation: bytes) -> int:
        """Sends what waits in one conversation; returns how many messages were acknowledged."""
        async with self._tick:
            return await sending.flush(self.session, conversation)

    async def attach(
        self, conversation: bytes, path: Path, text: str = "", progress: Progress | None = None
    ) -> int:
        """Sends a file; returns the message's row."""
        async with self._tick:
            return await attachments.attach(self.session, conversation, path, text, progress)

    async def download(
        self, attachment: Attachment, folder: Path, progress: Progress | None = None
    ) -> Path:
        """Fetches an attachment into `folder` and returns the file's path. Raises `Refused` M10."""
        return await attachments.download(self.session, attachment, folder, progress)

    def counts(self, conversation: bytes | None = None) -> MessageCounts:
        """How many messages are in each state."""
        with self.session.store() as store:
            return history.counts(store, conversation)

    def entries(self, conversation: bytes, after: int = 0, limit: int = 1000) -> list[HistoryEntry]:
        """The conversation's history after row `after`."""
        with self.session.store() as store:
            return history.entries(store, conversation, after, limit)

    def search(self, words: str) -> list[HistoryEntry]:
        """Messages that contain all of `words`, newest first."""
        with self.session.store() as store:
            return history.search(store, words)

    # --- notices

    async def notices(self) -> list[WarrantNotice]:
        """Fetches notices, and returns all that this account was told."""
        async with self._tick:
            await notices.fetch(self.session)
        with self.session.store() as store:
            return notices.received(store)

    def notice_statements(self, warrant: bytes) -> list[bytes]:
        """The signed notices about a warrant (its digest, 32 bytes), to be shown to anybody."""
        with self.session.store() as store:
            return notices.statements(store, warrant)

    # --- devices of the account

    @staticmethod
    async def request_link(
        home: Path,
        service_url: str,
        code: str,
        *,
        demonstration: bool = False,
        passphrase: str | None = None,
    ) -> LinkRequest:
        """A new folder with a new device in it; returns the request that a device of the account
        has to be shown. Raises what `linking.request` raises.
        """
        return await linking.request(
            home, service_url, code, demonstration=demonstration, passphrase=passphrase
        )

    @staticmethod
    async def finish_link(home: Path, reply: bytes, prompt: Prompt | None = None) -> None:
        """Takes the reply to such a request. Raises what `linking.finish` raises."""
        await linking.finish(DeviceHome.load(home, prompt), reply)

    # --- the recovery phrase

    @staticmethod
    def show_phrase(home: Path, prompt: Prompt | None = None) -> list[str]:
        """The 24 words of the account. Raises what `recovery.show_phrase` raises."""
        return recovery.show_phrase(DeviceHome.load(home, prompt), prompt)

    @staticmethod
    def confirm_phrase(
        home: Path, places: Sequence[int], answers: Sequence[str], prompt: Prompt | None = None
    ) -> None:
        """Takes note that the owner wrote the words down. Raises `BadInput` for a wrong one."""
        recovery.confirm_phrase(DeviceHome.load(home, prompt), places, answers, prompt)

    @staticmethod
    async def find_lost_account(
        home: Path,
        service_url: str,
        handle: str,
        phrase: str,
        *,
        demonstration: bool = False,
        genesis: str | None = None,
        passphrase: str | None = None,
    ) -> recovery.Found:
        """The account that the phrase belongs to, and a new device for it in the folder `home`.
        Raises what `recovery.find` raises.
        """
        return await recovery.find(
            home,
            service_url,
            handle,
            phrase,
            demonstration=demonstration,
            genesis=genesis,
            passphrase=passphrase,
        )

    @classmethod
    async def come_back(
        cls,
        found: recovery.Found,
        *,
        lost: Collection[bytes],
        replace_key: bool = False,
        prompt: Prompt | None = None,
        hold: bool = True,
    ) -> MemberDevice:
        """Ends the lost devices, adds this one, and opens it."""
        await recovery.come_back(found, lost=lost, replace_key=replace_key, prompt=prompt)
        return cls(Session.open(found.home), hold=hold)

    async def invite(self) -> str:
        """The code that a new device is linked with."""
        async with self._tick:
            return await linking.invite(self.session)

    def describe_request(self, request: bytes) -> str:
        """What approving a request would do, for the person who decides."""
        return linking.describe(self.session, request)

    async def approve(self, request: bytes, *, main: bool = False) -> bytes:
        """Approves a request; returns the sealed reply. A `main` device gets the account's key."""
        async with self._tick:
            return await linking.approve(self.session, request, main=main)

    async def linked_devices(self) -> list[overview.LinkedDevice]:
        """The account's devices, as its chain in the log has them."""
        async with self._tick:
            await self.session.directory.updates.refresh()
            await self.session.directory.accounts.learn(self.account)
        with self.session.store() as store:
            return overview.linked_devices(self.session, store)

    def find_device(self, digits: str) -> bytes:
        """The account's device that a person means, by at least 4 digits of its key."""
        with self.session.store() as store:
            return overview.find_device(self.session, store, digits)

    async def revoke(self, device: bytes) -> None:
        """Ends a device of this account, and removes it from every conversation."""
        async with self._tick:
            await own_devices.revoke(self.session, device)

    def _local(self, handles: Sequence[str]) -> list[str]:
        return [accounts.local_handle(handle, self.pins.domain) for handle in handles]
