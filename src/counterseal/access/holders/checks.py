"""What every holder checks before it gives a share, custodian and witness alike. No I/O: all that
it judges is handed in.

In order, none skippable; the rules are those of docs/protocol.md, the decisions those of
`protocol.decision`:

1. the ledger is whole up to a fresh, cosigned checkpoint (G1 to G11; `LedgerCopy` returns a `Fresh`
   or raises);
2. the warrant runs: signed by a requester and an approver of another body, not expired, cancelled,
   replaced, lapsed or revoked, within the caps (W1 to W15);
3. the listing is the ledger's, and the windows given are the listing's, all of them (R7, R10);
4. each window is in scope: charter, account, span, conversation, closed, and in a logged period
   root (R1 to R6, L1 to L3);
5. the units of all listings so far stay within the warrant's (R8);
6. it is this holder's turn, and the shares go to the warrant's opener (R9, R10, R12, N1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from counterseal.access.common.ledger_copy import Fresh
from counterseal.protocol.access import check_release
from counterseal.protocol.counterseal import SealedShare, open_share
from counterseal.protocol.decision import VerifiedWarrant, check_units, decide, window_in_scope
from counterseal.protocol.errors import NotFound, Refused
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.keyset import VerifiedKeyset
from counterseal.protocol.period import LoggedWindow
from counterseal.protocol.release import Listing, Release, Shares, WindowShare, opener_key_hash
from counterseal.protocol.window import Label, Roster, VerifiedWindow


class ListedWindow(msgspec.Struct, frozen=True):
    """A window of a listing as it came: its label and roster, this holder's sealed share (None
    where the keyset had no key), and its proved place in a logged period root. That it is in the
    warrant's scope is not yet checked."""

    label: Label
    roster: Roster
    sealed: SealedShare | None
    logged: LoggedWindow


class VerifiedListing(msgspec.Struct, frozen=True):
    """A listing that this holder may release: every check above but the last has passed. `units`
    are those of all listings so far.
    """

    warrant: VerifiedWarrant
    listing: Listing
    digest: bytes
    windows: tuple[VerifiedWindow, ...]
    sealed: tuple[SealedShare | None, ...]
    units: int


def check_access(fresh: Fresh, digest: bytes, clock: int) -> VerifiedWarrant:
    """Check 2: the warrant, if it runs at the later of the checkpoint's time and this holder's own
    clock. Raises `Refused`.
    """
    return decide(fresh.state, digest, max(fresh.time, clock))


def check_listing(
    fresh: Fresh,
    warrant: VerifiedWarrant,
    listing_digest: bytes,
    windows: Sequence[ListedWindow],
    earlier: Sequence[Label],
    keysets: Mapping[bytes, VerifiedKeyset],
) -> VerifiedListing:
    """Checks 3 to 5. `earlier` are the labels of the warrant's listings before this one. Raises
    `Refused`.
    """
    listing = warrant.access.listing(listing_digest)
    if [window.label.window_id for window in windows] != list(listing.windows):
        raise Refused(
            "R7", "The windows shown are not those of the listing in the ledger, in its order."
        )
    verified = []
    for window in windows:
        keyset = keysets.get(window.label.keyset_digest)
        if keyset is None or keyset.keyset.charter_digest != window.label.charter_digest:
            raise Refused(
                "L1", "A window names a keyset that its charter does not have in the log."
            )
        verified.append(
            window_in_scope(warrant, window.label, window.roster, window.logged, fresh.time)
        )
    units = check_units(warrant, [*earlier, *(window.label for window in windows)], listing_digest)
    sealed = tuple(window.sealed for window in windows)
    return VerifiedListing(warrant, listing, listing_digest, tuple(verified), sealed, units)


def make_release(
    warrant: VerifiedWarrant,
    listing: VerifiedListing | None,
    position: int,
    notices: Sequence[bytes] = (),
) -> Release:
    """Check 6, and the release record to sign; without a listing it is a custodian's standing
    release. Raises `Refused`.
    """
    release = Release(
        domain=warrant.warrant.domain,
        charter_digest=warrant.charter.digest,
        warrant_digest=warrant.digest,
        listing_digest=None if listing is None else listing.digest,
        position=position,
        opener_key_hash=opener_key_hash(warrant.warrant.opener_key),
        notices=tuple(notices),
    )
    return check_release(warrant.access, release, warrant.charter)


def open_own_shares(
    listing: VerifiedListing,
    position: int,
    keysets: Mapping[bytes, VerifiedKeyset],
    sealing_key: Callable[[bytes, int], SealingKey | None],
) -> Shares:
    """This holder's shares of a listing, opened with the sealing key of each window's quarter.

    A share that does not open, or is not the one its hash names (S3), is null: "mismatch", which
    the opener settles. Raises `NotFound` for a quarter whose key this home does not have. That its
    own release stands in the ledger is the caller's to check.
    """
    shares = []
    for window, sealed in zip(listing.windows, listing.sealed, strict=True):
        keyset = keysets[window.label.keyset_digest].keyset
        private = sealing_key(keyset.charter_digest, keyset.quarter)
        if private is None:
            raise NotFound(
                f"The sealing key of quarter {keyset.quarter} is not in this home: destroyed, or "
                "never drawn here."
            )
        shares.append(WindowShare(window.window_id, _open(private, window.label, position, sealed)))
    domain = listing.warrant.warrant.domain
    return Shares(domain, listing.warrant.digest, listing.digest, position, tuple(shares))


def _open(
    private: SealingKey, label: Label, position: int, sealed: SealedShare | None
) -> bytes | None:
    if sealed is None:
        return None
    try:
        return open_share(private, label, position, sealed)
    except Refused:
        return None


def check_own_release(warrant: VerifiedWarrant, listing_digest: bytes, position: int) -> None:
    """Returns if this holder's release of the listing is in the ledger: no entry there, no share.
    Raises `Refused` R10.
    """
    if position not in warrant.access.released_by(listing_digest):
        raise Refused(
            "R10",
            "This holder's release is not in the ledger yet; its shares are handed over only "
            "after that.",
        )
