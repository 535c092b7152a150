"""The custodian's member: a person who reads, in words, what a warrant is about to open, and then
says yes or says nothing.

Everything that is shown has passed every check of `checks`; what has not is not shown as something
that could be released. `release` is for a machine with a network; `offline` for one without.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from counterseal.access.common.institution_client import InstitutionClient, post_statement
from counterseal.access.common.ledger_copy import Fresh
from counterseal.access.holders import checks
from counterseal.access.holders.holder import Case, Holder, in_ledger
from counterseal.describe.listing import describe_listing
from counterseal.describe.warrant import describe_warrant
from counterseal.protocol.errors import NotFound, Refused, Unavailable


class Reviewed(msgspec.Struct, frozen=True):
    """A warrant that runs, in words, and the listings that passed every check. `refused` says what
    did not, and by which rule.
    """

    case: Case
    listings: tuple[checks.VerifiedListing, ...]
    refused: tuple[str, ...]
    lines: tuple[str, ...]


class Released(msgspec.Struct, frozen=True):
    """What was done for a warrant: listings released, listings handed over, and whether a standing
    release is in force.
    """

    warrant: bytes
    released: int
    handed_over: int
    standing: bool


def review(holder: Holder) -> list[Reviewed]:
    """Every warrant that runs and waits for this member, checked and in words. Raises rather than
    show an incomplete ledger.
    """
    fresh = holder.sync()
    return [
        review_case(holder, fresh, case)
        for case in holder.cases(fresh)
        if case.to_release or case.to_hand_over or not case.standing
    ]


def review_case(holder: Holder, fresh: Fresh, case: Case) -> Reviewed:
    """One warrant, checked and in words."""
    listings: list[checks.VerifiedListing] = []
    refused: list[str] = []
    for digest in case.to_release:
        try:
            listings.append(holder.verify(fresh, case, digest))
        except Refused as error:
            number = case.warrant.access.listing(digest).number
            refused.append(f"Listing {number} is refused by rule {error.rule}: {error.message}")
    lines = (
        describe_warrant(case.warrant, fresh.state, fresh.time)
        + [_describe(one) for one in listings]
        + refused
    )
    if not case.to_release:
        lines.append(_nothing_listed(case))
    return Reviewed(case, tuple(listings), tuple(refused), tuple(lines))


def _describe(listing: checks.VerifiedListing) -> str:
    labels = [window.label for window in listing.windows]
    allowed = listing.warrant.warrant.units
    return describe_listing(listing.listing.number, labels, listing.units, allowed)


def _nothing_listed(case: Case) -> str:
    if case.standing:
        return "Your standing release covers every listing of this warrant until it expires."
    if case.warrant.access.listings:
        return "You have released every listing so far."
    return (
        "The service has listed no window of this warrant yet; a standing release would cover "
        "what it lists later."
    )


def release(
    holder: Holder,
    service: InstitutionClient,
    digest: bytes,
    *,
    standing: bool = False,
    patience: float = 60.0,
) -> Released:
    """Releases every listing of the warrant, or gives a standing release, and hands the shares over
    once the ledger has that.

    Raises `Refused` with the rule if one of the listings fails a check: then nothing at all is
    released. `Unavailable` if the ledger does not take the release within `patience` seconds; the
    same call later goes on.
    """
    fresh = holder.sync()
    case = holder.case(fresh, digest)
    statements = make_releases(holder, fresh, case, standing)
    for statement in statements:
        post_statement(service, statement)
    fresh, case = _wait(holder, case, case.to_release if not standing else (), standing, patience)
    return Released(digest, len(statements), holder.hand_over(service, fresh, case), case.standing)


def make_releases(holder: Holder, fresh: Fresh, case: Case, standing: bool) -> list[bytes]:
    """The release statements to sign now; checks of every listing come first, so that it is all or
    nothing.
    """
    verified = [holder.verify(fresh, case, digest) for digest in case.to_release]
    if standing and not case.standing:
        return [holder.release(case, None)]
    if not case.warrant.access.listings and not case.standing:
        raise NotFound(
            "The ledger has no listing of this warrant to release; wait for one, or give a "
            "standing release."
        )
    return [holder.release(case, listing) for listing in verified]


def _wait(
    holder: Holder, case: Case, listings: Sequence[bytes], standing: bool, patience: float
) -> tuple[Fresh, Case]:
    """Follows the ledger until it has this holder's releases."""
    deadline = time.monotonic() + patience
    while True:
        fresh = holder.sync()
        now = holder.case(fresh, case.warrant.digest)
        wanted = [None] if standing else list(listings)
        if all(
            in_ledger(now.warrant.access, case.position, digest) or now.standing
            for digest in wanted
        ):
            return fresh, now
        if time.monotonic() > deadline:
            raise Unavailable(
                "The ledger has not taken the release yet; run the same command again later, it "
                "goes on from here."
            )
        time.sleep(0.2)


def follow(holder: Holder, service: InstitutionClient) -> list[Released]:
    """Hands over what releases in the ledger cover and the opener does not have yet: a standing
    release's later listings.
    """
    fresh = holder.sync()
    waiting = [case for case in holder.cases(fresh) if case.to_hand_over]
    return [
        Released(case.warrant.digest, 0, holder.hand_over(service, fresh, case), case.standing)
        for case in waiting
    ]
