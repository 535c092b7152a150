"""One warrant's life, as far as the ledger tells it (section 8).

| rule | refuses |
| --- | --- |
| R9 | a release that its holder alone did not sign, or gave already |
| R10 | a release out of order: of no listing, a witness's before the custodians' quorum or |
|     | without a listing; an opening before both quorums |
| R12 | a release to another key than the warrant's opener's |
| N1 | a witness's release without a notice, or a custodian's with one |
"""

from __future__ import annotations

import msgspec

from .errors import Refused, refuse_as
from .release import Listing, Release, opener_key_hash
from .report import OpeningReport
from .verified_charter import VerifiedCharter
from .warrant import Warrant


class LoggedRelease(msgspec.Struct, frozen=True):
    """A release that counts, and when the ledger took it."""

    release: Release
    time: int


class Access(msgspec.Struct, frozen=True):
    """One warrant's life so far. Times are the ledger's, None for what has not happened; signers
    are kids.
    """

    warrant: Warrant
    digest: bytes
    requester: bytes
    requested_at: int
    ratify_by: int | None = None
    approver: bytes | None = None
    approved_at: int | None = None
    counted_at: int | None = None
    inherited: int = 0
    cancelled_at: int | None = None
    lapsed_at: int | None = None
    replaced_by: bytes | None = None
    extended_at: tuple[int, ...] = ()
    listings: tuple[tuple[bytes, Listing], ...] = ()
    releases: tuple[LoggedRelease, ...] = ()
    reports: tuple[OpeningReport, ...] = ()
    destroyed_at: int | None = None

    @property
    def ended_at(self) -> int | None:
        """When it was cancelled, replaced or lapsed; expiry needs no statement."""
        return self.cancelled_at if self.lapsed_at is None else self.lapsed_at

    @property
    def ratify_until(self) -> int | None:
        """The time by which it has yet to be ratified; None if it has been, or need not be."""
        return self.ratify_by if self.approved_at is None else None

    @property
    def used(self) -> int:
        """Units of the listings that any holder has released, those of the warrant it replaced
        included.
        """
        released = {logged.release.listing_digest for logged in self.releases}
        of_all = None in released
        return self.inherited + max(
            (one.units for digest, one in self.listings if of_all or digest in released), default=0
        )

    def listing(self, digest: bytes) -> Listing:
        """The warrant's listing with this digest. Raises `Refused` R10."""
        for known, listing in self.listings:
            if known == digest:
                return listing
        raise Refused("R10", "The ledger has no such listing of this warrant.")

    def released_by(self, listing_digest: bytes) -> tuple[int, ...]:
        """Positions whose release statements cover this listing, those of all listings included."""
        covers = (None, listing_digest)
        return tuple(
            one.release.position for one in self.releases if one.release.listing_digest in covers
        )


def check_release(access: Access, release: Release, charter: VerifiedCharter) -> Release:
    """The release again, if this holder's turn has come. Signature and warrant are checked already.
    Raises `Refused` N1, R9, R10 or R12."""
    if release.opener_key_hash != opener_key_hash(access.warrant.opener_key):
        raise Refused("R12", "The release is to another key than the warrant's opener's.")

    witness = release.position in charter.tree.witness_positions()
    digest = release.listing_digest
    if digest is None and witness:
        raise Refused("R10", "Only custodians give a standing release.")
    if digest is not None:
        access.listing(digest)

    mine = [
        one.release.listing_digest
        for one in access.releases
        if one.release.position == release.position
    ]
    if digest in mine or None in mine:
        raise Refused("R9", f"Position {release.position} has released this already.")
    if witness and digest is not None:
        with refuse_as("R10", "Witnesses release after the custodians' quorum."):
            charter.tree.custodian_quorum(access.released_by(digest))
    if witness != bool(release.notices):
        raise Refused("N1", "A witness, and nobody else, commits to a notice with each release.")

    return release


def check_released(access: Access, listing_digest: bytes, charter: VerifiedCharter) -> Listing:
    """The listing, if both quorums' releases of it are in the ledger. Raises `Refused` R10."""
    listing = access.listing(listing_digest)
    if not both_released(access, listing_digest, charter):
        raise Refused("R10", "Both quorums have not released this listing yet.")
    return listing


def both_released(access: Access, listing_digest: bytes, charter: VerifiedCharter) -> bool:
    """Whether the releases so far hold both quorums of a listing."""
    positions = access.released_by(listing_digest)
    try:
        charter.tree.custodian_quorum(positions)
        charter.tree.witness_quorum(positions)
    except Refused:
        return False
    return True
