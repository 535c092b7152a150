"""A domain's service as this device calls it: signed, bounded, timed and repeated where that is
safe. What is asked and answered is in `wire`; nothing here believes an answer.

An answer has the right *form* (E1 to E7) and no more: proofs are checked in log.py and lookup.py,
frames by the compiled core. Only calls that may safely be made twice are made twice
(`Endpoint.may_repeat`).
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from yarl import URL

from counterseal.protocol.errors import (
    BadInput,
    CountersealError,
    EpochConflict,
    Refused,
    Unavailable,
    error_from_status,
)
from counterseal.wire.authentication import NONCE_BYTES, SignedRequest
from counterseal.wire.blobs import BLOB
from counterseal.wire.body import SMALL
from counterseal.wire.conversations import EpochTaken
from counterseal.wire.device_authentication import sign_as_device
from counterseal.wire.endpoint import CBOR, Endpoint, Raw
from counterseal.wire.failure import Failure
from counterseal.wire.socket import PUSH_MAX, SOCKET

ATTEMPTS = 4
"""How often a call is made that may be repeated."""

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10, sock_read=30)
_HEARTBEAT = 25  # seconds
# who stops following does not wait for a service that is slow to say goodbye
_SOCKET_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=2.0)
A = TypeVar("A")
Q = TypeVar("Q")


class DeviceIdentity(msgspec.Struct, frozen=True):
    """Who signs the requests: ids of 32 bytes and the device's Ed25519 key."""

    domain: str
    account: bytes
    device: bytes
    key: Ed25519PrivateKey


class ServiceClient:
    """One domain's service. `identity` is None until the device has one: then only what anybody may
    ask can be asked.
    """

    def __init__(self, url: str, identity: DeviceIdentity | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInput(
                f"{url} is no address of a service;"
                " it begins with https:// (or http:// on this machine).",
                code="url",
            )
        self.url = url.rstrip("/")
        self._identity = identity
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ServiceClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def call(
        self, endpoint: Endpoint[Q, A], request: Q | None = None, **parts: bytes | int | str
    ) -> A:
        """Makes one call; `parts` are those of the endpoint's path and query. Returns the answer,
        unchecked.

        Raises `Refused` E1 to E7 for an answer of another form; what the service answers, as
        `error_from_status` says; `Unavailable` when it does not answer.
        """
        path = endpoint.at(**parts)
        body = b"" if request is None else endpoint.encode_request(request)
        data = await self._ask(endpoint, path, body, {}, endpoint.answer_max)
        return endpoint.decode_answer(data)

    async def read_blob(self, digest: bytes, offset: int, length: int) -> bytes:
        """At most `length` bytes of a blob from `offset` on. Raises what `call` raises."""
        span = {"Range": f"bytes={offset}-{offset + length - 1}"}
        return await self._ask(BLOB, BLOB.at(digest=digest), b"", span, length)

    async def call_other(
        self, url: str, endpoint: Endpoint[None, A], **parts: bytes | int | str
    ) -> A:
        """Asks another server than the service, unsigned and once. Raises what `call` raises."""
        path = endpoint.at(**parts)
        where = url.rstrip("/")
        data = await self._exchange(where, endpoint, path, b"", {}, endpoint.answer_max)
        return endpoint.decode_answer(data)

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        """Opens the WebSocket. Raises aiohttp's errors."""
        path = SOCKET.at()
        return await self._session.ws_connect(
            URL(self.url + path, encoded=True),
            headers=self.authorization(SOCKET.method, path, b""),
            heartbeat=_HEARTBEAT,
            max_msg_size=PUSH_MAX,
            timeout=_SOCKET_TIMEOUT,
        )

    def authorization(self, method: str, path: str, body: bytes) -> dict[str, str]:
        """The header that signs one request; empty without an identity."""
        who = self._identity
        if who is None:
            return {}
        request = SignedRequest(who.domain, method, path, body)
        now_ms, nonce = time.time_ns() // 1_000_000, os.urandom(NONCE_BYTES)
        signed = sign_as_device(request, who.account, who.device, who.key, now_ms, nonce)
        return {"Authorization": signed}

    @property
    def _session(self) -> aiohttp.ClientSession:
        """The connections, made on first use: an event loop has to run."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False)
        return self._http

    async def _ask(
        self,
        endpoint: Endpoint[Q, A],
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        limit: int,
    ) -> bytes:
        async def once() -> bytes:
            # a signature is good for one request: its nonce is not taken twice
            signed = self.authorization(endpoint.method, path, body)
            return await self._exchange(
                self.url, endpoint, path, body, {**headers, **signed}, limit
            )

        return await (_repeat(once) if endpoint.may_repeat else once())

    async def _exchange(
        self,
        url: str,
        endpoint: Endpoint[Q, A],
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        limit: int,
    ) -> bytes:
        """One request and its answer's body."""
        sent = dict(headers)
        if body:
            request = endpoint.request
            sent["Content-Type"] = request.media_type if isinstance(request, Raw) else CBOR
        try:
            async with self._session.request(
                endpoint.method,
                # what was signed is what is sent, letter by letter
                URL(url + path, encoded=True),
                data=body or None,
                headers=sent,
                allow_redirects=False,
            ) as answer:
                done = answer.status < 300
                data = await bounded(answer, limit if done else SMALL)
                if not done:
                    raise read_failure(endpoint, answer.status, data)
                return data
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"The service at {url} does not answer ({_why(error)}); try again later.",
                code="no-answer",
            ) from None


async def _repeat(call: Callable[[], Awaitable[bytes]]) -> bytes:
    """Calls until it is answered, `ATTEMPTS` times at most, waiting longer each time and never in
    step with other devices.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(0.2 * 2**attempt * jitter())
    return await call()


def jitter() -> float:
    """A factor between 0.5 and 1.5, so that devices which lost the service together do not come
    back together.
    """
    return 0.5 + random.random()  # noqa: S311 - for waiting, not for secrets


async def bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The answer's body, at most `limit` bytes. Raises `Refused` E4 as soon as it is longer."""
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_chunked(1 << 16):
        size += len(part)
        if size > limit:
            raise Refused(
                "E4", f"The service's answer is longer than the {limit} bytes it may have."
            )
        parts.append(part)
    return b"".join(parts)


def read_failure(endpoint: Endpoint[Q, A], status: int, body: bytes) -> CountersealError:
    """What an answer of another status than 200 means: its code and sentence are kept."""
    failure = Failure.decode(body)
    if failure is not None:
        return error_from_status(status, failure.code, f"The service says: {failure.message}")
    try:
        otherwise = endpoint.decode_otherwise(status, body)
    except Refused:
        otherwise = None
    if isinstance(otherwise, EpochTaken):
        return EpochConflict("The service says: another commit was first.")
    return error_from_status(status)


def _why(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
