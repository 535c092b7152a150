"""What the statements about what is opened do: listings, releases, reports, destruction (section
8).

Each function checks a statement against the fold, then changes it; what is refused changes nothing.

| rule | refuses |
| --- | --- |
| R7 | a listing that is not the warrant's next, is unsorted, or repeats a window |
| R8 | units beyond the warrant's, or other than the listing says |
| O1 | a report or a destruction by anybody but the opener whose key the warrant names |
"""

from __future__ import annotations

from .access import Access, LoggedRelease, both_released, check_release
from .access_fold import AccessFold, as_kind
from .errors import Refused, refuse_as
from .ledger_statement import LedgerStatement
from .release import Listing, Release
from .report import OpeningReport, check_report


def take_listing(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """Windows are named as what a warrant reaches. Raises `Refused` R7, R8, W1 and as
    `check_running`.
    """
    listing = as_kind(received.record, Listing)
    access = fold.check_running(listing.warrant_digest, time)
    if listing.domain != fold.rulebook.domain:
        raise Refused("W1", "The listing is of another domain.")
    in_order = list(listing.windows) == sorted(set(listing.windows))
    if listing.number != len(access.listings) or not in_order:
        raise Refused("R7", f"Listing {len(access.listings)} comes next, sorted, each window once.")

    before = {window for _, earlier in access.listings for window in earlier.windows}
    if not before.isdisjoint(listing.windows):
        raise Refused("R7", "The listing repeats a window of an earlier one.")

    least = access.listings[-1][1].units if access.listings else 1
    if not least <= listing.units <= access.warrant.units - access.inherited:
        raise Refused("R8", f"{listing.units} units are fewer than before, or over the warrant's.")

    fold.put(access, listings=(*access.listings, (listing.digest(), listing)))


def take_release(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """A holder releases a listing. Raises `Refused` N1, R9, R10, R12, C18, X2, X4, W1 and as
    `check_running`.
    """
    release = as_kind(received.record, Release)
    charter = fold.check_named(release)
    access = fold.of(release)
    fold.check_running(access.digest, time)
    holder = charter.check_holder(release.position)
    if received.signed.verify({holder.kid: holder}) != (holder.kid,):
        raise Refused("R9", "A release is signed by its holder alone.")
    check_release(access, release, charter)
    fold.put(access, releases=(*access.releases, LoggedRelease(release, time)))


def take_report(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """The opener says what it opened. Raises `Refused` O1 to O3, W1, W9, W15."""
    report = as_kind(received.record, OpeningReport)
    access = fold.of(report)
    _check_opener(fold, access, received)
    charter = fold.rulebook.charter(access.warrant.charter_digest)
    released = {
        digest: one for digest, one in access.listings if both_released(access, digest, charter)
    }
    check_report(report, released)
    fold.put(access, reports=(*access.reports, report))


def take_destruction(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """The opener destroyed what it had. Raises `Refused` O1, W1, W9, W15."""
    access = fold.of(received.record)
    _check_opener(fold, access, received)
    if access.destroyed_at is not None:
        raise Refused("W15", "The destruction has been logged already.")
    fold.put(access, destroyed_at=time)


def _check_opener(fold: AccessFold, access: Access, received: LedgerStatement) -> None:
    opener = fold.rulebook.in_force(access.requested_at).openers.get(access.warrant.opener_key)
    if opener is None:
        raise Refused("W9", "The charter in force at the request has no such opener.")
    with refuse_as("O1", f"This is signed by the warrant's opener, {opener.name!r}."):
        received.signed.verify({opener.key.kid: opener.key})
