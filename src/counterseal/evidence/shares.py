"""The holders' shares of one window: which are the sealed ones, who gave false ones, which quorum
joins (docs/protocol.md section 4).

A share is good if it has the hash that its sealed share states (S3). A holder signs what it gives,
so one that differs names its holder, also when too few are left to join. A null says that the seal
held something else for that holder than its hash names; making the counterseal again shows which of
the two is false, the seal or the null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from counterseal import core
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.counterseal import Counterseal, check_share
from counterseal.protocol.errors import Refused
from counterseal.protocol.frame import Authenticated, received_part
from counterseal.protocol.keyset import VerifiedKeyset
from counterseal.protocol.release import Listing, Shares
from counterseal.protocol.sharing import check_prk
from counterseal.protocol.tree import Tree
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.protocol.window import Label


def verify_statement(
    statement: bytes,
    charter: VerifiedCharter,
    warrant: bytes,
    listing_digest: bytes,
    listing: Listing,
    position: int,
) -> dict[bytes, bytes | None]:
    """A holder's shares by window id, if the holder at `position` signed them for this listing.
    Raises `Refused` R11, X1 to X4, C18.
    """
    cose = ReceivedSign.decode(statement, Shares.limit)
    shares = Shares.decode(cose.payload)
    holder = charter.check_holder(position)
    cose.verify({holder.kid: holder})
    named = (shares.domain, shares.warrant_digest, shares.listing_digest, shares.position)
    if named != (charter.charter.domain, warrant, listing_digest, position):
        raise Refused("R11", "The shares are for another warrant, listing or position.")
    if [share.window_id for share in shares.shares] != list(listing.windows):
        raise Refused("R11", "The shares are of other windows than the listing's.")
    return {share.window_id: share.share for share in shares.shares}


def check_seal(counterseal: Counterseal, messages: Sequence[bytes]) -> Counterseal:
    """The counterseal again, if the window's first frame names it. Raises `Refused` F1, F2 or F5.

    The frame is stamped and logged, so whoever shows another counterseal is not the sender: neither
    it nor a holder is to be blamed.
    """
    try:
        _, _, data = core.parse_private(messages[0])
    except core.CoreError as error:
        raise Refused(error.code, error.message) from error
    if received_part(Authenticated, data).seal_digest != counterseal.seal_digest:
        raise Refused(
            "F5", "The counterseal shown is not the one that the window's first frame names."
        )
    return counterseal


class Sifted(msgspec.Struct, frozen=True):
    """One window's shares by position: `good` ones with their hash, `false` ones without it, `null`
    for "mismatch".
    """

    good: dict[int, bytes]
    false: tuple[int, ...]
    null: tuple[int, ...]


def sift(window_id: bytes, counterseal: Counterseal, given: Mapping[int, bytes | None]) -> Sifted:
    """Parts the shares that holders gave for a window. A position that has no sealed share counts
    as false.
    """
    good: dict[int, bytes] = {}
    false: list[int] = []
    null: list[int] = []
    for position, share in sorted(given.items()):
        sealed = counterseal.sealed[position] if position < len(counterseal.sealed) else None
        if share is None:
            null.append(position)
        elif sealed is None:
            false.append(position)
        else:
            try:
                good[position] = check_share(window_id, position, share, sealed)
            except Refused:  # S3
                false.append(position)
    return Sifted(good, tuple(false), tuple(null))


def quorum(tree: Tree, positions: Iterable[int]) -> tuple[int, ...]:
    """The first quorum among `positions`, no larger than it has to be. Raises `Refused` S4."""
    there = set(positions)
    bodies = tree.custodian_quorum(there)[: tree.custodians.needed]
    chosen: list[int] = []
    for body in bodies:
        chosen += sorted(there.intersection(tree.body_positions()[body]))[
            : tree.custodians.bodies[body].threshold
        ]
    chosen += tree.witness_quorum(there)[: tree.witnesses.needed]
    return tuple(chosen)


def join(tree: Tree, label: Label, good: Mapping[int, bytes]) -> bytes:
    """`prk` (32 bytes), joined from the first quorum of good shares and proved by the label. Raises
    `Refused` S4 or S5.
    """
    chosen = quorum(tree, good)
    try:
        prk = core.join_shares(tree.encode(), [(position, good[position]) for position in chosen])
    except core.CoreError as error:
        raise Refused(error.code, error.message) from error
    return check_prk(label, prk)


def remake(
    charter: VerifiedCharter,
    keyset: VerifiedKeyset,
    label: Label,
    prk: bytes,
    counterseal: Counterseal,
) -> Counterseal:
    """The counterseal again, if `prk` makes the same one. Raises `Refused` S2: then its sender
    sealed it badly.
    """
    try:
        again = core.seal_counterseal(
            prk, label.window_id, label.charter_digest, charter.tree.encode(), keyset.keys
        )
    except core.CoreError as error:
        raise Refused(error.code, error.message) from error
    if again != counterseal.encode():
        raise Refused(
            "S2",
            "The counterseal, made again from its own key, is another: its sender sealed it badly.",
        )
    return counterseal


def who(charter: VerifiedCharter, positions: Iterable[int]) -> str:
    """The holders at these positions, as people call them."""
    return ", ".join(
        f"{charter.holder_name(position)} (position {position})" for position in positions
    )
