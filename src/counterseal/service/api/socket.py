"""The WebSocket: events as they are committed, and word of what else there is to fetch."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta
from starlette.websockets import WebSocket, WebSocketDisconnect

from counterseal.protocol import cbor
from counterseal.protocol.errors import BadInput, CountersealError, NotAuthorised, Refused, TooMany
from counterseal.protocol.record import Bytes16, Part, Uint, convert
from counterseal.service.api.http import json_error
from counterseal.service.auth import Request
from counterseal.service.delivery import Connection
from counterseal.service.store import conversations

if TYPE_CHECKING:
    from counterseal.service.app import Service

_MESSAGE_MAX = 1 << 20
_POLICY, _AGAIN = 1008, 1013


class Wish(Part, frozen=True):
    """`[conversation_id, after]`."""

    conversation: Bytes16
    after: Uint


class Wishes(Part, frozen=True):
    """What a device sends: the conversations it follows and how far it has come in each."""

    wishes: Annotated[tuple[Wish, ...], Meta(max_length=10_000)]


async def serve(socket: WebSocket) -> None:
    """`GET /v1/ws`. A refused device gets the HTTP error, no socket."""
    service: Service = socket.app.state.service
    try:
        connection = _connect(service, socket)
    except CountersealError as error:
        await socket.send_denial_response(json_error(error.http_status, error.code, error.message))
        return
    await socket.accept()
    service.hub.connect(connection)
    _greet(service, connection)
    sender = asyncio.create_task(_send(service, socket, connection))
    try:
        await _receive(service, socket, connection)
    except (CountersealError, WebSocketDisconnect, RuntimeError):
        pass  # malformed, gone, or closed by the sender: the device begins again from its cursors
    finally:
        service.hub.disconnect(connection)
        with contextlib.suppress(Exception):
            await sender
        with contextlib.suppress(RuntimeError):
            await socket.close(_AGAIN if connection.closed == "slow" else _POLICY)


def _connect(service: Service, socket: WebSocket) -> Connection:
    caller = service.auth.device(
        socket.headers.get("authorization", ""), Request("GET", _target(socket), b"")
    )
    service.rates.take(caller.device)
    service.directory.require(caller)
    if service.hub.count >= service.settings.delivery.connections:
        raise TooMany("As many devices are connected as this service takes; try again later.")
    limits = service.settings.delivery
    return Connection(caller.account, caller.device, limits.queue_bytes, limits.queue_messages)


def _target(socket: WebSocket) -> str:
    query = str(socket.scope["query_string"], "latin-1")
    return f"{socket.scope['path']}?{query}" if query else str(socket.scope["path"])


def _greet(service: Service, connection: Connection) -> None:
    last = conversations.inbox_last(service.store.reader, connection.device)
    if last:
        connection.push(cbor.encode(["inbox", last]))
    connection.push(cbor.encode(["clock", service.clock.now()]))


async def _receive(service: Service, socket: WebSocket, connection: Connection) -> None:
    while connection.closed is None:
        message = await socket.receive()
        if message["type"] != "websocket.receive":
            return
        data = message.get("bytes")
        if data is None:
            raise BadInput("Messages here are binary.", code="text-message")
        for wish in convert((cbor.decode(data, _MESSAGE_MAX),), Wishes).wishes:
            # a device may have been removed since it last looked
            with contextlib.suppress(NotAuthorised):
                _follow(service, connection, wish)


def _follow(service: Service, connection: Connection, wish: Wish) -> None:
    """Follows the first of the device's memberships that has not ended by the cursor."""
    db = service.store.reader
    seen = conversations.find(db, wish.conversation)
    if seen is None:
        return
    ranges = conversations.memberships(db, seen.no, connection.device)
    for first, last in ranges:
        if last is None or last > wish.after:
            service.hub.follow(connection, seen.no, seen.id, max(wish.after, first - 1), last)
            return


async def _send(service: Service, socket: WebSocket, connection: Connection) -> None:
    try:
        while (messages := await connection.pop(service.hub.read)) is not None:
            for message in messages:
                await socket.send({"type": "websocket.send", "bytes": message})
    except (RuntimeError, OSError, Refused):
        connection.close("gone")
    if connection.closed in ("slow", "revoked", "shutdown"):
        with contextlib.suppress(RuntimeError):
            await socket.close(_AGAIN if connection.closed == "slow" else _POLICY)
