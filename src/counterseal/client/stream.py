"""The WebSocket: tells at once that there is something to fetch, and is never the only way to learn
it.

It delivers what happens while it is open; whatever was missed in between comes by cursor (sync.py).
A lost connection is made again, waiting longer each time up to half a minute, and each new one
begins with the cursors as they stand then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from counterseal.client.answers import Event
from counterseal.client.api import ANSWER_MAX, Service, jitter
from counterseal.protocol import cbor
from counterseal.protocol.errors import Refused, Unavailable
from counterseal.protocol.record import convert

Cursors = Callable[[], Iterable[tuple[bytes, int]]]
_PATH = "/v1/ws"
_WAIT_MAX = 30.0


class Connected(msgspec.Struct, frozen=True):
    """A connection stands (again): catch up now."""


class EventsArrived(msgspec.Struct, frozen=True):
    """Events of one conversation, in order, as they happened."""

    conversation: bytes
    events: tuple[Event, ...]


class WelcomeArrived(msgspec.Struct, frozen=True):
    """There is a welcome up to number `last`."""

    last: int


class NoticePublished(msgspec.Struct, frozen=True):
    """A sealed notice was published, for somebody."""

    index: int


class ClockMoved(msgspec.Struct, frozen=True):
    """The domain's clock, Unix seconds."""

    now: int


Signal = Connected | EventsArrived | WelcomeArrived | NoticePublished | ClockMoved


class Stream:
    """One device's WebSocket. `cursors` gives (conversation, last number) pairs as they stand at
    each connection.
    """

    def __init__(self, service: Service, cursors: Cursors) -> None:
        self._service = service
        self._cursors = cursors
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def signals(self) -> AsyncIterator[Signal]:
        """Signals for ever. Errors: only what reconnecting cannot mend (Refused for a malformed
        message is mended by reconnecting).
        """
        failures = 0
        while True:
            try:
                async for signal in self._connection():
                    failures = 0
                    yield signal
            except (aiohttp.ClientError, OSError, TimeoutError, Refused, Unavailable):
                pass  # whatever it was, the cursors know where to go on
            failures += 1
            await asyncio.sleep(min(_WAIT_MAX, 0.1 * 2 ** min(failures, 9)) * jitter())

    async def watch(self, conversation: bytes, after: int) -> None:
        """Asks for one more conversation on the present connection; without one, the next asks by
        itself.
        """
        if self._socket is not None and not self._socket.closed:
            await self._socket.send_bytes(cbor.encode([[conversation, after]]))

    async def _connection(self) -> AsyncIterator[Signal]:
        headers = self._service.authorization("GET", _PATH, b"")
        url = URL(self._service.url + _PATH, encoded=True)
        async with self._service.session.ws_connect(
            url, headers=headers, heartbeat=25, max_msg_size=ANSWER_MAX
        ) as socket:
            self._socket = socket
            try:
                await socket.send_bytes(cbor.encode([[c, n] for c, n in self._cursors()]))
                yield Connected()
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.BINARY:
                        break
                    signal = parse(message.data)
                    if signal is not None:
                        yield signal
            finally:
                self._socket = None


def parse(data: bytes) -> Signal | None:
    """One message of the service; None for a kind that this version does not know. Raises `Refused`
    E1 to E7.
    """
    value: Any = cbor.decode(data, ANSWER_MAX)
    match value:
        case ("events", bytes() as conversation, tuple() as rows):
            return EventsArrived(conversation, tuple(convert(row, Event) for row in rows))
        case ("inbox", int() as last):
            return WelcomeArrived(last)
        case ("notice", int() as index):
            return NoticePublished(index)
        case ("clock", int() as now):
            return ClockMoved(now)
        case (str(), *_):
            return None
    raise Refused(
        "E6",
        "The service sent something over its WebSocket that is not as docs/reference/api.md says.",
    )
