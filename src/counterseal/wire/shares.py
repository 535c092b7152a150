"""Sealed shares, handed over by holders. They are of use to the opener alone."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.record import Part
from counterseal.protocol.release import SealedShares

from .body import KIB, Done
from .endpoint import Authentication, Endpoint, ErrorCode
from .listings import NO_WARRANT

SHARES_MAX = SealedShares.limit + 8_192


class PostShares(Part, frozen=True):
    """A sealed-shares record signed by its holder (COSE_Sign)."""

    statement: Annotated[bytes, Meta(max_length=SHARES_MAX)]


SHARES_POST: Endpoint[PostShares, Done] = Endpoint(
    method="POST",
    path="/v1/warrants/{warrant}/shares",
    authentication=Authentication.STATEMENT,
    summary="Hands over a holder's sealed shares for a listing, whoever carries them.",
    notes=(
        "Refused unless that holder's release is in the ledger (for a witness: the custodians' "
        "quorum of releases too)."
    ),
    request=PostShares,
    answer=Done,
    errors=(
        NO_WARRANT,
        ErrorCode(422, "R10", "the holder's release is not in the ledger yet"),
        ErrorCode(422, "R11", "the shares are of another warrant"),
        ErrorCode(422, "X2, X4", "the holder did not sign them"),
    ),
    request_max=SHARES_MAX + KIB,
    repeatable=True,
)
