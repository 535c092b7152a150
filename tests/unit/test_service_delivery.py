"""Delivery: nobody misses an event between catching up and going live, and nobody gets what is
after its membership.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from counterseal.service.delivery import Connection, Hub
from counterseal.service.store.rows import StoredEvent
from counterseal.wire.socket import EventsPushed, decode_pushed

CONVERSATION = bytes(16)


class Stored:
    """A conversation's events, read with a pause in which something else may happen."""

    def __init__(self, count: int, last: int | None = None) -> None:
        self.last = last
        self.events = [StoredEvent(n, 0, 1, b"x") for n in range(1, count + 1)]
        self.reads = 0

    def append(self) -> StoredEvent:
        self.events.append(StoredEvent(len(self.events) + 1, 0, 1, b"x"))
        return self.events[-1]

    async def read(
        self, _: int, device: bytes, first: int, after: int
    ) -> tuple[Sequence[StoredEvent], int | None]:
        assert (device, first) == (b"device", 1)
        self.reads += 1
        end = self.last or len(self.events)
        found, last = [event for event in self.events if after < event.n <= end][:20], self.last
        await asyncio.sleep(0.005)
        return found, last


async def received(connection: Connection, stored: Stored, until: int) -> list[int]:
    """The numbers that arrive, up to `until`."""
    numbers: list[int] = []
    while not numbers or numbers[-1] < until:
        for message in await connection.pop(stored.read) or []:
            pushed = decode_pushed(message)
            assert isinstance(pushed, EventsPushed)
            numbers += [event.n for event in pushed.events]
    return numbers


def follower(hub: Hub) -> Connection:
    connection = Connection(b"account", b"device", 1 << 20, 1_000)
    hub.connect(connection)
    hub.follow(connection, 7, CONVERSATION, 0, 1)
    return connection


async def test_events_that_come_while_a_read_is_on_its_way_are_not_missed() -> None:
    stored = Stored(7)
    hub = Hub(stored.read)
    connection = follower(hub)
    reading = asyncio.create_task(received(connection, stored, 60))
    while len(stored.events) < 60:
        hub.publish(7, CONVERSATION, [stored.append()])
        await asyncio.sleep(0.001)
    assert await asyncio.wait_for(reading, 10) == list(range(1, 61))
    # not each was read for itself
    assert stored.reads < 60


async def test_a_membership_that_ends_meanwhile_ends_the_events() -> None:
    stored = Stored(4)
    hub = Hub(stored.read)
    connection = follower(hub)
    reading = asyncio.create_task(received(connection, stored, 6))
    for _ in range(2):
        hub.publish(7, CONVERSATION, [stored.append()])
    stored.last = 6
    hub.end_membership(7, [b"device"], 6)
    for _ in range(3):
        hub.publish(7, CONVERSATION, [stored.append()])
    assert await asyncio.wait_for(reading, 10) == [1, 2, 3, 4, 5, 6]
    await asyncio.sleep(0.05)
    assert connection.idle or connection.subscriptions[7].cursor == 6


async def test_a_membership_of_the_past_is_read_to_its_end() -> None:
    stored = Stored(9, last=5)
    hub = Hub(stored.read)
    connection = follower(hub)
    assert await asyncio.wait_for(received(connection, stored, 5), 10) == [1, 2, 3, 4, 5]


async def test_an_end_that_is_stored_but_not_told_yet_holds() -> None:
    """The removal is durable, and so are frames after it, before the hub has heard of either."""
    stored = Stored(6, last=6)
    hub = Hub(stored.read)
    connection = follower(hub)
    later = [stored.append() for _ in range(3)]
    assert await asyncio.wait_for(received(connection, stored, 6), 10) == [1, 2, 3, 4, 5, 6]
    hub.end_membership(7, [b"device"], 6)
    hub.publish(7, CONVERSATION, later)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(received(connection, stored, 9), 0.1)
    assert connection.subscriptions[7].cursor == 6
