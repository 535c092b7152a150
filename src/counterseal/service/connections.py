"""The edge of the network: how many connections there may be, how much and how slowly each may say,
before anybody knows who it is.

A request's head has at most 16 KiB and 100 headers, and comes within seconds; a body comes at a
pace; who does not read is let go. Beyond the bound of connections the one that has said nothing for
longest gives way. The bound lies below the system's limit of open files, which is raised at start:
running out of them would fail the disk as well.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import OrderedDict
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from counterseal.service.addresses import ClientAddresses
from counterseal.wire.failure import JSON, Failure

HEAD_MAX = 16 << 10
"""Bytes of a request's line and headers."""
HEADERS_MAX = 100
TARGET_MAX = 8 << 10
"""Bytes of a request's path and query."""
FILES_KEPT = 512
"""Open files that are kept for the disk and for witnesses."""
_FEWEST = 64
_FILES_MAX = 1 << 20
_SWEEP = 1.0
_BODY_SECONDS = 30.0
_BODY_PACE = 8 << 10
"""Bytes a second that a body comes with, after its first half minute."""
_DRAIN_SECONDS = 60.0
_DRAIN_BYTES = 16 << 10
"""Bytes that a reader takes in that time, at the least."""
_UNREAD_MAX = 256 << 20
"""Bytes that all readers together may have waiting in buffers."""
_PARTS_MAX = 1_000
_log = logging.getLogger("counterseal.service.connections")


class EdgeLimits(msgspec.Struct, frozen=True):
    """`connections` in all and `an_address` (0: no bound; loopback and proxies have none), and the
    seconds for a request's head.
    """

    connections: int
    an_address: int
    head_seconds: float


def raise_file_limit() -> int:
    """Raises the limit of open files as far as this user may; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, _FILES_MAX)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):
        return soft
    return most


def below_limit(connections: int, files: int) -> int:
    """How many connections there may be with so many open files; says so if that is fewer than
    the settings have.
    """
    most = max(_FEWEST, files - FILES_KEPT)
    if most < connections:
        _log.warning(
            "the system allows %d open files, so there are at most %d connections, not %d;"
            " raise LimitNOFILE (systemd) or ulimit -n",
            files,
            most,
            connections,
        )
    return min(connections, most)


class Edge:
    """All connections of one server."""

    def __init__(self, limits: EdgeLimits, addresses: ClientAddresses) -> None:
        self.limits = limits
        self._addresses = addresses
        self._open: dict[BoundedHttp | BoundedSocket, None] = {}
        self._fresh: OrderedDict[BoundedHttp, None] = OrderedDict()
        self._idle: OrderedDict[BoundedHttp, None] = OrderedDict()
        self._by_address: dict[str, int] = {}
        self.let_go = 0

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def http(self, **arguments: Any) -> BoundedHttp:
        """The protocol of a new connection, for uvicorn."""
        return BoundedHttp(self, **arguments)

    def web_socket(self, **arguments: Any) -> BoundedSocket:
        """The protocol of a connection that becomes a WebSocket, for uvicorn."""
        return BoundedSocket(self, **arguments)

    def add(self, one: BoundedHttp, address: str) -> bool:
        """Counts a new connection; False if it has no place."""
        if self.limits.an_address and not self._addresses.is_shared(address):
            if self._by_address.get(address, 0) >= self.limits.an_address:
                return False
            self._by_address[address] = self._by_address.get(address, 0) + 1
            one.counted = address
        if self.count >= self.limits.connections and not self._make_room():
            return False
        self._open[one] = None
        self._fresh[one] = None
        return True

    def becomes(self, before: BoundedHttp, after: BoundedSocket) -> None:
        """A connection is a WebSocket from now on."""
        after.counted, before.counted = before.counted, None
        self.remove(before)
        self._open[after] = None

    def remove(self, one: BoundedHttp | BoundedSocket) -> None:
        """Forgets a connection that is gone."""
        self._open.pop(one, None)
        if isinstance(one, BoundedHttp):
            self.busy(one)
        if one.counted is not None:
            left = self._by_address[one.counted] - 1
            if left:
                self._by_address[one.counted] = left
            else:
                del self._by_address[one.counted]
            one.counted = None

    def idle(self, one: BoundedHttp) -> None:
        """A request is answered, and nothing more was said."""
        if one in self._open:
            self._idle[one] = None

    def busy(self, one: BoundedHttp) -> None:
        """A request has begun."""
        self._fresh.pop(one, None)
        self._idle.pop(one, None)

    async def run(self) -> None:
        """Lets go who is too slow, every second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        """One look at all connections."""
        waiting = []
        total = 0
        for one in list(self._open):
            size = one.unread()
            total += size
            if one.is_late(now, size):
                self._let_go(one)
            elif size > _DRAIN_BYTES:
                waiting.append((size, one))
        if total > _UNREAD_MAX:
            for size, one in sorted(waiting, key=lambda row: -row[0]):
                self._let_go(one)
                total -= size
                if total <= _UNREAD_MAX // 2:
                    break

    def _make_room(self) -> bool:
        for waiting in (self._fresh, self._idle):
            if waiting:
                oldest, _ = waiting.popitem(last=False)
                self._let_go(oldest)
                return True
        return False

    def _let_go(self, one: BoundedHttp | BoundedSocket) -> None:
        self.let_go += 1
        self.remove(one)
        one.transport.abort()


class _Drain:
    """Whether somebody reads what is sent to it."""

    __slots__ = ("_marked", "_resumed", "_size", "_taken", "resumed")

    def __init__(self) -> None:
        self.resumed = 0
        self._resumed = self._size = self._taken = 0
        self._marked: float | None = None

    def is_stuck(self, now: float, size: int) -> bool:
        """Whether too little of what waits (now `size` bytes) was read for too long."""
        self._taken += max(0, self._size - size)
        self._size = size
        moved = self._taken >= _DRAIN_BYTES or self.resumed != self._resumed
        if size == 0 or moved or self._marked is None:
            self._marked, self._taken, self._resumed = now, 0, self.resumed
            return False
        return now - self._marked > _DRAIN_SECONDS


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's HTTP, with bounds on what comes before it is known who sends it."""

    def __init__(self, edge: Edge, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.counted: str | None = None
        self._edge = edge
        self._drain = _Drain()
        # what came of the request under way that is no body; None between requests
        self._head: int | None = 0
        self._since = self.loop.time()
        self._body = -1
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        # uvicorn asks for the narrower type, which every TCP connection's transport is
        super().connection_made(transport)  # type: ignore[arg-type]
        if not self._edge.add(self, self.client[0] if self.client else ""):
            self._refuse(503, "too-many", "There are as many connections as this service takes.")

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._edge.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._refused or self.parser is None:
            return
        if self._head is None:
            self._head, self._since = 0, self.loop.time()
            self._edge.busy(self)
        self._head += len(data)
        super().data_received(data)
        self._check_head()

    def on_message_begin(self) -> None:
        """See httptools."""
        super().on_message_begin()
        self._body = -1
        if self._head is None:
            self._head, self._since = 0, self.loop.time()
        self._edge.busy(self)

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        super().on_url(url)
        if len(self.url) > TARGET_MAX:
            self._refuse(414, "path", f"A path has at most {TARGET_MAX} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            self._refuse(431, "headers", f"A request has at most {HEADERS_MAX} headers.")

    def on_headers_complete(self) -> None:
        """See httptools."""
        if self._refused:
            return
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_MAX:
            self._refuse(431, "headers", f"A request's head has at most {HEAD_MAX} bytes.")
            return
        self._body, self._since = 0, self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        if self._refused:
            return
        self._body += len(body)
        if self._head is not None:
            self._head -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._refused:
            return
        self._head, self._body = None, -1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        if self._head is None and not self.pipeline:
            self._edge.idle(self)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._drain.resumed += 1
        super().resume_writing()

    def handle_websocket_upgrade(self) -> None:
        """See uvicorn."""
        if not self._refused:
            super().handle_websocket_upgrade()
            upgraded = self.transport.get_protocol()
            if isinstance(upgraded, BoundedSocket):
                self._edge.becomes(self, upgraded)

    def unread(self) -> int:
        """How many bytes of answers wait to be read."""
        return 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()

    def is_late(self, now: float, unread: int) -> bool:
        """Whether it was waited for this connection too long."""
        if self._drain.is_stuck(now, unread):
            return True
        if self._head is None:
            return False
        patience = self._edge.limits.head_seconds
        if self._body >= 0:
            patience = _BODY_SECONDS + self._body / _BODY_PACE
        return now - self._since > patience

    def _check_head(self) -> None:
        # chunks of a body have heads of their own
        if self._head is not None and self._head > HEAD_MAX + max(0, self._body):
            self._refuse(431, "headers", f"A request's head has at most {HEAD_MAX} bytes.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answers without looking at anything, and closes."""
        if self._refused:
            return
        self._refused = True
        if self.transport.is_closing():
            return
        body = Failure(code, message).encode()
        head = (
            f"HTTP/1.1 {status} Refused\r\nContent-Type: {JSON}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        # an answer that is under way is not broken into
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or not cycle.response_started or cycle.response_complete:
            self.transport.write(head.encode() + body)
        self.transport.close()


class BoundedSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, counted, with bounds on messages in parts."""

    def __init__(self, edge: Edge, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.counted: str | None = None
        self._edge = edge
        self._drain = _Drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._edge.remove(self)
        super().connection_lost(exc)

    def handle_cont(self, event: Any) -> None:
        """See uvicorn."""
        if len(self.frames) >= _PARTS_MAX:
            self.transport.abort()
            return
        super().handle_cont(event)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._drain.resumed += 1
        super().resume_writing()

    def unread(self) -> int:
        """How many bytes of messages wait to be read."""
        return 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()

    def is_late(self, now: float, unread: int) -> bool:
        """Whether it was waited for this connection too long."""
        return self._drain.is_stuck(now, unread)
