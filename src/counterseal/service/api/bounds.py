"""What a request may cost before anybody knows who sends it: its address's rate, and its body."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.requests import Request

from counterseal.protocol.errors import TooLarge, Unavailable
from counterseal.service.addresses import ClientAddresses
from counterseal.service.limits import Rates
from counterseal.wire.endpoint import Endpoint


class Bodies:
    """How many bytes of bodies there are in memory, of all requests under way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    @contextlib.contextmanager
    def hold(self) -> Iterator[HeldBody]:
        """A body, of no bytes yet, until the request is answered."""
        held = HeldBody(self)
        try:
            yield held
        finally:
            self._held -= held.size

    def add(self, size: int) -> None:
        """Counts bytes that came. Raises `Unavailable` "busy"."""
        if self._held + size > self._limit:
            raise Unavailable(
                "The service has as many requests in hand as it takes; try again later.",
                code="busy",
            )
        self._held += size


class HeldBody:
    """One request's body as it comes."""

    def __init__(self, bodies: Bodies) -> None:
        self.size = 0
        self.is_whole = False
        self._bodies = bodies

    async def read(self, request: Request, endpoint: Endpoint[Any, Any]) -> bytes:
        """The body, of at most `request_max` bytes. Raises `TooLarge`, `Unavailable` "busy"."""
        if endpoint.method == "GET":
            return b""
        stated = request.headers.get("content-length", "")
        if stated.isascii() and stated.isdigit() and int(stated[:18]) > endpoint.request_max:
            raise TooLarge(f"The body is over {endpoint.request_max} bytes.")
        chunks: list[bytes] = []
        async for chunk in request.stream():
            if self.size + len(chunk) > endpoint.request_max:
                raise TooLarge(f"The body is over {endpoint.request_max} bytes.")
            self._bodies.add(len(chunk))
            self.size += len(chunk)
            chunks.append(chunk)
        self.is_whole = True
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Bounds(msgspec.Struct, frozen=True):
    """The bounds of one service."""

    rates: Rates
    addresses: ClientAddresses
    bodies: Bodies

    def take(self, request: Request) -> None:
        """Counts a request against its address's rate. Raises `TooMany`."""
        self.rates.take(self.addresses.of(request))
