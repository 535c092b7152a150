"""What has become of a warrant, by the ledger: in figures, and in sentences."""

from __future__ import annotations

import msgspec

from counterseal.protocol.access import Access
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.errors import Refused
from counterseal.protocol.notice import notice_due
from counterseal.protocol.verified_charter import VerifiedCharter

from .phrases import count, when


class WarrantStatus(msgspec.Struct, frozen=True):
    """What the ledger says of a warrant. Times are Unix seconds, None for what has not happened;
    counts are `[so far, needed]`.
    """

    digest: bytes
    state: str
    requested: int
    approved: int | None
    ratify_by: int | None
    ended: int | None
    expires: int
    listings: int
    windows: int
    units: int
    units_allowed: int
    bodies: tuple[int, int]
    witnesses: tuple[int, int]
    opened: int
    notice_due: int | None
    destroyed: int | None


def describe_status(one: WarrantStatus) -> list[str]:
    """What has become of a warrant, one sentence a line."""
    lines = [
        (
            f"Warrant {one.digest.hex()}: {one.state}. Requested {when(one.requested)}, "
            f"expires {when(one.expires)}."
        )
    ]
    if one.approved is not None:
        lines.append(f"Approved {when(one.approved)}.")
    elif one.ratify_by is not None:
        lines.append(f"Urgent; to be ratified by {when(one.ratify_by)}.")
    if one.listings:
        lines.append(f"Listed: {count(one.windows, 'window')} in {count(one.listings, 'listing')}.")
    lines.append(
        f"Newest listing released by {one.bodies[0]} of {one.bodies[1]} custodian bodies needed, "
        f"{one.witnesses[0]} of {one.witnesses[1]} witnesses needed; "
        f"{one.units:,} of {one.units_allowed:,} units used."
    )
    if one.opened:
        lines.append(f"Opened: {count(one.opened, 'opening report')}.")
    if one.notice_due is not None:
        lines.append(f"The first notice is due {when(one.notice_due)}.")
    if one.destroyed is not None:
        lines.append(f"What was opened was destroyed {when(one.destroyed)}.")
    return lines


def warrant_status(state: AccessState, digest: bytes, now: int) -> WarrantStatus:
    """The figures of a warrant at `now`, the time up to which the ledger was read. Raises `Refused`
    W15, or with the rule and the reason if the ledger has a request that is void.
    """
    access = _access(state, digest)
    charter = state.rulebook.charter(access.warrant.charter_digest)
    tree, positions = charter.tree, _positions(access)
    witnesses = len(set(positions).intersection(tree.witness_positions()))
    return WarrantStatus(
        digest=digest,
        state=_state_word(access, charter, now),
        requested=access.requested_at,
        approved=access.approved_at,
        ratify_by=access.ratify_by,
        ended=access.ended_at,
        expires=access.warrant.expires,
        listings=len(access.listings),
        windows=sum(len(listing.windows) for _, listing in access.listings),
        units=access.used,
        units_allowed=access.warrant.units,
        bodies=(len(tree.satisfied_bodies(positions)), tree.custodians.needed),
        witnesses=(witnesses, tree.witnesses.needed),
        opened=len(access.reports),
        notice_due=_first_notice(state, access),
        destroyed=access.destroyed_at,
    )


def _access(state: AccessState, digest: bytes) -> Access:
    if digest not in state.accesses:
        for outcome in state.outcomes:
            if outcome.digest == digest and outcome.rule is not None:
                raise Refused(
                    outcome.rule, f"The ledger has the request, and it is void. {outcome.message}"
                )
    return state.access(digest)


def _first_notice(state: AccessState, access: Access) -> int | None:
    dues = []
    for logged in access.releases:
        if logged.release.notices:
            rule = state.rulebook.in_force(logged.time).charter.notices
            dues.append(notice_due(access, logged, rule.delay, rule.extension))
    return min(dues, default=None)


def _positions(access: Access) -> tuple[int, ...]:
    """Who has released the newest listing (or, before the first, given a standing release)."""
    if access.listings:
        return access.released_by(access.listings[-1][0])
    return tuple(one.release.position for one in access.releases)


def _state_word(access: Access, charter: VerifiedCharter, now: int) -> str:
    for word, holds in (
        ("lapsed", access.lapsed_at is not None),
        ("replaced", access.replaced_by is not None),
        ("cancelled", access.cancelled_at is not None),
        ("expired", now >= access.warrant.expires),
        ("opened", bool(access.reports)),
        ("released", _satisfied(access, charter)),
        ("listed", bool(access.listings)),
        ("approved", access.approved_at is not None),
        ("urgent", access.warrant.urgent),
    ):
        if holds:
            return word
    return "requested"


def _satisfied(access: Access, charter: VerifiedCharter) -> bool:
    try:
        charter.tree.custodian_quorum(_positions(access))
        charter.tree.witness_quorum(_positions(access))
    except Refused:
        return False
    return bool(access.listings)
