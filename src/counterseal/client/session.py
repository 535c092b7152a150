"""A device at work: its folder, its service, what it has verified, and the clock that its windows
go by.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterseal.client.directory import DeviceDirectory
from counterseal.client.home import DeviceHome
from counterseal.client.service_client import DeviceIdentity, ServiceClient
from counterseal.client.store.device_store import DeviceStore
from counterseal.protocol.errors import NotFound, Unavailable
from counterseal.wire.domain import CLOCK

_LOCK_TRIES = 600  # twentieths of a second
_CLOCK_KEPT = 30.0  # seconds of real time for which a demonstration's clock is taken as last heard


class Session:
    """What the parts of a device share. Opened from a folder whose account is made; closed when
    done.
    """

    def __init__(self, home: DeviceHome, account: bytes, device_seed: bytes) -> None:
        key = Ed25519PrivateKey.from_private_bytes(device_seed)
        device = key.public_key().public_bytes_raw()
        self.home = home
        self.me = (account, device)
        self.service = ServiceClient(
            home.pins.service, DeviceIdentity(home.pins.domain, account, device, key)
        )
        self.directory = DeviceDirectory(home, self.service)
        self.started = int(time.time())
        self._clock: tuple[int, float] | None = None
        # set while following: (conversation, after)
        self.watch: Callable[[bytes, int], Awaitable[None]] | None = None
        self._done: dict[str, float] = {}
        self._changing = False

    @classmethod
    def open(cls, home: DeviceHome) -> Session:
        """The session of an account's device. Raises `NotFound` when the account was never
        finished.
        """
        with home.store() as store:
            account, seed = store.settings.account, store.settings.device_seed
            ready = store.settings.registered
        if account is None or seed is None or not ready:
            raise NotFound(
                f"The device in {home.path} belongs to no account yet;"
                " finish `device link` or `account create`."
            )
        return cls(home, account, seed)

    async def close(self) -> None:
        """Closes the connections; the folder is not open between calls anyway."""
        await self.service.close()

    @contextmanager
    def store(self) -> Iterator[DeviceStore]:
        """Lends the database; never across waiting for the network."""
        with self.home.store() as store:
            yield store

    @contextmanager
    def transaction(self) -> Iterator[DeviceStore]:
        """Lends the database for one transaction."""
        with self.home.store() as store, store.transaction():
            yield store

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Keeps other processes of this device from sending and committing meanwhile; reading goes
        on. Raises `Unavailable` "busy".

        The database is not locked while the network is waited for, and two who take turns with the
        same outbox would take back each other's frames. A block inside another joins it: a session
        does one thing at a time.
        """
        if self._changing:
            yield
            return
        descriptor = os.open(self.home.path / "sending.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            await _lock(descriptor)
            self._changing = True
            yield
        finally:
            self._changing = False
            os.close(descriptor)

    async def now(self, at_least: int = 0, fresh: bool = False) -> int:
        """Unix seconds by the clock that windows go by: this machine's, in demonstrations the
        domain's.

        A demonstration's clock is asked for again when the last answer is old, when `fresh`, or
        when something shows `at_least`.
        """
        if not self.home.pins.demonstration:
            return int(time.time())
        heard = self._clock
        if (
            fresh
            or heard is None
            or heard[0] < at_least
            or time.monotonic() - heard[1] > _CLOCK_KEPT
        ):
            self.hear((await self.service.call(CLOCK)).now)
        assert self._clock is not None
        return self._clock[0]

    def due(self, what: str, every: float) -> bool:
        """Whether `what` was last due at least `every` seconds of real time ago in this session;
        then it counts as done.
        """
        now = time.monotonic()
        if now - self._done.get(what, -every) < every:
            return False
        self._done[what] = now
        return True

    def hear(self, now: int) -> None:
        """Takes note of a demonstration's clock; it only goes forward."""
        before = self._clock[0] if self._clock else 0
        self._clock = (max(now, before), time.monotonic())


async def _lock(descriptor: int) -> None:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise Unavailable(
        "Another program is sending with this device; try again when it is done.", code="busy"
    )


def real_ms() -> int:
    """Unix milliseconds by this machine's clock."""
    return time.time_ns() // 1_000_000
