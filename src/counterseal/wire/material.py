"""What openers and issuers fetch under a warrant: its listings, their windows with all frames, and
the sealed shares.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.frame import BODY_MAX
from counterseal.protocol.record import Bytes32, Part, Positive, Uint
from counterseal.protocol.release import SealedShares

from .body import MIB, Rows
from .endpoint import Authentication, Endpoint, ErrorCode, Query
from .listings import NO_LISTING, LabelBytes, RosterBytes, WindowInPeriod
from .log import PeriodRootBytes

MATERIAL_PAGE = 100
"""Windows in an answer, at most."""
FRAMES_IN_WINDOW = 1 << 24


class StampedFrame(Part, frozen=True):
    """A frame: its number in the conversation, its stamp in Unix seconds, the MLS message."""

    n: Positive
    time: Uint
    message: Annotated[bytes, Meta(min_length=1, max_length=BODY_MAX)]


class ListedMaterial(Part, frozen=True):
    """A listed window with all that was said in it, still sealed."""

    label: LabelBytes
    roster: RosterBytes
    counterseal: Annotated[bytes, Meta(min_length=1, max_length=Counterseal.limit)]
    proof: WindowInPeriod
    frames: Annotated[tuple[StampedFrame, ...], Meta(max_length=FRAMES_IN_WINDOW)]
    root: PeriodRootBytes
    log_index: Uint


class MaterialPage(Rows, frozen=True):
    """Windows in the listing's order."""

    rows: Annotated[tuple[ListedMaterial, ...], Meta(max_length=MATERIAL_PAGE)]


MATERIAL: Endpoint[None, MaterialPage] = Endpoint(
    method="GET",
    path="/v1/warrants/{warrant}/listings/{listing}/material",
    authentication=Authentication.INSTITUTION,
    summary="A listing's windows with their frames, for openers and issuers.",
    answer=MaterialPage,
    errors=(
        ErrorCode(403, "not-an-opener", "for openers and issuers of the charter in force"),
        NO_LISTING,
    ),
    query=(
        Query("after", "how many windows to pass over", default=0),
        Query("limit", "windows at most", default=MATERIAL_PAGE, least=1, most=MATERIAL_PAGE),
    ),
    answer_max=256 * MIB,
)


class ShownListing(Part, frozen=True):
    """A listing's number, from 0, its digest and how many windows it has."""

    number: Uint
    digest: Bytes32
    windows: Uint


class ShownListings(Rows, frozen=True):
    """A warrant's listings, in order."""

    rows: Annotated[tuple[ShownListing, ...], Meta(max_length=10_000)]


LISTINGS: Endpoint[None, ShownListings] = Endpoint(
    method="GET",
    path="/v1/warrants/{warrant}/listings",
    authentication=Authentication.INSTITUTION,
    summary="A warrant's listings.",
    answer=ShownListings,
    answer_max=MIB,
)


class ShownShares(Part, frozen=True):
    """The encoded sealed-shares records of a warrant."""

    sealed: Annotated[
        tuple[Annotated[bytes, Meta(min_length=1, max_length=SealedShares.limit)], ...],
        Meta(max_length=100_000),
    ]


SHARES: Endpoint[None, ShownShares] = Endpoint(
    method="GET",
    path="/v1/warrants/{warrant}/shares",
    authentication=Authentication.INSTITUTION,
    summary="The sealed shares of a warrant.",
    answer=ShownShares,
    answer_max=256 * MIB,
)
