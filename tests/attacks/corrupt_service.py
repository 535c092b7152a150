"""A service that lies: a proxy between anybody and the honest service, which passes everything on
but for what a test told it.

Both sides are real: the honest service is a process, whoever is attacked speaks HTTP and WebSocket
to this address. A later word about the same route replaces an earlier one; `honest` forgets all.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from yarl import URL

from counterseal.protocol import cbor
from counterseal.wire.endpoint import Endpoint

_ANSWER_MAX = 1 << 28
_HOP = {"connection", "host", "content-length", "transfer-encoding", "content-encoding", "date"}


class Said(NamedTuple):
    """An answer: its status and body."""

    status: int
    body: bytes
    content_type: str = "application/cbor"


class Asked(NamedTuple):
    """A request that came: what it asked for, by method and path with its query."""

    method: str
    path: str
    body: bytes


Behaviour = Callable[[Asked, Callable[[], "Said"]], "Said | None"]
"""Given the request and a way to ask the honest service; None hangs up without an answer."""


def refusal(status: int, code: str = "corrupt", message: str = "No.") -> Said:
    """An answer as the service refuses: `error` in JSON."""
    body = json.dumps({"code": code, "message": message}).encode()
    return Said(status, body, "application/json")


class CorruptService:
    """A proxy at `url` before the service at `honest`. `asked` is all that it was asked for."""

    def __init__(self, honest: str) -> None:
        self._honest = honest
        self.asked: list[Asked] = []
        self._rules: list[tuple[re.Pattern[str], str, Behaviour]] = []
        self._pushed: Callable[[bytes], bytes | None] | None = None
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the corrupt service did not start")

    # What a test says

    def on(self, endpoint: Endpoint[Any, Any] | str, behaviour: Behaviour) -> None:
        """From now on a route behaves so. A string is a regular expression that the path, without
        its query, has to match as a whole, whatever the method.
        """
        if isinstance(endpoint, str):
            method, pattern = "", re.compile(endpoint)
        else:
            method = endpoint.method
            parts = re.split(r"\{\w+\}", endpoint.path)
            anything = ".+" if "{path}" in endpoint.path else "[^/]+"
            pattern = re.compile(anything.join(re.escape(part) for part in parts))
        kept = [
            rule for rule in self._rules if (rule[0].pattern, rule[1]) != (pattern.pattern, method)
        ]
        self._rules = [(pattern, method, behaviour), *kept]

    def alter(self, endpoint: Endpoint[Any, Any], change: Callable[[Any], Any]) -> None:
        """Good answers of a route are changed: `change` takes and gives the decoded answer."""

        def behave(_: Asked, ask: Callable[[], Said]) -> Said:
            said = ask()
            if said.status != 200:
                return said
            answer = change(endpoint.decode_answer(said.body))
            return said._replace(body=endpoint.encode_answer(answer))

        self.on(endpoint, behave)

    def alter_value(self, endpoint: Endpoint[Any, Any] | str, change: Callable[[Any], Any]) -> None:
        """As `alter`, for what no struct of the route could say: CBOR values."""

        def behave(_: Asked, ask: Callable[[], Said]) -> Said:
            said = ask()
            if said.status != 200:
                return said
            return said._replace(body=cbor.encode(change(cbor.decode(said.body, _ANSWER_MAX))))

        self.on(endpoint, behave)

    def say(self, endpoint: Endpoint[Any, Any] | str, said: Said) -> None:
        """A route is always answered so, without asking: what was posted is swallowed."""
        self.on(endpoint, lambda *_: said)

    def withhold(self, endpoint: Endpoint[Any, Any] | str, status: int = 404) -> None:
        """A route is refused."""
        self.say(endpoint, refusal(status))

    def hang_up(self, endpoint: Endpoint[Any, Any] | str) -> None:
        """A route's connections are closed without an answer."""
        self.on(endpoint, lambda *_: None)

    def delay(self, endpoint: Endpoint[Any, Any] | str, seconds: float) -> None:
        """A route answers late, and truly."""

        def behave(_: Asked, ask: Callable[[], Said]) -> Said:
            said = ask()
            threading.Event().wait(seconds)
            return said

        self.on(endpoint, behave)

    def freeze(self, endpoint: Endpoint[Any, Any] | str) -> None:
        """A route gives for ever what it gave first, to each question: yesterday's truth."""
        kept: dict[tuple[str, str], Said] = {}

        def behave(asked: Asked, ask: Callable[[], Said]) -> Said:
            key = (asked.method, asked.path)
            if key not in kept:
                kept[key] = ask()
            return kept[key]

        self.on(endpoint, behave)

    def fork(self, endpoint: Endpoint[Any, Any] | str, other: str) -> None:
        """A route answers from another service: a second history."""

        def behave(asked: Asked, _: Callable[[], Said]) -> Said:
            return self._wait(self._pass_on(asked, {}, other))

        self.on(endpoint, behave)

    def push(self, change: Callable[[bytes], bytes | None] | None) -> None:
        """What the service sends over WebSockets is changed, or swallowed where `change` gives
        None.
        """
        self._pushed = change

    def honest(self) -> None:
        """From now on nothing is changed."""
        self._rules, self._pushed = [], None

    def close(self) -> None:
        """Ends it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # How it is done

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._http:
            self._started.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._splice(request)
        asked = Asked(request.method, request.raw_path, await request.read())
        self.asked.append(asked)
        behaviour = self._behaviour(asked)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        if behaviour is None:
            said: Said | None = await self._pass_on(asked, headers, self._honest)
        else:
            # in a thread: a behaviour may wait, or ask the honest service
            said = await asyncio.to_thread(
                behaviour, asked, lambda: self._wait(self._pass_on(asked, headers, self._honest))
            )
        if said is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=499)
        return web.Response(
            status=said.status, body=said.body, headers={"Content-Type": said.content_type}
        )

    def _behaviour(self, asked: Asked) -> Behaviour | None:
        path = asked.path.partition("?")[0]
        for pattern, method, behaviour in self._rules:
            if method in ("", asked.method) and pattern.fullmatch(path):
                return behaviour
        return None

    async def _pass_on(self, asked: Asked, headers: dict[str, str], to: str) -> Said:
        url = URL(to + asked.path, encoded=True)
        async with self._http.request(
            asked.method, url, data=asked.body or None, headers=headers, allow_redirects=False
        ) as answer:
            kind = answer.headers.get("Content-Type", "application/octet-stream")
            return Said(answer.status, await answer.read(), kind)

    def _wait(self, work: Any) -> Said:
        said = asyncio.run_coroutine_threadsafe(work, self._loop).result(60)
        assert isinstance(said, Said)
        return said

    async def _splice(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket, message by message in both directions."""
        headers = {k: v for k, v in request.headers.items() if k.lower() == "authorization"}
        url = URL(self._honest + request.raw_path, encoded=True)
        try:
            behind = await self._http.ws_connect(url, headers=headers, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        front = web.WebSocketResponse(max_msg_size=0)
        await front.prepare(request)

        async def down() -> None:
            async for message in behind:
                data = message.data
                if self._pushed is not None:
                    data = self._pushed(data)
                if data is not None:
                    await front.send_bytes(data)

        async def up() -> None:
            async for message in front:
                await behind.send_bytes(message.data)

        ways = [asyncio.ensure_future(way()) for way in (down, up)]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await behind.close()
            await front.close()
        return front
