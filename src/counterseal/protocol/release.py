"""Listings, releases and the shares handed over (section 8)."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from .cbor import H, tag
from .cose import SIGNER_BYTES, sign
from .keys import HPKE_OVERHEAD, InstitutionSigner, seal_to
from .record import Bytes32, Domain, Part, Record, Uint

WINDOWS_MAX = 10_000
"""Windows in one listing; a larger scope takes several."""


class Listing(Record, frozen=True, tag="counterseal/v1/listing"):
    """Windows in a warrant's scope, sorted. `number` counts the warrant's listings from 0; `units`
    is the number of units of all its listings so far, this one included. Not signed: the
    ledger's."""

    limit: ClassVar[int] = 512 << 10
    domain: Domain
    warrant_digest: Bytes32
    number: Uint
    units: Uint
    windows: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=WINDOWS_MAX)]


class Release(Record, frozen=True, tag="counterseal/v1/release"):
    """A holder will hand over its shares of a listing (null, custodians only: of all to come).
    COSE_Sign by the holder.
    """

    limit: ClassVar[int] = 512 << 10
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    listing_digest: Bytes32 | None
    position: Uint
    opener_key_hash: Bytes32
    notices: Annotated[tuple[Bytes32, ...], Meta(max_length=WINDOWS_MAX)]


class WindowShare(Part, frozen=True):
    """One window's share (32 bytes); null says that the seal held another for this holder than its
    hash names.
    """

    window_id: Bytes32
    share: Bytes32 | None


class Shares(Record, frozen=True, tag="counterseal/v1/shares"):
    """A holder's shares of one listing, in its order. COSE_Sign by the holder."""

    limit: ClassVar[int] = 1 << 20
    domain: Domain
    warrant_digest: Bytes32
    listing_digest: Bytes32
    position: Uint
    shares: Annotated[tuple[WindowShare, ...], Meta(max_length=WINDOWS_MAX)]


class SealedShares(Record, frozen=True, tag="counterseal/v1/sealed-shares"):
    """A shares statement sealed to the opener's key."""

    limit: ClassVar[int] = Shares.limit + SIGNER_BYTES + HPKE_OVERHEAD + 512
    warrant_digest: Bytes32
    listing_digest: Bytes32
    position: Uint
    sealed: Annotated[bytes, Meta(max_length=Shares.limit + SIGNER_BYTES + HPKE_OVERHEAD + 256)]

    @property
    def info(self) -> list[object]:
        """HPKE's info, as an array."""
        return [tag("shares-seal"), self.warrant_digest, self.listing_digest, self.position]


def opener_key_hash(opener_key: bytes) -> bytes:
    """`H([tag("opener-key"), opener_key])`."""
    return H([tag("opener-key"), opener_key])


def seal_shares(signer: InstitutionSigner, shares: Shares, opener_key: bytes) -> SealedShares:
    """The holder's shares, signed and sealed to the opener. Raises `Refused` K5 for a bad opener's
    key.
    """
    empty = SealedShares(shares.warrant_digest, shares.listing_digest, shares.position, b"")
    sealed = seal_to(opener_key, empty.info, sign([signer], shares.encode()))
    return msgspec.structs.replace(empty, sealed=sealed)
