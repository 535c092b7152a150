"""What holders, openers and issuers fetch and hand over under a warrant. Nothing here opens
anything.
"""

from __future__ import annotations

from counterseal.protocol.counterseal import Counterseal
from counterseal.service.api.gate import Call, Gate, InstitutionCall, ServedEndpoint
from counterseal.service.decisions import releases
from counterseal.service.ledger_fold import LedgerFold
from counterseal.service.periods import PeriodRoots, ProvedWindow
from counterseal.service.store.interface import Snapshot, Store
from counterseal.service.store.rows import StoredListing, StoredSeal, StoredWindow
from counterseal.service.trust import DomainRules
from counterseal.wire.body import Done
from counterseal.wire.listings import HOLDER_LISTING, HolderListing, HolderWindow, WindowInPeriod
from counterseal.wire.material import (
    LISTINGS,
    MATERIAL,
    SHARES,
    ListedMaterial,
    MaterialPage,
    ShownListing,
    ShownListings,
    ShownShares,
    StampedFrame,
)
from counterseal.wire.shares import SHARES_POST, PostShares


class ReleaseRoutes:
    """Listings, material and sealed shares of a warrant."""

    def __init__(
        self, store: Store, trust: DomainRules, fold: LedgerFold, periods: PeriodRoots
    ) -> None:
        self._store = store
        self._trust = trust
        self._fold = fold
        self._periods = periods

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.institution(LISTINGS, self.listings),
            gate.institution(HOLDER_LISTING, self.for_holder),
            gate.institution(MATERIAL, self.material),
            gate.anybody(SHARES_POST, self.post_shares),
            gate.institution(SHARES, self.shares),
        ]

    async def listings(self, call: InstitutionCall[None]) -> ShownListings:
        """A warrant's listings."""
        warrant = call.parts["warrant"]
        rows = await self._store.read(lambda snapshot: snapshot.releases.listings(warrant))
        return ShownListings(
            tuple(ShownListing(row.number, row.digest, row.windows) for row in rows)
        )

    async def for_holder(self, call: InstitutionCall[None]) -> HolderListing:
        """All that a holder needs to decide, and its own sealed shares."""
        position = call.parts["position"]
        row, windows = await self._listed(call)
        access = releases.get_access(await self._fold.current(), call.parts["warrant"])
        charter = self._trust.charter(access.warrant.charter_digest)
        releases.check_holder(charter, position, call.caller)
        shown = [await self._holder_window(window, position) for window in windows]
        return HolderListing(row.record, tuple(shown))

    async def material(self, call: InstitutionCall[None]) -> MaterialPage:
        """Windows with their frames, in the listing's order, for openers and issuers."""
        after, limit = call.number("after"), call.number("limit")
        _, windows = await self._listed(call)
        releases.check_opener_or_issuer(self._trust.in_force, call.caller)
        page = [await self._material(window) for window in windows[after : after + limit]]
        return MaterialPage(tuple(page))

    async def post_shares(self, call: Call[PostShares]) -> Done:
        """A holder's shares, whoever carries them, once its release is in the ledger (R10)."""
        warrant = call.parts["warrant"]
        posted = releases.read_shares(call.request.statement, warrant)
        access = releases.get_access(await self._fold.current(), warrant)
        charter = self._trust.charter(access.warrant.charter_digest)
        row = releases.check_shares(posted, access, charter)
        await self._store.write("shares", lambda tables: tables.releases.add_shares(warrant, row))
        return Done()

    async def shares(self, call: InstitutionCall[None]) -> ShownShares:
        """Shares, sealed to the opener's key, so of use to nobody else."""
        warrant = call.parts["warrant"]
        rows = await self._store.read(lambda snapshot: snapshot.releases.shares(warrant))
        return ShownShares(tuple(row.sealed for row in rows))

    async def _listed(
        self, call: InstitutionCall[None]
    ) -> tuple[StoredListing, list[StoredWindow]]:
        warrant, number = call.parts["warrant"], call.parts["listing"]

        def job(snapshot: Snapshot) -> tuple[StoredListing, list[StoredWindow]]:
            row = releases.get_listing(snapshot, warrant, number)
            return row, releases.listed_windows(snapshot, row)

        return await self._store.read(job)

    async def _holder_window(self, window: StoredWindow, position: int) -> HolderWindow:
        records = await self._store.read(lambda snapshot: snapshot.windows.seal(window.no))
        place = await self._periods.prove_window(window)
        return HolderWindow(
            records.label,
            records.roster,
            Counterseal.decode(records.counterseal).sealed[position],
            window.seal_digest,
            _in_period(place),
            place.root.record,
            place.root.log_index,
        )

    async def _material(self, window: StoredWindow) -> ListedMaterial:
        def job(snapshot: Snapshot) -> tuple[StoredSeal, tuple[StampedFrame, ...]]:
            frames = (
                StampedFrame(stamp.n, stamp.time, _message(snapshot, window, stamp.n))
                for stamp in snapshot.windows.stamps(window.no)
            )
            return snapshot.windows.seal(window.no), tuple(frames)

        records, frames = await self._store.read(job)
        place = await self._periods.prove_window(window)
        return ListedMaterial(
            records.label,
            records.roster,
            records.counterseal,
            _in_period(place),
            frames,
            place.root.record,
            place.root.log_index,
        )


def _in_period(place: ProvedWindow) -> WindowInPeriod:
    return WindowInPeriod(place.frames, place.frames_root, place.index, place.windows, place.path)


def _message(snapshot: Snapshot, window: StoredWindow, n: int) -> bytes:
    [event] = snapshot.conversations.events(window.conversation, n - 1, n, 1, 1)
    return event.data
