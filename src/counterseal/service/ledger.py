"""The ledger's clockwork: at every tick of the charter a fixed number of leaves and one chunk,
whatever there is to say.

A statement is durable in the queue before its sender is answered. The first keyset brings the first
ledger key, and with it the first tick.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from counterseal.protocol.errors import CountersealError
from counterseal.protocol.trusted_rules import TrustedKeyset
from counterseal.service import clock
from counterseal.service.store.interface import Store, Transaction
from counterseal.service.trust import DomainRules
from counterseal.tlog.ledger import Schedule, Segment
from counterseal.tlog.ledger_writer import LedgerWriter, WrittenTick

_INTERVAL = 60.0
"""Seconds between ticks while no charter is in force."""


class LedgerTicks:
    """Writes the ledger's ticks. `log_size` returns the size of the log's newest published
    checkpoint, `random(n)` n secret random bytes.
    """

    def __init__(
        self,
        origin: str,
        store: Store,
        trust: DomainRules,
        log_size: Callable[[], int],
        random: Callable[[int], bytes],
        wake_publisher: Callable[[], None],
    ) -> None:
        self._origin = origin
        self._store = store
        self._trust = trust
        self._log_size = log_size
        self._random = random
        self._wake_publisher = wake_publisher
        self._scheduled: tuple[tuple[TrustedKeyset, ...], Schedule] | None = None
        self._started = asyncio.Event()

    async def run(self) -> None:
        """Ticks until cancelled; waits for the first keyset."""
        self.key_logged()
        await self._started.wait()
        due = time.monotonic()
        while True:
            await self._tick()
            due = max(due + self._interval(), time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    def key_logged(self) -> None:
        """A keyset is logged: the next tick goes by its ledger key too."""
        if self._trust.rules.keysets:
            self._started.set()

    async def _tick(self) -> None:
        """One tick: leaves and chunk durable together, then sequenced and cosigned."""
        schedule = await self._schedule()

        def job(tables: Transaction) -> WrittenTick:
            writer = LedgerWriter(self._origin, schedule, tables.ledger)
            return writer.tick(clock.real(), self._log_size(), self._random)

        await self._store.write("tick", job)
        self._wake_publisher()

    async def _schedule(self) -> Schedule:
        """The segments of all logged keysets, each with the cadence of its charter."""
        keysets = self._trust.rules.keysets
        if self._scheduled is not None and self._scheduled[0] is keysets:
            return self._scheduled[1]

        rows = await self._store.read(lambda snapshot: snapshot.trust.ledger_keys())
        secrets = {row.commitment: row.secret for row in rows}
        segments = []
        for logged in keysets:
            record = logged.keyset.keyset
            cadence = self._trust.charter(record.charter_digest).charter.ledger
            key = secrets[record.ledger_key.commitment]
            first = record.ledger_key.first_chunk
            segments.append(Segment(first, key, cadence.leaves, cadence.batch))
        schedule = Schedule(segments)
        self._scheduled = keysets, schedule
        return schedule

    def _interval(self) -> float:
        try:
            return float(self._trust.in_force.charter.ledger.tick)
        except CountersealError:
            return _INTERVAL
