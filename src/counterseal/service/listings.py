"""Listings: once a warrant runs, the windows in its scope are laid down in the ledger, and further
ones as later periods close.

The scope is protocol's `window_in_scope`, the one that every holder applies; a listing is laid down
only when the one before has its leaf, and only up to the units that the warrant declares.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import apsw
import msgspec

from counterseal.protocol.decision import VerifiedWarrant, decide, units, window_in_scope
from counterseal.protocol.errors import CountersealError, Refused
from counterseal.protocol.period import LoggedWindow, PeriodRoot, WindowFrames
from counterseal.protocol.release import WINDOWS_MAX, Listing
from counterseal.protocol.window import Label, Roster
from counterseal.service import clock
from counterseal.service.store import access as table
from counterseal.service.store import periods as period_table
from counterseal.service.store import windows
from counterseal.service.store.access import ListingRow
from counterseal.service.store.periods import PeriodRow
from counterseal.service.store.windows import Window

if TYPE_CHECKING:
    from counterseal.service.app import Service

_EVERY = 10.0
_BYTES = bytes(32)
_log = logging.getLogger("counterseal.service.listings")


class _Found(msgspec.Struct):
    """What a look through the periods found: labels of windows in scope, and the periods that were
    gone through.
    """

    labels: list[Label]
    periods: list[int]


class Listings:
    """Lays down listings for every warrant that runs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Says that a period was logged."""
        self._woken.set()

    async def run(self) -> None:
        """Looks again after every change of the ledger or of the periods, until cancelled."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                try:
                    await asyncio.wait_for(self._woken.wait(), _EVERY)
                except TimeoutError:
                    pass
                self._woken.clear()
                await self._look()
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        ledger = self._service.ledger
        while True:
            async with ledger.changed:
                await ledger.changed.wait()
            self._woken.set()

    async def _look(self) -> None:
        state = self._service.ledger.state
        if state is None:
            return
        for digest in list(state.accesses):
            try:
                verified = decide(state, digest, clock.real())
            except CountersealError:
                continue  # not approved, or over: nothing is listed
            await self._list(verified)

    async def _list(self, verified: VerifiedWarrant) -> None:
        db = self._service.store.reader
        laid = table.listings(db, verified.digest)
        if len(laid) != len(verified.access.listings):
            return  # the last one has no leaf yet; a next one could overtake it
        found = self._scope(db, verified)
        if not found.periods:
            return
        labels = self._labels_listed(db, laid)
        chosen = _within_units(verified, labels, found.labels)
        row = self._row(verified, len(laid), labels, chosen) if chosen else None
        full = len(chosen) < len(found.labels)

        def job(conn: apsw.Connection) -> None:
            if not full:
                for opens in found.periods:
                    table.mark_period(conn, verified.digest, opens)
            if row is not None:
                table.add_listing(conn, row)
                self._service.ledger.enqueue(conn, row.record)

        if row is not None or not full:
            await self._service.store.write("listing", job)
        else:
            _log.info("a warrant's units are used up; further windows in its scope are not listed")

    def _scope(self, db: apsw.Connection, verified: VerifiedWarrant) -> _Found:
        """The next windows in scope that are not listed: whole periods, until a listing would be
        full.
        """
        done = table.listed_periods(db, verified.digest)
        listed = {window for _, one in verified.access.listings for window in one.windows}
        found = _Found([], [])
        for row in period_table.between(db, verified.warrant.start, verified.warrant.until):
            if row.opens in done:
                continue
            labels = [
                label
                for label in self._in_period(db, verified, row)
                if label.window_id not in listed
            ]
            if found.periods and len(found.labels) + len(labels) > WINDOWS_MAX:
                break
            found.labels += labels[:WINDOWS_MAX]
            if len(labels) > WINDOWS_MAX:
                return found  # the rest of this period comes with the next listing
            found.periods.append(row.opens)
        return found

    def _in_period(
        self, db: apsw.Connection, verified: VerifiedWarrant, row: PeriodRow
    ) -> list[Label]:
        now = self._checkpoint_time()
        labels: list[Label] = []
        for window in windows.of_period(db, row.opens):
            records = windows.seal(db, window.no)
            label, roster = Label.decode(records.label), Roster.decode(records.roster)
            try:
                window_in_scope(verified, label, roster, self._logged(window), now)
            except Refused:
                continue
            labels.append(label)
        return labels

    def _checkpoint_time(self) -> int:
        published = self._service.ledger_log.published
        return published.time if published is not None else 0

    def _logged(self, window: Window) -> LoggedWindow:
        """The window as standing in its period's root, which this service itself made and
        logged.
        """
        frames = WindowFrames(window.id, window.next_seq, _BYTES)
        root = PeriodRoot(self._service.domain, window.opens, window.closes, 1, _BYTES, None)
        return LoggedWindow(frames, root)

    def _labels_listed(self, db: apsw.Connection, laid: list[ListingRow]) -> list[Label]:
        labels: list[Label] = []
        for row in laid:
            for window_id in Listing.decode(row.record).windows:
                window = windows.find(db, window_id)
                assert window is not None
                labels.append(Label.decode(windows.seal(db, window.no).label))
        return labels

    def _row(
        self, verified: VerifiedWarrant, number: int, before: list[Label], chosen: list[Label]
    ) -> ListingRow:
        ids = tuple(sorted(label.window_id for label in chosen))
        listing = Listing(
            self._service.domain, verified.digest, number, units([*before, *chosen]), ids
        )
        return ListingRow(verified.digest, number, listing.digest(), listing.encode(), len(ids))


def _within_units(
    verified: VerifiedWarrant, before: list[Label], found: list[Label]
) -> list[Label]:
    """The found windows, oldest first, as far as the warrant's units reach (R8)."""
    spent = {(label.account_id, label.opens) for label in before}
    limit = verified.warrant.units - verified.access.inherited
    chosen: list[Label] = []
    for label in sorted(found, key=lambda one: (one.opens, one.window_id)):
        unit = (label.account_id, label.opens)
        if unit not in spent and len(spent) >= limit:
            continue
        spent.add(unit)
        chosen.append(label)
    return chosen
