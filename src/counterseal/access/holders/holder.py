"""A holder at work: the checks of `checks`, with the home, the ledger copy and the service.

What was decided is written down before it is sent: a release and the shares made for it have the
same bytes however often a program is started again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from counterseal import state_files
from counterseal.access.common import store
from counterseal.access.common.clock import Clock, real_clock
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.ledger_copy import Fresh, LedgerCopy
from counterseal.access.common.rules import Rules
from counterseal.access.common.sources import Source
from counterseal.access.holders import checks, listings
from counterseal.protocol.access import Access
from counterseal.protocol.cose import ReceivedSign, sign
from counterseal.protocol.decision import VerifiedWarrant
from counterseal.protocol.errors import Conflict, NotFound, Refused
from counterseal.protocol.release import Release, seal_shares
from counterseal.wire.shares import SHARES_POST, PostShares


class Case(msgspec.Struct, frozen=True):
    """A warrant that runs, and what this holder has still to do: listings to release, and listings
    to hand over.
    """

    warrant: VerifiedWarrant
    position: int
    to_release: tuple[bytes, ...]
    to_hand_over: tuple[bytes, ...]
    standing: bool


class Holder:
    """One holder's work on warrants. `offline` says that the source is a folder: the charter's
    longer freshness then counts.
    """

    def __init__(
        self,
        home: InstitutionHome,
        source: Source,
        clock: Clock = real_clock,
        rules: Rules | None = None,
        *,
        offline: bool = False,
    ) -> None:
        self.home, self.source, self.clock, self.offline = home, source, clock, offline
        self.rules = rules or Rules(home, clock)
        self.copy = LedgerCopy(self.rules, clock)
        self._labels = listings.Labels(home.path / "warrants")

    def sync(self, at_least: int = 0) -> Fresh:
        """Charters, keysets and the whole ledger up to a fresh checkpoint; raises rather than give
        anything less (check 1).
        """
        self.rules.sync(self.source)
        ledger = self.rules.in_force().charter.ledger
        return self.copy.sync(
            self.source, ledger.fresh_offline if self.offline else ledger.fresh_online, at_least
        )

    def cases(self, fresh: Fresh) -> Iterator[Case]:
        """Each warrant that runs under a charter in which this home is a holder."""
        for digest in list(fresh.state.accesses):
            # not approved, over, or not this holder's: nothing to do
            with suppress(Refused, NotFound):
                warrant = checks.check_access(fresh, digest, self.clock())
                yield self._case(warrant, self.home.position(warrant.charter))

    def case(self, fresh: Fresh, digest: bytes) -> Case:
        """The one warrant with this digest. Raises `Refused` W1 to W15 if it does not run,
        `NotFound` if this is no holder.
        """
        warrant = checks.check_access(fresh, digest, self.clock())
        return self._case(warrant, self.home.position(warrant.charter))

    def _case(self, warrant: VerifiedWarrant, position: int) -> Case:
        mine = [
            one.release.listing_digest
            for one in warrant.access.releases
            if one.release.position == position
        ]
        standing = None in mine
        digests = [digest for digest, _ in warrant.access.listings]
        to_release = () if standing else tuple(digest for digest in digests if digest not in mine)
        covered = [digest for digest in digests if standing or digest in mine]
        to_hand_over = tuple(
            digest for digest in covered if not self._handed(warrant.digest, digest).exists()
        )
        return Case(warrant, position, to_release, to_hand_over, standing)

    def verify(self, fresh: Fresh, case: Case, listing_digest: bytes) -> checks.VerifiedListing:
        """The listing, after checks 2 to 5. Raises `Refused` with the rule that forbids it."""
        warrant, access = case.warrant, case.warrant.access
        number = access.listing(listing_digest).number
        log = self.rules.log
        windows = listings.fetch(self.source, log, warrant.digest, number, case.position)
        earlier = self._labels.before(access, number, self.source, log, case.position)
        verified = checks.check_listing(
            fresh, warrant, listing_digest, windows, earlier, self.rules.keysets
        )
        self._labels.keep(listing_digest, [window.label for window in windows])
        return verified

    def release(
        self, case: Case, listing: checks.VerifiedListing | None, notices: Sequence[bytes] = ()
    ) -> bytes:
        """The signed release (check 6), durable before it is given out; the same bytes when asked
        again. Raises `Refused`.
        """
        record = checks.make_release(case.warrant, listing, case.position, notices)
        place = self._place(case.warrant.digest, listing.digest if listing else None, "release")
        with suppress(NotFound):
            held = store.read(place, "release")
            return _same(held, record)
        state_files.write_state(place, sign([self.home.signer], record.encode()))
        return store.read(place, "release")

    def held_release(self, case: Case, listing: bytes | None) -> bytes | None:
        """A release that this home signed before, or None."""
        with suppress(NotFound):
            return store.read(self._place(case.warrant.digest, listing, "release"), "release")
        return None

    def shares(self, case: Case, listing: checks.VerifiedListing) -> bytes:
        """This holder's shares, sealed to the opener and signed. For a release that the ledger has;
        see `hand_over`.
        """
        record = checks.open_own_shares(
            listing, case.position, self.rules.keysets, self.home.sealing_key
        )
        sealed = seal_shares(self.home.signer, record, case.warrant.warrant.opener_key)
        return sign([self.home.signer], sealed.encode())

    def hand_over(self, service: InstitutionClient, fresh: Fresh, case: Case) -> int:
        """Hands over the shares of each listing that this holder's release in the ledger covers;
        gives how many listings.

        Every check is made again on the newest ledger: a warrant cancelled since the release gets
        nothing.
        """
        count = 0
        for digest in case.to_hand_over:
            checks.check_own_release(case.warrant, digest, case.position)
            post_shares(
                service, case.warrant.digest, self.shares(case, self.verify(fresh, case, digest))
            )
            self.handed(case.warrant.digest, digest)
            count += 1
        return count

    def handed(self, warrant: bytes, listing: bytes) -> None:
        """Remembers that the shares of a listing are with the opener."""
        state_files.write_state(self._handed(warrant, listing), b"", mode=state_files.PUBLIC)

    def _handed(self, warrant: bytes, listing: bytes) -> Path:
        return self._place(warrant, listing, "handed")

    def _place(self, warrant: bytes, listing: bytes | None, kind: str) -> Path:
        return (
            self.home.path
            / "warrants"
            / f"{warrant.hex()}.{listing.hex() if listing else 'standing'}.{kind}"
        )


def post_shares(service: InstitutionClient, warrant: bytes, statement: bytes) -> None:
    """Hands sealed, signed shares over, whoever carries them; shares that are there already are no
    error.
    """
    with suppress(Conflict):
        service.post(SHARES_POST, PostShares(statement), warrant=warrant)


def in_ledger(access: Access, position: int, listing: bytes | None) -> bool:
    """Whether the ledger has this holder's release (of a listing, or the standing one)."""
    return any(
        (one.release.position, one.release.listing_digest) == (position, listing)
        for one in access.releases
    )


def _same(held: bytes, record: Release) -> bytes:
    """A release that was signed before, if it says the same; a witness's earlier notices stay as
    they are.
    """
    before = Release.decode(ReceivedSign.decode(held, Release.limit).payload)
    if msgspec.structs.replace(before, notices=()) != msgspec.structs.replace(record, notices=()):
        raise Refused(
            "R12",
            "This holder signed another release of the same listing before; it does not sign two.",
        )
    return held
