"""The service put together: its parts, its background work, its routes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.applications import Starlette

from counterseal.protocol.errors import Conflict, FatalError, NotFound, Refused
from counterseal.protocol.trusted_rules import Rulebook, VerifiedRevocation, verify_revocation
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.protocol.window import Label
from counterseal.service import clock, identity
from counterseal.service.auth import Authenticator
from counterseal.service.blobs import Blobs
from counterseal.service.charters import Charters, LoggedCharter, LoggedKeyset
from counterseal.service.clock import WindowClock
from counterseal.service.delivery import PAGE_BYTES, PAGE_EVENTS, Event, Hub
from counterseal.service.directory import Directory
from counterseal.service.ledger import Ledger
from counterseal.service.limits import Rates
from counterseal.service.listings import Listings
from counterseal.service.log import Publisher
from counterseal.service.periods import Periods
from counterseal.service.settings import Settings
from counterseal.service.store import charters as charters_table
from counterseal.service.store import conversations
from counterseal.service.store import ledger as ledger_table
from counterseal.service.store import log as log_table
from counterseal.service.store.charters import RevocationRow
from counterseal.service.store.database import Store

_log = logging.getLogger("counterseal.service")


class Service:
    """One domain's service over one data directory. `stop` asks the server to shut down; it is
    called on a fatal error.
    """

    def __init__(self, directory: Path, settings: Settings, stop: Callable[[], None]) -> None:
        self.settings = settings
        self.directory_path = directory
        self._lock = _only_one(directory)
        self._stop = stop
        self._fatal: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._blob_locks: dict[bytes, asyncio.Lock] = {}
        self.random: Callable[[int], bytes] = os.urandom
        self.identity = identity.load(directory)
        self.domain = self.identity.domain
        self.operator_token = identity.operator_token(directory)
        self.store = Store(directory / "service.db", self._on_fatal)
        self.charters = Charters(self.domain, clock.real)
        self.charters.load(self.store.reader)
        self.clock = WindowClock(self._stored_clock())
        self.rates = Rates(settings.limits.requests_per_second, settings.limits.burst)
        self.auth = Authenticator(
            self.domain, clock.real_ms(), self.charters.institution, clock.real_ms
        )
        self.labels: dict[int, Label] = {}
        self.blobs = Blobs(directory / "blobs", settings.limits.blob_bytes)
        self.hub = Hub(self._read_events)
        batch, timeout = settings.log.batch_ms, settings.log.witness_timeout
        self.log = Publisher(
            "log",
            self.identity.log,
            self.store,
            directory / "log",
            log_table.entries,
            batch,
            timeout,
        )
        self.ledger_log = Publisher(
            "ledger",
            self.identity.ledger,
            self.store,
            directory / "ledger",
            ledger_table.leaves,
            10,
            timeout,
        )
        self.directory = Directory(self.domain, self.store, self.log.wake)
        self.ledger = Ledger(self)
        self.periods = Periods(self)
        self.listings = Listings(self)

    async def start(self) -> None:
        """Starts the writer and the background work."""
        self.store.start()
        self.directory.load()
        in_force = lambda: self.charters.in_force  # noqa: E731 - read anew at each use
        work = {
            "log": self.log.run(in_force, self._on_fatal),
            "ledger log": self.ledger_log.run(in_force, self._on_fatal),
            "directory": self.directory.run(self),
            "ledger": self.ledger.run(),
            "periods": self.periods.run(),
            "listings": self.listings.run(),
        }
        self.log.wake()
        self.ledger_log.wake()
        for name, coroutine in work.items():
            task = asyncio.create_task(coroutine, name=name)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def close(self) -> None:
        """Lets the devices go, ends the background work, and closes the database with all that was
        queued written.
        """
        self.hub.close_all("shutdown")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)
        await self.store.close()
        self.log.close()
        self.ledger_log.close()
        os.close(self._lock)

    def wrong(self) -> str | None:
        """What is wrong with the service, in a sentence, or None."""
        if self._fatal is not None:
            return f"The service is stopping: {type(self._fatal).__name__}."
        return None

    @property
    def failed(self) -> bool:
        """Whether a fatal error ended the service."""
        return self._fatal is not None

    def publisher(self, name: str) -> Publisher:
        """The log's or the ledger's publisher. Raises `NotFound`."""
        if name not in ("log", "ledger"):
            raise NotFound("There is no such log here.", code="log")
        return self.log if name == "log" else self.ledger_log

    @contextlib.asynccontextmanager
    async def blob_lock(self, digest: bytes) -> AsyncIterator[None]:
        """One upload at a time touches a blob's file."""
        lock = self._blob_locks.setdefault(digest, asyncio.Lock())
        async with lock:
            yield
        if not lock.locked():
            self._blob_locks.pop(digest, None)

    def rulebook(self) -> Rulebook:
        """The charters and revocations as the ledger's fold takes them."""
        charters = tuple((one.active_from, one.verified) for one in self.charters.charters)
        revocations = tuple(self._revocation(row) for row in self.charters.revocations)
        return Rulebook(charters, tuple(one for one in revocations if one is not None))

    def check_own_keys(self, charter: VerifiedCharter) -> None:
        """Returns if the charter names this service's own log and ledger keys. Raises `Refused`
        C14.
        """
        pairs = (
            (charter.charter.log.vkeys, self.identity.log),
            (charter.charter.ledger.vkeys, self.identity.ledger),
        )
        for named, signer in pairs:
            if (named.ed25519, named.mldsa44) != signer.keys.texts():
                raise Refused(
                    "C14",
                    "The charter names other log or ledger keys than this service's; see GET /v1/identity.",
                )

    # What follows a durable change, on the event loop.
    def charter_logged(self, logged: LoggedCharter) -> None:
        """A charter is in the log."""
        first = not self.charters.charters
        self.charters.add_charter(logged)
        if first and logged.verified.charter.demonstration:
            self.clock = WindowClock(logged.verified.charter.valid_from)
        self.log.wake()
        self.ledger.rules_changed()

    def keyset_logged(self, logged: LoggedKeyset) -> None:
        """A keyset is in the log, and with it a ledger key."""
        self.charters.add_keyset(logged)
        self.log.wake()
        self.ledger.key_logged()

    def revocation_logged(self, row: RevocationRow) -> None:
        """An issuer's key is revoked."""
        self.charters.revocations = charters_table.revocations(self.store.reader)
        self.log.wake()
        self.ledger.rules_changed()

    def _revocation(self, row: RevocationRow) -> VerifiedRevocation | None:
        for logged in reversed(self.charters.charters):
            with contextlib.suppress(Refused):
                return verify_revocation(row.statement, logged.verified)
        return None

    def _stored_clock(self) -> int | None:
        stored = charters_table.meta(self.store.reader, "clock")
        return stored if isinstance(stored, int) else None

    def _read_events(self, number: int, after: int, last: int) -> list[Event]:
        return list(
            conversations.events(self.store.reader, number, after, last, PAGE_EVENTS, PAGE_BYTES)
        )

    def _on_fatal(self, error: BaseException) -> None:
        if self._fatal is None:
            self._fatal = error
            _log.critical("the service stops: %s: %s", type(error).__name__, error)
            self._stop()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._on_fatal(task.exception() or FatalError("A background task ended."))


def application(service: Service) -> Starlette:
    """The ASGI application of a service."""
    from counterseal.service.api.routes import routes

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.close()

    app = Starlette(routes=routes(), lifespan=lifespan)
    app.state.service = service
    return app


def _only_one(directory: Path) -> int:
    """A lock on the data directory: a second service would fork the log. Raises `Conflict`
    "busy".
    """
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise Conflict(f"Another process serves {directory}.", code="busy") from None
    return handle
