"""The service put together: its parts, its background work, its routes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path

from starlette.applications import Starlette

from counterseal.protocol.errors import Conflict, FatalError, NotFound
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service import clock, service_keys
from counterseal.service.addresses import ClientAddresses
from counterseal.service.api.accounts import AccountRoutes
from counterseal.service.api.blobs import BlobRoutes
from counterseal.service.api.bounds import Bodies, Bounds
from counterseal.service.api.conversations import ConversationRoutes
from counterseal.service.api.domain import DomainRoutes, OperatorRoutes
from counterseal.service.api.frames import FrameRoutes
from counterseal.service.api.gate import Gate, ServedEndpoint
from counterseal.service.api.key_packages import KeyPackageRoutes
from counterseal.service.api.logs import LedgerRoutes, LogRoutes
from counterseal.service.api.notices import NoticeRoutes
from counterseal.service.api.periods import PeriodRoutes
from counterseal.service.api.recovery import RecoveryRoutes
from counterseal.service.api.releases import ReleaseRoutes
from counterseal.service.api.routes import in_order
from counterseal.service.api.rules import RuleRoutes
from counterseal.service.api.socket import SocketRoutes
from counterseal.service.api.windows import WindowRoutes
from counterseal.service.authentication import Authenticator
from counterseal.service.blobs import BlobFiles
from counterseal.service.clock import WindowClock
from counterseal.service.connections import Edge, EdgeLimits, below_limit, raise_file_limit
from counterseal.service.decisions import conversations
from counterseal.service.delivery import Hub
from counterseal.service.devices import KnownDevices
from counterseal.service.directory import DirectoryRoots
from counterseal.service.handshakes import Handshakes
from counterseal.service.health import Health
from counterseal.service.ledger import LedgerTicks
from counterseal.service.ledger_fold import LedgerFold
from counterseal.service.limits import Rates
from counterseal.service.listings import ListingRounds
from counterseal.service.periods import PeriodRoots
from counterseal.service.publication import PublicationHooks, RulePublication
from counterseal.service.publisher import LogPublisher
from counterseal.service.settings import Settings
from counterseal.service.store.interface import Snapshot, Store
from counterseal.service.store.kinds import open_store
from counterseal.service.store.rows import StoredEvent
from counterseal.service.trust import DomainRules
from counterseal.wire.events import EVENTS_BYTES, EVENTS_PAGE

_LEDGER_BATCH_MS = 10


class Service:
    """One domain's service over one data directory. `stop` asks the server to shut down; it is
    called on a fatal error.
    """

    def __init__(self, directory: Path, settings: Settings, stop: Callable[[], None]) -> None:
        self._lock = _only_one(directory)
        self._settings = settings
        self._directory_path = directory
        self._health = Health(stop)
        self._tasks: list[asyncio.Task[None]] = []
        self._work: dict[str, Callable[[], Coroutine[None, None, None]]] = {}
        self._keys = service_keys.load(directory)
        self._operator_token = service_keys.operator_token(directory)

        # what is stored, and what follows from it
        self._store: Store = open_store(settings.store.kind, directory, self._health.on_fatal)
        self._trust = DomainRules(self._keys.public(), clock.real)
        self._store.read_apart(self._trust.load)
        self._clock = WindowClock(self._store.read_apart(lambda snapshot: snapshot.periods.clock()))
        self._hub = Hub(self._read_events, settings.delivery.all_queues_bytes)
        self._devices = KnownDevices(self._store)
        self._rates = Rates(settings.limits.requests_per_second, settings.limits.burst)
        self._addresses = ClientAddresses(settings.network.trusted_proxies)
        self.edge = _edge(settings, self._addresses)

        self._make_logs()
        self._make_workers()

    @property
    def failed(self) -> bool:
        """Whether a fatal error ended the service."""
        return self._health.failed

    def application(self) -> Starlette:
        """The ASGI application, whose life is the service's."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self._start()
            try:
                yield
            finally:
                await self._close()

        made = Starlette(routes=in_order(self._served()), lifespan=lifespan)
        # a redirect would go to whatever host the client names
        made.router.redirect_slashes = False
        return made

    def _make_logs(self) -> None:
        log, directory = self._settings.log, self._directory_path
        self._log = LogPublisher(
            "log",
            self._keys.log,
            self._store,
            directory / "log",
            lambda snapshot, first, limit: snapshot.log.entries(first, limit),
            log.batch_ms,
            log.witness_timeout,
        )
        self._ledger_log = LogPublisher(
            "ledger",
            self._keys.ledger,
            self._store,
            directory / "ledger",
            lambda snapshot, first, limit: snapshot.ledger.leaves(first, limit),
            _LEDGER_BATCH_MS,
            log.witness_timeout,
        )

    def _make_workers(self) -> None:
        store, trust = self._store, self._trust
        self._directory = DirectoryRoots(
            store, trust, self._clock, self._settings.log, self._log.wake
        )
        origin, wake = self._keys.ledger.keys.name, self._ledger_log.wake
        self._ticks = LedgerTicks(origin, store, trust, self._log.published_size, os.urandom, wake)
        self._fold = LedgerFold(store, trust, self._ledger_log)
        self._listings = ListingRounds(trust.domain, store, self._fold, self._ledger_log)
        self._periods = PeriodRoots(trust.domain, store, self._clock, self._period_logged)
        fatal = self._health.on_fatal
        self._work = {
            "log": lambda: self._log.run(self._in_force, fatal),
            "ledger log": lambda: self._ledger_log.run(self._in_force, fatal),
            "directory": self._directory.run,
            "ticks": self._ticks.run,
            "fold": self._fold.run,
            "periods": self._periods.run,
            "listings": self._listings.run,
            "connections": self.edge.run,
        }

    def _served(self) -> Sequence[ServedEndpoint]:
        store, trust, limits = self._store, self._trust, self._settings.limits
        authenticator = Authenticator(trust.institution, clock.real_ms)
        bodies = Bodies(limits.bodies_bytes)
        gate = Gate(
            trust.domain,
            authenticator,
            self._devices,
            Bounds(self._rates, self._addresses, bodies),
            self._operator_token,
        )
        hooks = PublicationHooks(self._log.wake, self._fold.rules_changed, self._ticks.key_logged)
        publication = RulePublication(store, trust, self._clock, os.urandom, hooks)
        self._work["drafts"] = publication.run
        handshakes = Handshakes(store, trust, self._devices, self._clock, self._hub, limits)
        files = BlobFiles(self._directory_path / "blobs", limits.blob_bytes)
        delivery = self._settings.delivery

        resources = (
            FrameRoutes(store, self._clock, self._hub),
            ConversationRoutes(store, handshakes),
            WindowRoutes(store, trust, self._clock),
            KeyPackageRoutes(store, limits, self._rates),
            AccountRoutes(trust.domain, store, self._devices, self._directory, self._hub),
            RecoveryRoutes(trust.domain, store),
            BlobRoutes(store, files),
            DomainRoutes(self._keys, self._clock, self._health),
            RuleRoutes(trust, publication),
            LogRoutes(store, self._log),
            LedgerRoutes(store, trust, self._ledger_log),
            NoticeRoutes(store, trust, self._hub),
            PeriodRoutes(store, self._periods),
            ReleaseRoutes(store, trust, self._fold, self._periods),
            OperatorRoutes(store, self._clock, self._periods, self._log, self._hub),
        )
        served = [one for resource in resources for one in resource.routes(gate)]
        return [*served, *SocketRoutes(gate, store, self._clock, self._hub, delivery).routes()]

    def _start(self) -> None:
        """Starts the writer and the background work."""
        self._store.start()
        self._log.wake()
        self._ledger_log.wake()
        for name, run in self._work.items():
            task = asyncio.create_task(run(), name=name)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def _close(self) -> None:
        """Lets the devices go, ends the background work, and closes the store with all that was
        queued written.
        """
        self._hub.close_all("shutdown")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)
        await self._store.close()
        os.close(self._lock)

    def _in_force(self) -> VerifiedCharter:
        return self._trust.in_force

    def _period_logged(self) -> None:
        self._log.wake()
        self._listings.wake()

    async def _read_events(
        self, no: int, device: bytes, first: int, after: int
    ) -> tuple[Sequence[StoredEvent], int | None]:
        def job(snapshot: Snapshot) -> tuple[Sequence[StoredEvent], int | None]:
            span = conversations.get_span(snapshot.conversations, no, device, first)
            return conversations.read_span(
                snapshot.conversations, no, span, after, EVENTS_PAGE, EVENTS_BYTES
            )

        return await self._store.read(job)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._health.on_fatal(task.exception() or FatalError("A background task ended."))


def _edge(settings: Settings, addresses: ClientAddresses) -> Edge:
    network = settings.network
    connections = below_limit(network.connections, raise_file_limit())
    limits = EdgeLimits(connections, network.connections_an_address, network.head_seconds)
    return Edge(limits, addresses)


def _only_one(directory: Path) -> int:
    """A lock on the data directory: a second service would fork the log. Raises `Conflict`
    "busy", `NotFound` "not-initialised".
    """
    if not directory.is_dir():
        raise NotFound(
            f"There is no folder {directory}; make it with `counterseal service init`.",
            code="not-initialised",
        )
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise Conflict(f"Another process serves {directory}.", code="busy") from None
    return handle
