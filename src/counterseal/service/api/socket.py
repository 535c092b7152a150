"""The WebSocket: events as they are committed, and word of what else there is to fetch."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from counterseal.protocol.errors import BadInput, CountersealError, NotAuthorised, Refused, TooMany
from counterseal.service.api.gate import Gate, ServedEndpoint, refusal
from counterseal.service.clock import WindowClock
from counterseal.service.delivery import Connection, Hub
from counterseal.service.settings import DeliverySettings
from counterseal.service.store.interface import Snapshot, Store
from counterseal.service.store.rows import StoredConversation, StoredMembership
from counterseal.wire.socket import (
    CLOSE_POLICY,
    CLOSE_TRY_AGAIN,
    SOCKET,
    ClockPushed,
    Follow,
    InboxPushed,
    decode_follows,
    encode_pushed,
)

_GONE = (WebSocketDisconnect, RuntimeError, OSError)
"""What a socket raises whose other end is gone."""
_WISH_PACE = 100_000
"""Bytes a second of wishes: a message of 10,000 conversations takes some seconds."""


class SocketRoutes:
    """Devices that stay connected."""

    def __init__(
        self,
        gate: Gate,
        store: Store,
        window_clock: WindowClock,
        hub: Hub,
        settings: DeliverySettings,
    ) -> None:
        self._gate = gate
        self._store = store
        self._clock = window_clock
        self._hub = hub
        self._settings = settings

    def routes(self) -> list[ServedEndpoint]:
        """What is served here."""
        return [ServedEndpoint(SOCKET, WebSocketRoute(SOCKET.path, self.serve))]

    async def serve(self, socket: WebSocket) -> None:
        """Serves one device. One that is refused gets the HTTP error, no socket."""
        try:
            connection = await self._connect(socket)
        except CountersealError as error:
            await socket.send_denial_response(refusal(error))
            return
        self._hub.connect(connection, self._settings.sockets_a_device)
        sender = None
        try:
            await socket.accept()
            await self._greet(connection)
            sender = asyncio.create_task(self._send(socket, connection))
            await self._receive(socket, connection)
        # malformed, gone, or closed by the sender: the device begins again from its cursors
        except (CountersealError, *_GONE):
            pass
        finally:
            self._hub.disconnect(connection)
            if sender is not None:
                with contextlib.suppress(Exception):
                    await sender
            with contextlib.suppress(*_GONE):
                await socket.close(_close_code(connection))

    async def _connect(self, socket: WebSocket) -> Connection:
        caller = await self._gate.connecting_device(socket)
        settings = self._settings
        if self._hub.count >= settings.connections:
            raise TooMany("As many devices are connected as this service takes; try again later.")
        return Connection(
            caller.account,
            caller.device,
            settings.queue_bytes,
            settings.queue_messages,
            self._hub.budget,
        )

    async def _greet(self, connection: Connection) -> None:
        device = connection.device
        last = await self._store.read(lambda snapshot: snapshot.conversations.inbox_last(device))
        if last:
            connection.push(encode_pushed(InboxPushed(last)))
        connection.push(encode_pushed(ClockPushed(self._clock.now())))

    async def _receive(self, socket: WebSocket, connection: Connection) -> None:
        while connection.closed is None:
            message = await socket.receive()
            if message["type"] != "websocket.receive":
                return
            data = message.get("bytes")
            if data is None:
                raise BadInput("Messages here are binary.", code="text-message")
            follows = {row.conversation_id: row for row in decode_follows(data).rows}
            for follow in follows.values():
                # a device may have been removed since it last looked
                with contextlib.suppress(NotAuthorised):
                    await self._follow(connection, follow)
                # others have their turn
                await asyncio.sleep(0)
            # nothing is read from this device meanwhile
            await asyncio.sleep(len(data) / _WISH_PACE)

    async def _follow(self, connection: Connection, follow: Follow) -> None:
        """Follows the first of the device's memberships that has not ended by the cursor."""
        conversation, device = follow.conversation_id, connection.device

        def job(snapshot: Snapshot) -> tuple[StoredConversation, list[StoredMembership]] | None:
            seen = snapshot.conversations.find(conversation)
            if seen is None:
                return None
            return seen, snapshot.conversations.memberships(seen.no, device)

        found = await self._store.read(job)
        if found is None:
            return
        seen, ranges = found
        for span in ranges:
            if span.last is None or span.last > follow.after:
                cursor = max(follow.after, span.first - 1)
                self._hub.follow(connection, seen.no, seen.id, cursor, span.first)
                return

    async def _send(self, socket: WebSocket, connection: Connection) -> None:
        try:
            while (messages := await connection.pop(self._hub.read)) is not None:
                for message in messages:
                    await socket.send({"type": "websocket.send", "bytes": message})
        except (*_GONE, Refused):
            connection.close("gone")
        if connection.closed in ("slow", "revoked", "replaced", "shutdown"):
            with contextlib.suppress(*_GONE):
                await socket.close(_close_code(connection))


def _close_code(connection: Connection) -> int:
    return CLOSE_TRY_AGAIN if connection.closed in ("slow", "replaced") else CLOSE_POLICY
