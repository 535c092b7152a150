"""The WebSocket: tells at once that there is something to fetch, and is never the only way to learn
it.

It delivers what happens while it is open; whatever was missed in between comes by cursor
(receiving.py). A lost connection is made again, waiting longer each time up to half a minute, and
each new one begins with the cursors as they are then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import aiohttp
import msgspec

from counterseal.client.service_client import ServiceClient, jitter
from counterseal.protocol.errors import Refused, Unavailable
from counterseal.wire.socket import Follow, Follows, Pushed, decode_pushed, encode_follows

Cursors = Callable[[], Iterable[tuple[bytes, int]]]
_WAIT_MAX = 30.0  # seconds


class StreamConnected(msgspec.Struct, frozen=True):
    """A connection is made (again): catch up now."""


Signal = StreamConnected | Pushed


class EventStream:
    """One device's WebSocket. `cursors` returns (conversation, last number) pairs as they are at
    each connection.
    """

    def __init__(self, service: ServiceClient, cursors: Cursors) -> None:
        self._service = service
        self._cursors = cursors
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def signals(self) -> AsyncIterator[Signal]:
        """Signals for ever. Whatever ends a connection, a malformed message among it, is mended by
        the next one: the cursors know where to go on.
        """
        failures = 0
        while True:
            try:
                async for signal in self._connection():
                    failures = 0
                    yield signal
            except (aiohttp.ClientError, OSError, TimeoutError, Refused, Unavailable):
                pass
            failures += 1
            await asyncio.sleep(min(_WAIT_MAX, 0.1 * 2 ** min(failures, 9)) * jitter())

    async def watch(self, conversation: bytes, after: int) -> None:
        """Asks for one more conversation on the present connection; without one, the next asks by
        itself.
        """
        if self._socket is not None and not self._socket.closed:
            follows = Follows((Follow(conversation, after),))
            await self._socket.send_bytes(encode_follows(follows))

    async def _connection(self) -> AsyncIterator[Signal]:
        async with await self._service.connect() as socket:
            self._socket = socket
            try:
                follows = Follows(tuple(Follow(c, n) for c, n in self._cursors()))
                await socket.send_bytes(encode_follows(follows))
                yield StreamConnected()
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.BINARY:
                        break
                    signal = decode_pushed(message.data)
                    if signal is not None:
                        yield signal
            finally:
                self._socket = None
