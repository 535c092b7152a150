"""Fan-out to connected devices: one append and one encoding however many receive, and the bytes
that came in go out.

Everything here runs on the event loop. The store hands over committed events in order; each
conversation's followers get them as one ready message. What waits for a connection is bounded: a
device that does not read fast enough is disconnected and catches up by cursor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from counterseal.service.event_bytes import events_message
from counterseal.service.store.rows import StoredEvent
from counterseal.wire.operator import DeviceCursor
from counterseal.wire.socket import Pushed, encode_pushed

GATHER = 0.004
"""Seconds that events gather while a conversation is busy."""
_ENDLESS = 1 << 62

ReadEvents = Callable[[int, bytes, int, int], Awaitable[tuple[Sequence[StoredEvent], int | None]]]
"""(conversation's `no`, device, first n of its membership, after n): a page of events in order, and
the last n of that membership (None: no end), both of one moment.
"""


class Subscription:
    """One device's place in one conversation: the last `n` handed out, and the membership that it
    reads by, from event `first` to `last` (None: no end).

    It catches up by reading until it is `live`; `published` is the newest `n` that went past it
    meanwhile.
    """

    __slots__ = (
        "connection",
        "conversation",
        "cursor",
        "first",
        "last",
        "live",
        "number",
        "published",
    )

    def __init__(
        self,
        connection: Connection,
        number: int,
        conversation: bytes,
        cursor: int,
        first: int,
    ) -> None:
        self.connection = connection
        self.number = number
        self.conversation = conversation
        self.cursor = cursor
        self.first = first
        self.last: int | None = None
        self.live = False
        self.published = 0

    @property
    def end(self) -> int:
        """The last `n` that the membership allows."""
        return _ENDLESS if self.last is None else self.last


class Budget:
    """Bytes that may wait for all connections together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Connection:
    """What waits for one WebSocket. `pop` is the sending task's side."""

    def __init__(
        self,
        account: bytes,
        device: bytes,
        max_bytes: int,
        max_messages: int,
        shared: Budget | None = None,
    ) -> None:
        self.account = account
        self.device = device
        self.closed: str | None = None
        self.subscriptions: dict[int, Subscription] = {}
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._shared = Budget(1 << 62) if shared is None else shared
        self._limits = (max_bytes, max_messages)
        self._woken = asyncio.Event()
        self._catching_up: deque[Subscription] = deque()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._waiting and not self._catching_up

    def push(self, message: bytes) -> None:
        """Queues one message; a connection that is over its bounds is closed instead."""
        if self.closed is not None:
            return
        self._waiting.append(message)
        self._bytes += len(message)
        self._shared.used += len(message)
        over = self._bytes > self._limits[0] or len(self._waiting) > self._limits[1]
        if over or self._shared.used > self._shared.limit:
            self.close("slow")
        self._woken.set()

    def close(self, reason: str) -> None:
        """Ends the connection; what waits is dropped, since the cursor brings it again."""
        self.closed = self.closed or reason
        self._forget()
        self._woken.set()

    def _forget(self) -> None:
        self._waiting.clear()
        self._shared.used -= self._bytes
        self._bytes = 0

    def catch_up(self, subscription: Subscription) -> None:
        """Has the sending task read what the subscription has missed."""
        self._catching_up.append(subscription)
        self._woken.set()

    async def pop(self, read: ReadEvents) -> list[bytes] | None:
        """The messages to send next, or None once the connection is closed. Older events first."""
        while self.closed is None:
            if self._waiting:
                messages = list(self._waiting)
                self._forget()
                return messages
            if self._catching_up:
                # one that was asked for again, by another membership, is done with
                if self._is_over(self._catching_up[0]):
                    self._catching_up.popleft()
                    continue
                message = await self._next_page(self._catching_up[0], read)
                if message is not None:
                    return [message]
                continue
            self._woken.clear()
            await self._woken.wait()
        return None

    def _is_over(self, subscription: Subscription) -> bool:
        return self.subscriptions.get(subscription.number) is not subscription

    async def _next_page(self, subscription: Subscription, read: ReadEvents) -> bytes | None:
        number, first, cursor = subscription.number, subscription.first, subscription.cursor
        events, last = await read(number, self.device, first, cursor)
        # what is read is no later than the end that is read with it; an end that comes after the
        # read is told to the hub, which has the subscription already
        if last is not None:
            subscription.last = last
        if events:
            subscription.cursor = events[-1].n
            return events_message(subscription.conversation, events)
        # what was handed out between the read and now is read in the next round
        if min(subscription.published, subscription.end) <= subscription.cursor:
            subscription.live = True
            self._catching_up.remove(subscription)
        return None


class Hub:
    """Who is connected, and who follows which conversation."""

    def __init__(self, read: ReadEvents, all_bytes: int = 1 << 62) -> None:
        self.read = read
        self.budget = Budget(all_bytes)
        self._gathered: dict[int, tuple[bytes, list[StoredEvent]]] = {}
        self._flush_due = False
        self._flushed = 0.0
        self._followers: dict[int, set[Subscription]] = {}
        self._devices: dict[bytes, dict[Connection, None]] = {}
        self.count = 0

    def connect(self, connection: Connection, a_device: int = 1 << 30) -> None:
        """Adds a connection. Of more than `a_device` of one device the oldest gives way: it may be
        what a broken network left behind.
        """
        connections = self._devices.setdefault(connection.device, {})
        connections[connection] = None
        self.count += 1
        open_ones = [one for one in connections if one.closed is None]
        for oldest in open_ones[: max(0, len(open_ones) - a_device)]:
            oldest.close("replaced")

    def disconnect(self, connection: Connection) -> None:
        """Forgets a connection and what it followed."""
        connection.close("gone")
        for subscription in connection.subscriptions.values():
            self._unfollow(subscription)
        connections = self._devices.get(connection.device)
        if connections is not None and connection in connections:
            del connections[connection]
            self.count -= 1
            if not connections:
                del self._devices[connection.device]

    def follow(
        self,
        connection: Connection,
        number: int,
        conversation: bytes,
        cursor: int,
        first: int,
    ) -> None:
        """Lets a connection follow a conversation from after `cursor`, by the membership that
        begins at event `first`. What it follows already by that membership goes on as it is.
        """
        before = connection.subscriptions.get(number)
        if before is not None:
            if before.first == first:
                return
            self._unfollow(before)
        subscription = Subscription(connection, number, conversation, cursor, first)
        connection.subscriptions[number] = subscription
        self._followers.setdefault(number, set()).add(subscription)
        connection.catch_up(subscription)

    def publish(self, number: int, conversation: bytes, events: Sequence[StoredEvent]) -> None:
        """Hands committed events, in order, to all that follow the conversation: at once when it is
        quiet, else every few milliseconds.

        Under load one message then carries what several senders said, and each receiver costs one
        write instead of many.
        """
        if number not in self._followers or not events:
            return
        self._gathered.setdefault(number, (conversation, []))[1].extend(events)
        if not self._flush_due:
            self._flush_due = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._flushed + GATHER), self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        self._flushed = asyncio.get_running_loop().time()
        gathered, self._gathered = self._gathered, {}
        for number, (conversation, events) in gathered.items():
            self._hand_out(number, conversation, events)

    def _hand_out(self, number: int, conversation: bytes, events: Sequence[StoredEvent]) -> None:
        followers = self._followers.get(number)
        if not followers:
            return
        message = events_message(conversation, events)
        first, last = events[0].n, events[-1].n
        for subscription in followers:
            # catching up reads them, or has read them
            if not subscription.live:
                subscription.published = last
            elif subscription.cursor >= last:
                continue
            elif subscription.cursor + 1 == first and last <= subscription.end:
                subscription.cursor = last
                subscription.connection.push(message)
            else:
                _push_part(subscription, events)

    def end_membership(self, number: int, devices: Iterable[bytes], last: int) -> None:
        """After the commit `last`, these devices get nothing more of the conversation."""
        for device in devices:
            for connection in self._devices.get(device, ()):
                subscription = connection.subscriptions.get(number)
                if subscription is not None:
                    # what gathers still is cut there when it is handed out
                    subscription.last = last

    def notify_device(self, device: bytes, pushed: Pushed) -> None:
        """A message to every connection of one device."""
        message = encode_pushed(pushed)
        for connection in self._devices.get(device, ()):
            connection.push(message)

    def notify_all(self, pushed: Pushed) -> None:
        """The same message to everybody."""
        message = encode_pushed(pushed)
        for connections in self._devices.values():
            for connection in connections:
                connection.push(message)

    def revoke(self, device: bytes) -> None:
        """Disconnects a device whose key is revoked."""
        for connection in tuple(self._devices.get(device, ())):
            connection.close("revoked")

    def cursors(self) -> list[DeviceCursor]:
        """How far each connected device is in what it follows; 0 where something still waits to be
        sent.
        """
        return [
            DeviceCursor(
                device,
                subscription.conversation,
                subscription.cursor if connection.idle and subscription.live else 0,
            )
            for device, connections in self._devices.items()
            for connection in connections
            for subscription in connection.subscriptions.values()
        ]

    def close_all(self, reason: str) -> None:
        """Ends every connection, for a shutdown."""
        for connections in tuple(self._devices.values()):
            for connection in tuple(connections):
                connection.close(reason)

    def _unfollow(self, subscription: Subscription) -> None:
        followers = self._followers.get(subscription.number)
        if followers is not None:
            followers.discard(subscription)
            if not followers:
                del self._followers[subscription.number]


def _push_part(subscription: Subscription, events: Sequence[StoredEvent]) -> None:
    """The events after the cursor that the membership allows."""
    part = [event for event in events if subscription.cursor < event.n <= subscription.end]
    if part:
        subscription.cursor = part[-1].n
        subscription.connection.push(events_message(subscription.conversation, part))
