"""The service's HTTP interface as typed calls (docs/reference/api.md): signed, bounded and timed;
nothing here believes an answer.

What comes back has the right *form* (E1 to E7) and no more: proofs are checked in directory.py,
frames by the compiled core. Only calls that may safely be made twice are made twice: reads, and
writes that the service answers alike when the same bytes come again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from yarl import URL

from counterseal.client.answers import (
    AccountAnswer,
    Claimed,
    Clock,
    EventPage,
    FramesAnswer,
    HandleAnswer,
    InboxPage,
    InclusionAnswer,
    LogProof,
    Number,
    Packages,
    Statement,
    field,
    row,
)
from counterseal.protocol import cbor
from counterseal.protocol.errors import (
    BadInput,
    CountersealError,
    Refused,
    Unavailable,
    error_from_status,
)
from counterseal.protocol.record import Part, convert

ANSWER_MAX = 32 << 20
"""Bytes an answer may have unless a call says less: a page of events with large commits is the
largest.
"""
SMALL = 64 << 10
STATEMENT_MAX = 4 << 20
ATTEMPTS = 4
BLOB_MAX = 100 << 20
CHUNK = 1 << 20

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10, sock_read=30)
A = TypeVar("A", bound=Part)


class Identity(msgspec.Struct, frozen=True):
    """Who signs the requests: ids of 32 bytes and the device's Ed25519 key."""

    domain: str
    account: bytes
    device: bytes
    key: Ed25519PrivateKey


class Service:
    """One domain's service. `identity` is None until the device has one: then only what anybody may
    ask can be asked.
    """

    def __init__(self, url: str, identity: Identity | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInput(
                f"{url} is no address of a service; it begins with https:// (or http:// on this machine).",
                code="url",
            )
        self.url = url.rstrip("/")
        self.identity = identity
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Service:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections, made on first use: an event loop has to run."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False)
        return self._session

    def authorization(self, method: str, path: str, body: bytes) -> dict[str, str]:
        """The header that signs one request (api.md "Authentication"); empty without an
        identity.
        """
        who = self.identity
        if who is None:
            return {}
        now, nonce = time.time_ns() // 1_000_000, os.urandom(16)
        digest = hashlib.sha256(body).digest()
        signature = who.key.sign(
            cbor.encode([cbor.tag("request"), who.domain, method, path, now, nonce, digest])
        )
        words = (
            _base64(who.account),
            _base64(who.device),
            str(now),
            _base64(nonce),
            _base64(signature),
        )
        return {"Authorization": f"Counterseal-Device {'.'.join(words)}"}

    # anybody
    async def identity_of_domain(self) -> tuple[Any, ...]:
        """`[domain, log origin, [log vkeys], ledger origin, [ledger vkeys]]`, unchecked."""
        return await self._get("/v1/identity", SMALL)

    async def charter(self, digest: bytes) -> bytes:
        """A charter statement's bytes by its digest, unchecked."""
        return (
            await self._read(f"/v1/charters/{digest.hex()}", Statement, STATEMENT_MAX)
        ).statement

    async def charter_in_force(self) -> bytes:
        """The statement of the charter that the service calls in force, unchecked."""
        return (await self._read("/v1/charter", Statement, STATEMENT_MAX)).statement

    async def charters(self) -> tuple[tuple[bytes, int], ...]:
        """`(statement, log index)` of all charters, oldest first, unchecked."""
        rows = [row(listed, bytes, int) for listed in await self._get("/v1/charters", ANSWER_MAX)]
        return tuple((statement, index) for statement, index in rows)

    async def keysets(self, charter: bytes) -> tuple[tuple[int, bytes, int], ...]:
        """`(quarter, statement, log index)` of a charter's logged keysets, unchecked."""
        rows = await self._get(f"/v1/keysets/{charter.hex()}", ANSWER_MAX)
        return tuple(
            (quarter, statement, index)
            for quarter, statement, index in (row(listed, int, bytes, int) for listed in rows)
        )

    async def clock(self) -> Clock:
        """The clock that windows go by, Unix seconds, and whether it is a demonstration's."""
        return await self._read("/v1/clock", Clock, SMALL)

    async def log_proof(self, entry: bytes) -> LogProof:
        """Inclusion of a log entry's hash (32 bytes) in the newest checkpoint, unchecked. Errors:
        NotFound.
        """
        return await self._read(f"/v1/log/proof/{entry.hex()}", LogProof, SMALL)

    async def log_consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The path from the tree of `old` leaves to that of `new`, unchecked."""
        (path,) = await self._get(f"/v1/log/consistency?from={old}&to={new}", SMALL, length=1)
        return tuple(field(node, bytes) for node in field(path, tuple))

    async def notices(self, after: int) -> tuple[tuple[int, bytes], ...]:
        """`(index, sealed notice)` published after `after`, at most 500, unchecked."""
        rows = [
            row(listed, int, bytes)
            for listed in await self._get(f"/v1/notices?after={after}", ANSWER_MAX)
        ]
        return tuple((index, sealed) for index, sealed in rows)

    # this device
    async def create_account(
        self, handle: str, account: bytes, device: bytes, possession: bytes
    ) -> bytes:
        """Registers; gives the account's id. Same bytes again: same answer. Errors: Conflict when
        the handle is taken.
        """
        answer = await self._post(
            "/v1/accounts", [handle, account, [device, possession]], again=True
        )
        return field(row(answer, bytes, int)[0], bytes)

    async def add_statement(
        self, account: bytes, kind: str, cose: bytes, possession: bytes | None
    ) -> None:
        """The next statement of an account's chain. Errors: Conflict when another came first."""
        await self._post(f"/v1/accounts/{account.hex()}/statements", [kind, cose, possession])

    async def account(self, account: bytes) -> AccountAnswer:
        """An account's chain, unchecked. Errors: NotFound."""
        return await self._read(f"/v1/accounts/{account.hex()}", AccountAnswer, STATEMENT_MAX)

    async def handle(self, handle: str) -> HandleAnswer:
        """Where a handle points, with its proof, unchecked. Errors: NotFound."""
        return await self._read(f"/v1/handles/{quote(handle, safe='')}", HandleAnswer, SMALL)

    async def set_profile(self, account: bytes, name: str) -> None:
        """The display name that others are shown; at most 200 bytes."""
        await self._ask(
            "PUT", f"/v1/accounts/{account.hex()}/profile", [name], limit=SMALL, again=True
        )

    async def add_key_packages(self, packages: Sequence[bytes]) -> int:
        """Hands in key packages; gives how many one-time ones the service now holds."""
        return field((await self._post("/v1/key-packages", [list(packages)], again=True))[0], int)

    async def key_packages(self) -> Packages:
        """How many the service holds."""
        return await self._read("/v1/key-packages", Packages, SMALL)

    async def claim(self, devices: Sequence[bytes]) -> dict[bytes, bytes]:
        """One key package a device, unchecked, for those that have one."""
        rows = await self._post("/v1/key-packages/claim", [list(devices)])
        claimed = [convert(listed, Claimed) for listed in rows]
        return {one.device: one.package for one in claimed}

    async def create_conversation(self, group_info: bytes, tree: bytes) -> bytes:
        """Registers a new group of one; gives its id."""
        return field(
            (await self._post("/v1/conversations", [group_info, tree], again=True))[0], bytes
        )

    async def commit(
        self, conversation: bytes, epoch: int, message: bytes, welcome: list[Any] | None
    ) -> int:
        """Offers a commit; gives its event number. Errors: EpochConflict when another was first."""
        path = f"/v1/conversations/{conversation.hex()}/commits"
        return convert(await self._post(path, [epoch, message, welcome]), Number).n

    async def propose(self, conversation: bytes, epoch: int, message: bytes) -> int:
        """Hands in a self-remove proposal; gives its event number. Errors: EpochConflict."""
        path = f"/v1/conversations/{conversation.hex()}/proposals"
        return convert(await self._post(path, [epoch, message]), Number).n

    async def add_window(self, label: bytes, roster: bytes, counterseal: bytes) -> None:
        """Stores a window's counterseal. Same bytes again: same answer."""
        await self._post("/v1/windows", [label, roster, counterseal], again=True)

    async def add_frames(self, conversation: bytes, messages: Sequence[bytes]) -> FramesAnswer:
        """Hands in frames, at most 64; each same bytes again gets its first stamp again."""
        path = f"/v1/conversations/{conversation.hex()}/frames"
        return convert(await self._post(path, [list(messages)], again=True), FramesAnswer)

    async def events(self, conversation: bytes, after: int, limit: int) -> EventPage:
        """A page of a conversation's events after number `after`."""
        path = f"/v1/conversations/{conversation.hex()}/events?after={after}&limit={limit}"
        return await self._read(path, EventPage, ANSWER_MAX)

    async def inbox(self, after: int) -> InboxPage:
        """Welcomes after number `after`."""
        return await self._read(f"/v1/inbox?after={after}", InboxPage, ANSWER_MAX)

    async def inclusion(self, conversation: bytes, window: bytes, seq: int) -> InclusionAnswer:
        """The proof of one frame in its period's root, unchecked. Errors: NotFound before the root
        is logged.
        """
        return await self._read(
            f"/v1/conversations/{conversation.hex()}/inclusion/{window.hex()}/{seq}",
            InclusionAnswer,
            SMALL,
        )

    # blobs
    async def begin_blob(self, digest: bytes, size: int) -> int:
        """Announces a blob; gives the offset to go on from."""
        return field((await self._post("/v1/blobs", [digest, size], again=True))[0], int)

    async def add_blob(self, digest: bytes, offset: int, data: bytes) -> int:
        """Uploads one chunk at `offset`; gives the next offset."""
        path = f"/v1/blobs/{digest.hex()}?offset={offset}"
        return field(
            self._decoded(
                await self._send("PATCH", path, data, SMALL, "application/octet-stream"), SMALL
            )[0],
            int,
        )

    async def blob(self, digest: bytes, offset: int, length: int) -> bytes:
        """At most `length` bytes of a blob from `offset` on."""
        span = {"Range": f"bytes={offset}-{offset + length - 1}"}
        return await self._again(
            lambda: self._send("GET", f"/v1/blobs/{digest.hex()}", b"", length, None, span)
        )

    # how it is done
    async def _read(self, path: str, kind: type[A], limit: int) -> A:
        return convert(await self._get(path, limit), kind)

    async def _get(self, path: str, limit: int, length: int | None = None) -> tuple[Any, ...]:
        answer = await self._ask("GET", path, None, limit=limit, again=True)
        if length is not None and len(answer) != length:
            raise Refused(
                "E6",
                f"The service's answer to {path} has {len(answer)} elements where {length} are expected.",
            )
        return answer

    async def _post(self, path: str, body: Any, again: bool = False) -> tuple[Any, ...]:
        return await self._ask(
            "POST",
            path,
            body,
            limit=SMALL if path != "/v1/key-packages/claim" else ANSWER_MAX,
            again=again,
        )

    async def _ask(
        self, method: str, path: str, body: Any, *, limit: int, again: bool
    ) -> tuple[Any, ...]:
        data = b"" if body is None else cbor.encode(body)

        async def once() -> bytes:
            return await self._send(method, path, data, limit, "application/cbor" if data else None)

        return self._decoded(await (self._again(once) if again else once()), limit)

    def _decoded(self, data: bytes, limit: int) -> tuple[Any, ...]:
        value = cbor.decode(data, limit)
        if type(value) is not tuple:
            raise Refused("E6", "The service's answer is not an array; nothing was taken from it.")
        return value

    async def _again(self, call: Callable[[], Awaitable[bytes]]) -> bytes:
        """Calls until it is answered, `ATTEMPTS` times at most, waiting longer each time and never
        in step with other devices.
        """
        for attempt in range(ATTEMPTS):
            try:
                return await call()
            except Unavailable:
                if attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.2 * 2**attempt * jitter())
        raise AssertionError("unreachable")

    async def _send(
        self,
        method: str,
        path: str,
        data: bytes,
        limit: int,
        content: str | None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        signed = {**self.authorization(method, path, data), **(headers or {})}
        if content is not None:
            signed["Content-Type"] = content
        try:
            # what was signed is what is sent, letter by letter
            url = URL(self.url + path, encoded=True)
            async with self.session.request(
                method, url, data=data or None, headers=signed, allow_redirects=False
            ) as answer:
                body = await bounded(answer, limit if answer.status < 300 else SMALL)
                if answer.status >= 300:
                    raise error_of(answer.status, body)
                return body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"The service at {self.url} does not answer ({_why(error)}); try again later.",
                code="no-answer",
            ) from None


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


def error_of(status: int, body: bytes) -> CountersealError:
    """What an error answer means: its code and sentence kept, its class by the HTTP status."""
    code, message = _words(body)
    said = (
        f"The service says: {message}" if message else f"The service answered with status {status}."
    )
    return error_from_status(status, code, said)


def _words(body: bytes) -> tuple[str | None, str]:
    """Code and message of an error answer; nothing when it is none. A 409 for an epoch may be the
    array `["epoch", current]`.
    """
    try:
        words = msgspec.json.decode(body, type=dict[str, Any])
        return str(words["code"])[:64], str(words["message"])[:500]
    except (msgspec.DecodeError, KeyError):
        pass
    try:
        value = cbor.decode(body, SMALL)
    except Refused:
        return None, ""
    if type(value) is tuple and value and value[0] == "epoch":
        return "epoch", "another commit was first."
    return None, ""


def _why(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
