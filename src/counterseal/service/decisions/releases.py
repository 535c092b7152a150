"""Who may fetch and hand over what under a warrant."""

from __future__ import annotations

import msgspec

from counterseal.protocol.access import Access
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import NotAuthorised, NotFound, Refused
from counterseal.protocol.release import Listing, SealedShares
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service.authentication import InstitutionCaller
from counterseal.service.store.interface import Snapshot
from counterseal.service.store.rows import StoredListing, StoredShares, StoredWindow


class PostedShares(msgspec.Struct, frozen=True):
    """A holder's sealed shares, and the signature around them."""

    statement: ReceivedSign
    record: SealedShares


def get_access(state: AccessState | None, warrant: bytes) -> Access:
    """What the ledger says of a warrant. Raises `NotFound` "warrant", `Refused`."""
    if state is None:
        raise NotFound("The ledger has no such warrant.", code="warrant")
    return state.access(warrant)


def get_listing(snapshot: Snapshot, warrant: bytes, number: int) -> StoredListing:
    """A warrant's listing. Raises `NotFound` "listing"."""
    for row in snapshot.releases.listings(warrant):
        if row.number == number:
            return row
    raise NotFound("The warrant has no such listing.", code="listing")


def listed_windows(snapshot: Snapshot, row: StoredListing) -> list[StoredWindow]:
    """The windows of a listing, in its order."""
    found = (snapshot.windows.find(window_id) for window_id in Listing.decode(row.record).windows)
    return [window for window in found if window is not None]


def check_holder(charter: VerifiedCharter, position: int, caller: InstitutionCaller) -> None:
    """Returns if the caller is the holder at this position of the warrant's charter.

    Raises `NotAuthorised` "other-holder".
    """
    if charter.check_holder(position).kid != caller.kid:
        raise NotAuthorised("A holder fetches for its own position alone.", code="other-holder")


def check_opener_or_issuer(in_force: VerifiedCharter, caller: InstitutionCaller) -> None:
    """Returns if the caller is one of the charter in force.

    Raises `NotAuthorised` "not-an-opener".
    """
    charter = in_force.charter
    openers = {one.key.kid for one in charter.openers}
    issuers = {one.key.kid for one in charter.issuers}
    if caller.kid not in openers | issuers:
        raise NotAuthorised(
            "This is for openers and issuers of the charter in force.", code="not-an-opener"
        )


def read_shares(statement: bytes, warrant: bytes) -> PostedShares:
    """Sealed shares as they were posted for a warrant. Raises `Refused` R11 and the record's."""
    received = ReceivedSign.decode(statement, SealedShares.limit)
    record = SealedShares.decode(received.payload)
    if record.warrant_digest != warrant:
        raise Refused("R11", "The shares are of another warrant than the address says.")
    return PostedShares(received, record)


def check_shares(posted: PostedShares, access: Access, charter: VerifiedCharter) -> StoredShares:
    """What the store keeps of shares, signed by the holder whose release is in the ledger.

    The signature is what keeps anybody else from taking the holder's place with shares that do not
    open. Raises `Refused` R10, X2, X4.
    """
    record = posted.record
    holder = charter.check_holder(record.position)
    posted.statement.verify({holder.kid: holder})
    if record.position not in access.released_by(record.listing_digest):
        raise Refused(
            "R10", "This holder's release is not in the ledger yet; it comes before the shares."
        )
    return StoredShares(record.listing_digest, record.position, posted.statement.payload)
