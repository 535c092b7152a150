"""Period roots: when a period and its grace are over, one small record of all its frames goes into
the log.

The trees and proofs are tlog's. In a demonstration a period ends when the operator steps the clock
past it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

import apsw
import msgspec

from counterseal.protocol.errors import NotFound
from counterseal.protocol.stamp import GRACE, Stamp
from counterseal.service import clock
from counterseal.service.store import log, windows
from counterseal.service.store import periods as table
from counterseal.service.store.periods import PeriodRow
from counterseal.service.store.windows import Window
from counterseal.tlog.period_tree import PeriodTree

if TYPE_CHECKING:
    from counterseal.service.app import Service

_EVERY = 5.0
_TREES_KEPT = 16


class WindowPlace(msgspec.Struct, frozen=True):
    """A window's proof under its period's root: frames, their root, its place and path, the logged
    record.
    """

    frames: int
    frames_root: bytes
    index: int
    size: int
    path: list[bytes]
    row: PeriodRow

    def proof(self) -> list[object]:
        """`[count, window_root, index, size, [hash, ...]]`."""
        return [self.frames, self.frames_root, self.index, self.size, self.path]


class Periods:
    """Logs the roots of periods that are over, and proves windows and frames under them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._trees: OrderedDict[int, PeriodTree] = OrderedDict()

    async def run(self) -> None:
        """Outside of demonstrations: logs each period once its grace is over."""
        while True:
            if not self._service.clock.demonstration:
                await self.log_closed(clock.real() - GRACE)
            await asyncio.sleep(_EVERY)

    async def log_closed(self, closed_by: int) -> list[PeriodRow]:
        """Logs the roots of all periods with frames that closed by this time (seconds), in order;
        durable when it returns.
        """
        service = self._service

        def job(db: apsw.Connection) -> list[PeriodRow]:
            return [self._log_one(db, opens) for opens in windows.open_periods(db, closed_by)]

        rows = await service.store.write("period", job)
        if rows:
            service.log.wake()
            service.listings.wake()
        return rows

    def _log_one(self, db: apsw.Connection, opens: int) -> PeriodRow:
        tree = self._build(db, opens, table.last(db))
        record = tree.record.encode()
        row = PeriodRow(opens, record, log.append(db, record, "period-root", clock.real()))
        table.add(db, row)
        return row

    def row(self, opens: int) -> PeriodRow:
        """A period's logged root. Raises `NotFound` "period"."""
        row = table.find(self._service.store.reader, opens)
        if row is None:
            raise NotFound("This period's root is not logged yet.", code="period")
        return row

    def window_place(self, window: Window) -> WindowPlace:
        """The window's proof. Raises `NotFound` "period", `PeriodError` for a window without
        frames.
        """
        row = self.row(window.opens)
        proof = self._tree(row).prove_window(window.id)
        size = self._tree(row).record.windows
        return WindowPlace(
            proof.frames.count, proof.frames.root, proof.index, size, list(proof.path), row
        )

    def frame_path(self, window: Window, seq: int) -> list[bytes]:
        """The frame's path in its window's tree. Raises `PeriodError` P4."""
        return list(self._tree(self.row(window.opens)).prove_frame(window.id, seq).path)

    def _tree(self, row: PeriodRow) -> PeriodTree:
        tree = self._trees.get(row.opens)
        if tree is None:
            db = self._service.store.reader
            tree = self._trees[row.opens] = self._build(
                db, row.opens, table.before(db, row.log_index)
            )
            if len(self._trees) > _TREES_KEPT:
                self._trees.popitem(last=False)
        return tree

    def _build(self, db: apsw.Connection, opens: int, previous: PeriodRow | None) -> PeriodTree:
        """The period's tree from what is stored: the same each time, since nothing is added to a
        period whose root is logged.
        """
        found = windows.of_period(db, opens)
        stamps = {
            w.id: [Stamp(digest, n, time) for n, digest, time in windows.stamps(db, w.no)]
            for w in found
        }
        return PeriodTree(
            self._service.domain, opens, found[0].closes, stamps, table.digest(previous)
        )
