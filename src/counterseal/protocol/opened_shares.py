"""Shares as the opener has them: opened, and signed by their holder.

| rule | refuses |
| --- | --- |
| R11 | shares that are not those of the release: other warrant, listing, position or windows, or |
|     | not the holder's |
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .cose import ReceivedSign
from .errors import Refused, refuse_as
from .keys import InstitutionKey, SealingKey
from .release import SealedShares, Shares


class VerifiedShares(msgspec.Struct, frozen=True):
    """Shares that their holder signed for this listing, and the signed statement to show if one is
    false.
    """

    shares: Shares
    statement: bytes


def open_shares(
    private: SealingKey,
    sealed: SealedShares,
    holder: InstitutionKey,
    domain: str,
    windows: Sequence[bytes],
) -> VerifiedShares:
    """The shares that the holder at `sealed.position`, who signs with `holder`, gives for the
    listing's `windows`.

    Raises `Refused` X5 if they do not open, R11 otherwise.
    """
    statement = private.open(sealed.info, sealed.sealed)
    with refuse_as("R11", f"The shares of position {sealed.position} are not its holder's:"):
        cose = ReceivedSign.decode(statement, Shares.limit)
        shares = Shares.decode(cose.payload)
        cose.verify({holder.kid: holder})
    named = (shares.domain, shares.warrant_digest, shares.listing_digest, shares.position)
    if named != (domain, sealed.warrant_digest, sealed.listing_digest, sealed.position):
        raise Refused(
            "R11",
            f"The shares of position {sealed.position} are for another warrant, listing or place.",
        )
    if [share.window_id for share in shares.shares] != list(windows):
        raise Refused(
            "R11", f"Position {sealed.position} gave shares of other windows than the listing's."
        )
    return VerifiedShares(shares, statement)
