"""A warrant's listings, as holders see them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.counterseal import SealedShare
from counterseal.protocol.record import Bytes32, Part, Uint
from counterseal.protocol.release import WINDOWS_MAX, Listing
from counterseal.protocol.window import Label, Roster

from .body import MIB, Hashes
from .endpoint import Authentication, Endpoint, ErrorCode
from .log import PeriodRootBytes

LabelBytes = Annotated[bytes, Meta(min_length=1, max_length=Label.limit)]
RosterBytes = Annotated[bytes, Meta(min_length=1, max_length=Roster.limit)]


class WindowInPeriod(Part, frozen=True):
    """That a window with `frames` frames, whose tree has the root `frames_root`, is at `index` of
    its period's `windows` windows.
    """

    frames: Uint
    frames_root: Bytes32
    index: Uint
    windows: Uint
    path: Hashes


class HolderWindow(Part, frozen=True):
    """A listed window as one holder needs it: label, roster, this holder's sealed share (null
    where the keyset has no key of it), the counterseal's digest, and the proof in a logged period.
    """

    label: LabelBytes
    roster: RosterBytes
    sealed: SealedShare | None
    seal_digest: Bytes32
    proof: WindowInPeriod
    root: PeriodRootBytes
    log_index: Uint


class HolderListing(Part, frozen=True):
    """An encoded listing and its windows, in its order."""

    listing: Annotated[bytes, Meta(min_length=1, max_length=Listing.limit)]
    windows: Annotated[tuple[HolderWindow, ...], Meta(max_length=WINDOWS_MAX)]


NO_LISTING = ErrorCode(404, "listing", "the warrant has no such listing")
NO_WARRANT = ErrorCode(404, "warrant", "the ledger has no such warrant")

HOLDER_LISTING: Endpoint[None, HolderListing] = Endpoint(
    method="GET",
    path="/v1/warrants/{warrant}/listings/{listing}/holder/{position}",
    authentication=Authentication.INSTITUTION,
    summary="A listing as one holder needs it to decide, with its own sealed shares.",
    answer=HolderListing,
    errors=(
        ErrorCode(403, "other-holder", "a holder fetches for its own position alone"),
        NO_LISTING,
        NO_WARRANT,
    ),
    answer_max=256 * MIB,
)
