"""Logs the roots of periods that are over, and proves windows and frames under them.

In a demonstration a period ends when the operator steps the clock past it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from counterseal.protocol.errors import NotFound
from counterseal.protocol.window import GRACE
from counterseal.service import clock
from counterseal.service.clock import WindowClock
from counterseal.service.decisions import periods
from counterseal.service.store.interface import Snapshot, Store, Transaction
from counterseal.service.store.rows import StoredPeriod, StoredWindow
from counterseal.tlog.period_tree import PeriodTree

_EVERY = 5.0
_TREES_KEPT = 16


class ProvedWindow(msgspec.Struct, frozen=True):
    """A window's place under its period's root: how many frames it has, their root, its place among
    the period's `windows`, the path, and the logged root.
    """

    frames: int
    frames_root: bytes
    index: int
    windows: int
    path: tuple[bytes, ...]
    root: StoredPeriod


class PeriodRoots:
    """Every period's root, logged once its grace is over. `wake` is called when there is one."""

    def __init__(
        self, domain: str, store: Store, window_clock: WindowClock, wake: Callable[[], None]
    ) -> None:
        self._domain = domain
        self._store = store
        self._clock = window_clock
        self._wake = wake
        self._trees: OrderedDict[int, PeriodTree] = OrderedDict()

    async def run(self) -> None:
        """Outside of demonstrations: logs each period once its grace is over."""
        while True:
            if not self._clock.demonstration:
                await self.log_closed(clock.real() - GRACE)
            await asyncio.sleep(_EVERY)

    async def log_closed(self, closed_by: int) -> list[StoredPeriod]:
        """Logs the roots of all periods with frames that closed by this time (seconds), in order;
        durable when it returns.
        """

        def job(tables: Transaction) -> list[StoredPeriod]:
            return periods.log_closed(tables, self._domain, closed_by, clock.real())

        rows = await self._store.write("period", job)
        if rows:
            self._wake()
        return rows

    async def prove_window(self, window: StoredWindow) -> ProvedWindow:
        """The window's proof. Raises `NotFound` "period", `PeriodError` for a window without
        frames.
        """
        row, tree = await self._logged(window.opens)
        proof = tree.prove_window(window.id)
        frames = proof.frames
        path = tuple(proof.path)
        return ProvedWindow(frames.count, frames.root, proof.index, tree.record.windows, path, row)

    async def prove_frame(self, window: StoredWindow, seq: int) -> tuple[bytes, ...]:
        """The frame's path in its window's tree. Raises `NotFound` "period", `PeriodError` P4."""
        _, tree = await self._logged(window.opens)
        return tuple(tree.prove_frame(window.id, seq).path)

    async def _logged(self, opens: int) -> tuple[StoredPeriod, PeriodTree]:
        """A period's logged root and its tree. Raises `NotFound` "period"."""

        def job(snapshot: Snapshot) -> tuple[StoredPeriod, PeriodTree]:
            row = snapshot.periods.find(opens)
            if row is None:
                raise NotFound("This period's root is not logged yet.", code="period")
            tree = self._trees.get(opens)
            if tree is None:
                previous = snapshot.periods.before(row.log_index)
                tree = periods.build_tree(snapshot.windows, self._domain, opens, previous)
            return row, tree

        row, tree = await self._store.read(job)
        self._trees[opens] = tree
        if len(self._trees) > _TREES_KEPT:
            self._trees.popitem(last=False)
        return row, tree
