"""The domain itself: how the service is, who it is, the clock, and the operator's calls."""

from __future__ import annotations

from counterseal.protocol.errors import Unavailable
from counterseal.service.api.gate import Call, Gate, ServedEndpoint
from counterseal.service.clock import WindowClock
from counterseal.service.decisions import window_clock
from counterseal.service.delivery import Hub
from counterseal.service.health import Health
from counterseal.service.periods import PeriodRoots
from counterseal.service.publisher import LogPublisher
from counterseal.service.service_keys import ServiceKeys
from counterseal.service.store.interface import Store
from counterseal.wire.domain import CLOCK, HEALTH, IDENTITY, DomainTime, Healthy, ServiceIdentity
from counterseal.wire.operator import (
    CLOCK_STEP,
    DRAINED,
    ClockStepped,
    DeviceCursors,
    StepClock,
)
from counterseal.wire.socket import ClockPushed


class DomainRoutes:
    """What anybody may know of the service."""

    def __init__(self, keys: ServiceKeys, clock: WindowClock, health: Health) -> None:
        self._keys = keys
        self._clock = clock
        self._health = health

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.anybody(HEALTH, self.health),
            gate.anybody(IDENTITY, self.identity),
            gate.anybody(CLOCK, self.clock),
        ]

    async def health(self, _: Call[None]) -> Healthy:
        """Whether the service can do its work."""
        wrong = self._health.wrong()
        if wrong is not None:
            raise Unavailable(wrong, code="unhealthy")
        return Healthy()

    async def identity(self, _: Call[None]) -> ServiceIdentity:
        """The domain, its log and its ledger."""
        return self._keys.public()

    async def clock(self, _: Call[None]) -> DomainTime:
        """The clock that windows go by."""
        return DomainTime(self._clock.now(), self._clock.demonstration)


class OperatorRoutes:
    """On loopback, with the token: stepping a demonstration's clock, seeing who has caught up."""

    def __init__(
        self,
        store: Store,
        clock: WindowClock,
        periods: PeriodRoots,
        log: LogPublisher,
        hub: Hub,
    ) -> None:
        self._store = store
        self._clock = clock
        self._periods = periods
        self._log = log
        self._hub = hub

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [gate.operator(CLOCK_STEP, self.step), gate.operator(DRAINED, self.drained)]

    async def step(self, call: Call[StepClock]) -> ClockStepped:
        """Answers when the roots of the periods that this ends are cosigned."""
        now = call.request.now
        window_clock.check_demonstration(self._clock)
        await self._store.write("clock", lambda tables: window_clock.step(tables, self._clock, now))
        rows = await self._periods.log_closed(now)
        self._hub.notify_all(ClockPushed(now))
        if rows:
            await self._log.reach(rows[-1].log_index + 1)
        return ClockStepped(now)

    async def drained(self, _: Call[None]) -> DeviceCursors:
        """What connected devices were handed."""
        return DeviceCursors(tuple(self._hub.cursors()))
