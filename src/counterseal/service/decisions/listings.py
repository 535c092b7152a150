"""Listings: once a warrant runs, the windows in its scope go into the ledger, and further ones as
later periods close.

The scope is protocol's `window_in_scope`, the one that every holder applies. A listing is made only
when the one before has its leaf, and only up to the units that the warrant declares.
"""

from __future__ import annotations

import msgspec

from counterseal.protocol.decision import VerifiedWarrant, units, window_in_scope
from counterseal.protocol.errors import Refused
from counterseal.protocol.period import LoggedWindow, PeriodRoot, WindowFrames
from counterseal.protocol.release import WINDOWS_MAX, Listing
from counterseal.protocol.window import Label, Roster
from counterseal.service.decisions import ledger_queue
from counterseal.service.store.interface import ReadWindows, Snapshot, Transaction
from counterseal.service.store.rows import StoredListing, StoredPeriod, StoredWindow

_BYTES = bytes(32)


class ListingPlan(msgspec.Struct, frozen=True):
    """What is to be done for a warrant: a listing or none, and the periods that are gone through.

    `used_up` says that windows in scope are left out, because the warrant's units are used up.
    """

    warrant: bytes
    row: StoredListing | None
    periods: list[int]
    used_up: bool


class _Found(msgspec.Struct):
    """What a look through the periods found: labels in scope, and the periods gone through."""

    labels: list[Label]
    periods: list[int]


def plan(
    snapshot: Snapshot, domain: str, verified: VerifiedWarrant, checkpoint_time: int
) -> ListingPlan | None:
    """What is to be listed next for a warrant that runs, None for nothing."""
    laid = snapshot.releases.listings(verified.digest)
    # the last one has no leaf yet; a next one could overtake it
    if len(laid) != len(verified.access.listings):
        return None
    found = _look(snapshot, domain, verified, checkpoint_time)
    if not found.periods and not found.labels:
        return None

    before = _labels_listed(snapshot.windows, laid)
    chosen = within_units(verified, before, found.labels)
    used_up = len(chosen) < len(found.labels)
    row = _row(domain, verified, len(laid), before, chosen) if chosen else None
    return ListingPlan(verified.digest, row, [] if used_up else found.periods, used_up)


def carry_out(tables: Transaction, made: ListingPlan) -> None:
    """Stores a listing and queues it for the ledger. Raises `Unavailable` "backlog"."""
    for opens in made.periods:
        tables.releases.mark_period(made.warrant, opens)
    if made.row is not None:
        tables.releases.add_listing(made.row)
        ledger_queue.enqueue(tables, made.row.record)


def within_units(verified: VerifiedWarrant, before: list[Label], found: list[Label]) -> list[Label]:
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


def _look(
    snapshot: Snapshot, domain: str, verified: VerifiedWarrant, checkpoint_time: int
) -> _Found:
    """The next windows in scope that are not listed: whole periods, until a listing is full."""
    done = snapshot.releases.listed_periods(verified.digest)
    listed = {window for _, one in verified.access.listings for window in one.windows}
    found = _Found([], [])
    for row in snapshot.periods.between(verified.warrant.start, verified.warrant.until):
        if row.opens in done:
            continue
        in_period = _in_period(snapshot.windows, domain, verified, row, checkpoint_time)
        labels = [label for label in in_period if label.window_id not in listed]
        if found.periods and len(found.labels) + len(labels) > WINDOWS_MAX:
            break
        found.labels += labels[:WINDOWS_MAX]
        # the rest of this period comes with the next listing
        if len(labels) > WINDOWS_MAX:
            break
        found.periods.append(row.opens)
    return found


def _in_period(
    windows: ReadWindows,
    domain: str,
    verified: VerifiedWarrant,
    row: StoredPeriod,
    checkpoint_time: int,
) -> list[Label]:
    labels: list[Label] = []
    for window in windows.of_period(row.opens):
        records = windows.seal(window.no)
        label, roster = Label.decode(records.label), Roster.decode(records.roster)
        try:
            window_in_scope(verified, label, roster, _logged(domain, window), checkpoint_time)
        except Refused:
            continue
        labels.append(label)
    return labels


def _logged(domain: str, window: StoredWindow) -> LoggedWindow:
    """The window as it is in its period's root, which this service itself made and logged."""
    frames = WindowFrames(window.id, window.next_seq, _BYTES)
    root = PeriodRoot(domain, window.opens, window.closes, 1, _BYTES, None)
    return LoggedWindow(frames, root)


def _labels_listed(windows: ReadWindows, laid: list[StoredListing]) -> list[Label]:
    labels: list[Label] = []
    for row in laid:
        for window_id in Listing.decode(row.record).windows:
            window = windows.find(window_id)
            assert window is not None
            labels.append(Label.decode(windows.seal(window.no).label))
    return labels


def _row(
    domain: str,
    verified: VerifiedWarrant,
    number: int,
    before: list[Label],
    chosen: list[Label],
) -> StoredListing:
    ids = tuple(sorted(label.window_id for label in chosen))
    listing = Listing(domain, verified.digest, number, units([*before, *chosen]), ids)
    return StoredListing(verified.digest, number, listing.digest(), listing.encode(), len(ids))
