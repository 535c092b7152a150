"""The ledger: at every tick of the charter a fixed number of leaves and one chunk, whatever there
is to say.

A statement is durable in the queue before its sender is answered. It has an effect only when its
leaf stands under a cosigned checkpoint and protocol's fold admits it. The first keyset brings the
first ledger key, and with it the first tick.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import apsw

from counterseal.protocol import cbor
from counterseal.protocol.access_state import AccessState, Outcome
from counterseal.protocol.errors import Conflict, CountersealError
from counterseal.protocol.keyset import LedgerKey
from counterseal.protocol.record import convert
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service import clock
from counterseal.service.store import charters as charters_table
from counterseal.service.store import ledger as table
from counterseal.service.store.charters import LedgerKeyRow
from counterseal.tlog.ledger import Schedule, Segment
from counterseal.tlog.ledger_writer import LedgerWriter, Tick

if TYPE_CHECKING:
    from counterseal.service.app import Service

LEAD = 7 * 86_400
LEAD_DEMONSTRATION = 120
"""Seconds of ticks between drawing a ledger key and the chunk it begins with: the time that people
have to sign its keyset.
"""
_log = logging.getLogger("counterseal.service.ledger")


class Ledger:
    """The ledger's clockwork, and the fold of what it says."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._schedule: Schedule | None = None
        self._applied = 0
        self.state: AccessState | None = None
        self._started = asyncio.Event()
        self.changed = asyncio.Condition()
        self._make_schedule()

    async def run(self) -> None:
        """Ticks until cancelled; waits for the first keyset."""
        await self._started.wait()
        following = asyncio.create_task(self._follow())
        try:
            due = time.monotonic()
            while True:
                await self.tick()
                due = max(due + self._interval(), time.monotonic())
                await asyncio.sleep(due - time.monotonic())
        finally:
            following.cancel()

    async def tick(self) -> None:
        """One tick: leaves and chunk durable together, then sequenced and cosigned."""
        service, schedule = self._service, self._schedule
        assert schedule is not None

        def job(db: apsw.Connection) -> Tick:
            writer = LedgerWriter(
                service.identity.ledger.keys.name, schedule, table.TickBacklog(db)
            )
            return writer.tick(clock.real(), service.random)

        await service.store.write("tick", job)
        service.ledger_log.wake()

    def enqueue(self, db: apsw.Connection, statement: bytes) -> None:
        """For a writer's job: puts a statement into the queue."""
        table.enqueue(db, statement)

    def next_key(self, charter: VerifiedCharter) -> tuple[int, bytes | None]:
        """For a ledger key to be drawn now: the chunk it begins with, and the key before it (None
        for the ledger's first).
        """
        logged = self._logged_keys()
        if not logged:
            return 0, None
        last = convert(cbor.decode(logged[-1].part, 1 << 20), LedgerKey)
        ahead = self._lead(charter) // max(1, charter.charter.ledger.tick)
        now = table.state(self._service.store.reader).tick
        return max(now + ahead, last.first_chunk + 1), logged[-1].secret

    def still_fits(self, drawn: LedgerKeyRow, predecessor: bytes | None) -> bool:
        """Whether a keyset with this draft could still be logged, with a quarter of its lead to
        spare.
        """
        part = convert(cbor.decode(drawn.part, 1 << 20), LedgerKey)
        if predecessor is None:
            return part.first_chunk == 0
        charter = self._service.charters.charter(drawn.charter).verified
        spare = self._lead(charter) // max(1, charter.charter.ledger.tick) // 4
        logged = self._logged_keys()
        last = convert(cbor.decode(logged[-1].part, 1 << 20), LedgerKey)
        now = table.state(self._service.store.reader).tick
        return part.first_chunk > max(now + spare, last.first_chunk)

    def check_first_chunk(self, db: apsw.Connection, first_chunk: int) -> None:
        """For a writer's job: returns if a key may begin at this chunk. Raises `Conflict`
        "ledger-key" when the chunk is sealed already.
        """
        if first_chunk < table.state(db).tick:
            raise Conflict(
                "The keyset's ledger key begins at a chunk that is gone; fetch a new draft and sign that.",
                code="ledger-key",
            )

    def key_logged(self) -> None:
        """A keyset is logged: its ledger key joins the schedule."""
        self._make_schedule()
        self.rules_changed()

    def rules_changed(self) -> None:
        """A charter or a revocation is logged: the fold judges by it from now on."""
        if self.state is not None:
            self.state.rulebook = self._service.rulebook()

    def status(self) -> list[object]:
        """`[next tick, leaves, chunks, backlog]`."""
        db = self._service.store.reader
        tick = table.state(db).tick
        return [tick, table.size(db), tick, table.backlog(db)]

    async def current(self) -> AccessState | None:
        """The fold of all that the checkpoint on disk covers: who has read that checkpoint must not
        find us behind it.
        """
        size = self._service.ledger_log.size_on_disk()
        await self._service.ledger_log.reach(size)
        if self._applied < size:
            self._apply(size)
        return self.state

    async def _follow(self) -> None:
        """Applies what stands under cosigned checkpoints, in order, as they come."""
        publisher = self._service.ledger_log
        while True:
            checkpoint = await publisher.reach(self._applied + 1)
            self._apply(checkpoint.checkpoint.size)
            async with self.changed:
                self.changed.notify_all()

    def _apply(self, size: int) -> None:
        db = self._service.store.reader
        if self.state is None:
            self.state = AccessState(self._service.rulebook())
        for statement in table.placed(db, self._applied, size):
            self._report(self.state.apply(statement.time, statement.statement))
        end = table.last_time(db, size)
        if end:
            self.state.advance(max(end, self.state.time))
        self._applied = size

    def _report(self, outcome: Outcome) -> None:
        if outcome.rule is not None:
            _log.info(
                "a %s in the ledger has no effect: %s", outcome.kind or "statement", outcome.rule
            )

    def _interval(self) -> float:
        try:
            return float(self._service.charters.in_force.charter.ledger.tick)
        except CountersealError:
            return 60.0

    def _lead(self, charter: VerifiedCharter) -> int:
        return LEAD_DEMONSTRATION if charter.charter.demonstration else LEAD

    def _logged_keys(self) -> list[LedgerKeyRow]:
        rows = {
            row.commitment: row
            for row in charters_table.ledger_keys(self._service.store.reader)
            if row.logged
        }
        keysets = (
            logged.verified.keyset.ledger_key.commitment
            for logged in self._service.charters.keysets
        )
        return [rows[commitment] for commitment in keysets]

    def _make_schedule(self) -> None:
        """The segments of all logged keysets, each with the cadence of its charter."""
        rows = {
            row.commitment: row.secret
            for row in charters_table.ledger_keys(self._service.store.reader)
        }
        segments = []
        for logged in self._service.charters.keysets:
            part = logged.verified.keyset.ledger_key
            cadence = self._service.charters.charter(
                logged.verified.keyset.charter_digest
            ).verified.charter.ledger
            segments.append(
                Segment(part.first_chunk, rows[part.commitment], cadence.leaves, cadence.batch)
            )
        if segments:
            self._schedule = Schedule(segments)
            self._started.set()
