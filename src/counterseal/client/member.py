"""A member as one object, for programs: the demonstration, benchmarks and tests. What it does is
what the command line does.

In this face the folder stays open all the time, for speed; the command line opens it for each batch
instead, so that reading in one terminal does not lock out sending from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from counterseal.client import (
    accounts,
    attachments,
    conversations,
    history,
    linking,
    notices,
    outbox,
    sync,
)
from counterseal.client.history import Counts, Line
from counterseal.client.home import Home
from counterseal.client.session import Session
from counterseal.client.stream import Connected, Events, Inbox, NoticeUp, Signal, Stream, Tick
from counterseal.protocol.errors import CountersealError, Unavailable

Callback = Callable[[Line], Awaitable[None] | None]


class Member:
    """One device of one account, with its folder held open. Use as `async with await
    Member.open(path) as alice`.
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
    ) -> Member:
        """A new account with its first device in the folder `home`. `genesis` is the first
        charter's digest in hex. Errors: Conflict, M7, C17.
        """
        made = await accounts.create(
            home, service_url, handle, display_name, demonstration=demonstration, genesis=genesis
        )
        return cls(Session.open(made))

    @classmethod
    async def open(cls, home: Path, *, hold: bool = True) -> Member:
        """The device in an existing folder. Errors: NotFound."""
        return cls(Session.open(Home.load(home)), hold=hold)

    async def __aenter__(self) -> Member:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes connections and folder."""
        await self.session.close()
        self._held.close()

    @property
    def account(self) -> bytes:
        """The account's id, 32 bytes."""
        return self.session.me[0]

    @property
    def device(self) -> bytes:
        """The device's key, 32 bytes."""
        return self.session.me[1]

    @property
    def handle(self) -> str:
        """The account's handle, without `@` and domain."""
        with self.session.vault() as vault:
            return str(vault.get("handle"))

    async def create_conversation(self, name: str = "", members: Sequence[str] = ()) -> bytes:
        """A new conversation with the accounts behind these handles; gives its id, 16 bytes."""
        async with self._tick:
            conversation = await conversations.create(self.session, name)
            if members:
                await conversations.add(self.session, conversation, self._local(members))
            return conversation

    async def add(self, conversation: bytes, handles: Sequence[str]) -> None:
        """Brings accounts in, with all their devices, in one commit."""
        async with self._tick:
            await conversations.add(self.session, conversation, self._local(handles))

    async def remove(self, conversation: bytes, handle: str) -> None:
        """Removes an account, with all its devices."""
        async with self._tick:
            account = await self.session.directory.find(self._local([handle])[0])
            await conversations.remove(self.session, conversation, account)

    async def leave(self, conversation: bytes) -> None:
        """Asks to be removed; the next active member's commit does it."""
        async with self._tick:
            await conversations.leave(self.session, conversation)

    async def send(self, conversation: bytes, text: str, sent_at_ms: int | None = None) -> int:
        """Sends one message and waits for the service's acknowledgement; gives its row. Errors
        leave it in the outbox.
        """
        return (await self.send_many(conversation, [(text, sent_at_ms)]))[0]

    async def send_many(
        self, conversation: bytes, messages: Sequence[tuple[str, int | None]]
    ) -> list[int]:
        """Sends messages in order, up to 64 in one request; `sent_at_ms` has to lie in the present
        period (F10) to be kept.
        """
        async with self._tick:
            with self.session.transaction() as vault:
                rows = [
                    outbox.queue(vault, conversation, self.session.me, text, at)
                    for text, at in messages
                ]
            await outbox.flush(self.session, conversation)
            return rows

    async def attach(self, conversation: bytes, path: Path, text: str = "") -> int:
        """Sends a file."""
        async with self._tick:
            return await attachments.attach(self.session, conversation, path, text)

    async def sync(self) -> Counts:
        """Catches up with everything, sends what waits, and looks after the device; gives the
        counts.
        """
        async with self._tick:
            await self._sync()
        return self.counts()

    async def _sync(self) -> None:
        await bring_up(self.session)

    async def sync_until(self, messages: int, seconds: float = 60.0) -> Counts:
        """Synchronises until this device knows of `messages` messages (shown, sent, refused,
        pending together). Errors: Unavailable.
        """
        end = time.monotonic() + seconds
        while True:
            counts = await self.sync()
            if counts.shown + counts.sent + counts.pending + counts.refused >= messages:
                return counts
            if time.monotonic() > end:
                raise Unavailable(
                    f"After {seconds:.0f} s this device knows of {counts} only, not of {messages} messages.",
                    code="timeout",
                )
            await asyncio.sleep(0.1)

    def counts(self, conversation: bytes | None = None) -> Counts:
        """How many messages stand in each state."""
        with self.session.vault() as vault:
            return history.counts(vault, conversation)

    def lines(self, conversation: bytes, after: int = 0) -> list[Line]:
        """The conversation's history from row `after` on."""
        with self.session.vault() as vault:
            return history.lines(vault, conversation, after)

    def conversations(self) -> list[bytes]:
        """Ids of the conversations this device is in."""
        with self.session.vault() as vault:
            return vault.conversations("active", "leaving")

    async def notices(self) -> list[notices.Told]:
        """Fetches notices, and gives all that this account was told."""
        async with self._tick:
            await notices.fetch(self.session)
            with self.session.vault() as vault:
                return notices.told(vault)

    async def follow(self, callback: Callback | None = None) -> None:
        """Takes in what happens as it happens, until cancelled; `callback` gets each new line of
        the history, in order.
        """
        shown = self._newest()
        async for _ in follow(self.session, self._tick):
            with self.session.vault() as vault:
                fresh = [
                    line
                    for cid in vault.conversations("active", "leaving", "left", "broken")
                    for line in history.lines(vault, cid, shown)
                ]
            for line in sorted(fresh, key=lambda line: line.number):
                shown = max(shown, line.number)
                done = callback(line) if callback is not None else None
                if done is not None:
                    await done

    def _newest(self) -> int:
        with self.session.vault() as vault:
            return vault.count("SELECT coalesce(max(id), 0) FROM client_message")

    def _local(self, handles: Sequence[str]) -> list[str]:
        return [accounts.local_handle(handle, self.session.home.pins.domain) for handle in handles]


async def bring_up(session: Session) -> None:
    """Brings the device up to date: catches up, adopts linked devices, leaves key packages, sends
    what waits.
    """
    await sync.everything(session)
    await linking.adopt(session)
    await accounts.stock(session)
    await flush_all(session)


async def flush_all(session: Session) -> int:
    """Sends what waits in every conversation; gives how many were acknowledged."""
    with session.vault() as vault:
        waiting = [
            row[0] for row in vault.execute("SELECT DISTINCT conversation FROM client_outbox")
        ]
    sent = 0
    for conversation in waiting:
        with session.vault() as vault:
            if vault.state(conversation) not in ("active", "creating"):
                continue
        sent += await outbox.flush(session, conversation)
    return sent


async def follow(
    session: Session, tick: asyncio.Lock, trouble: Callable[[CountersealError], None] | None = None
) -> AsyncIterator[Signal]:
    """Yields after each thing that was taken in. The folder is open only while something is
    processed, never while waiting.

    What cannot be taken in is told to `trouble` and tried again when the next thing comes, or at
    the next connection.
    """

    def cursors() -> list[tuple[bytes, int]]:
        with session.vault() as vault:
            return [(cid, vault.cursor(cid)) for cid in vault.conversations("active", "leaving")]

    stream = Stream(session.service, cursors)
    session.watch = stream.watch
    try:
        async for signal in stream.signals():
            async with tick:
                try:
                    await _heed(session, stream, signal)
                except CountersealError as error:
                    if trouble is not None:
                        trouble(error)
            yield signal
    finally:
        session.watch = None


async def _heed(session: Session, stream: Stream, signal: Signal) -> None:
    """Does what a signal asks for."""
    match signal:
        case Connected():
            await sync.everything(session)
            await flush_all(session)
        case Events(conversation, events):
            with session.vault() as vault:
                cursor = vault.cursor(conversation)
            if events and events[0].n <= cursor + 1:
                await sync.process(session, conversation, events)
            else:  # something is missing in between: the cursor knows
                await sync.catch_up(session, conversation)
            await conversations.settle(session, conversation)
        case Inbox():
            await sync.inbox(session)
            with session.vault() as vault:
                live = [(cid, vault.cursor(cid)) for cid in vault.conversations("active")]
            for conversation, cursor in live:
                await sync.catch_up(session, conversation)
                await stream.watch(conversation, cursor)
        case Tick(now):
            session.hear(now)
            await sync.pending(session)
        case NoticeUp():
            await notices.fetch(session)
