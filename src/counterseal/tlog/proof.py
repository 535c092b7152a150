"""Inclusion and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2), verified against roots.

What is verified against a root is a `Verified...`. Proofs as records, not believed yet, and how
they are made are in `prove.py`.

| rule | refuses |
| --- | --- |
| T9 | an inclusion path that does not lead from the leaf to the root |
| T10 | a consistency path that does not lead from the old root to the new one |
| T11 | a proof with an index or a size out of range, or hashes that are not 32 bytes |
"""

import hmac
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from counterseal.protocol.record import Bytes32
from counterseal.tlog.errors import TlogError
from counterseal.tlog.tree import EMPTY_ROOT, HASH_SIZE, MAX_SIZE, node_hash

MAX_PATH = 63

Path = Annotated[tuple[Bytes32, ...], Meta(max_length=MAX_PATH)]


class VerifiedInclusion(msgspec.Struct, frozen=True):
    """A leaf hash that is proved to be at `index` of the tree of `size` leaves with this
    root.
    """

    index: int
    size: int
    leaf: bytes
    root: bytes


class VerifiedConsistency(msgspec.Struct, frozen=True):
    """Two trees of which the newer is proved to begin with all of the older."""

    old_size: int
    old_root: bytes
    new_size: int
    new_root: bytes


def verify_inclusion(
    leaf: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]
) -> VerifiedInclusion:
    """Checks that `leaf` (a leaf hash) is at `index` of the tree of `size` leaves with `root` (RFC
    9162 section 2.1.3.2).
    """
    _well_formed(path, leaf, root)
    if not hmac.compare_digest(implied_root(leaf, index, size, path), root):
        raise TlogError("T9", f"The path of leaf {index} does not lead to the root of {size}.")
    return VerifiedInclusion(index, size, leaf, root)


def implied_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root of the tree of `size` leaves to which the path of `leaf` (a leaf hash) at `index`
    leads (RFC 9162 section 2.1.3.2). Raises `TlogError` T9 or T11.
    """
    check_range(0 <= index < size <= MAX_SIZE, f"There is no leaf {index} in a tree of {size}.")
    _well_formed(path, leaf)

    place, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise TlogError("T9", f"The path of leaf {index} is too long for a tree of {size}.")
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:  # a right edge has no sibling on these levels
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1

    if last != 0:
        raise TlogError("T9", f"The path of leaf {index} is too short for a tree of {size}.")
    return node


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> VerifiedConsistency:
    """Checks that the tree with `new_root` begins with the one with `old_root` (RFC 9162 section
    2.1.4.2).
    """
    check_range(
        0 <= old_size <= new_size <= MAX_SIZE,
        f"A tree of {new_size} leaves does not go on from {old_size}.",
    )
    _well_formed(path, old_root, new_root)
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        empty_new = new_size == 0 and new_root != EMPTY_ROOT
        if path or empty_new or not hmac.compare_digest(old_root, expected):
            raise TlogError("T10", f"The roots at {old_size} and {new_size} do not agree.")
        return VerifiedConsistency(old_size, old_root, new_size, new_root)

    first, second = _walk(old_size, old_root, new_size, path)
    if not (hmac.compare_digest(first, old_root) and hmac.compare_digest(second, new_root)):
        raise TlogError("T10", f"The tree of {new_size} does not begin with that of {old_size}.")

    return VerifiedConsistency(old_size, old_root, new_size, new_root)


def _walk(
    old_size: int, old_root: bytes, new_size: int, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The two roots that a consistency path leads to."""
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        # a complete subtree: its hash is the old root, so the maker leaves it out
        nodes.insert(0, old_root)
    if not nodes:
        raise TlogError("T10", f"A proof from {old_size} to {new_size} leaves cannot be empty.")

    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1

    first = second = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise TlogError("T10", f"The proof from {old_size} to {new_size} leaves is too long.")
        if place & 1 or place == last:
            first, second = node_hash(node, first), node_hash(node, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, node)
        place, last = place >> 1, last >> 1

    if last != 0:
        raise TlogError("T10", f"The proof from {old_size} to {new_size} leaves is too short.")

    return first, second


def check_range(ok: bool, message: str) -> None:
    """Returns if an index or a size is in its range. Raises `TlogError` T11 with this message."""
    if not ok:
        raise TlogError("T11", message)


def _well_formed(path: Sequence[bytes], *others: bytes) -> None:
    if len(path) > MAX_PATH or any(len(node) != HASH_SIZE for node in (*path, *others)):
        raise TlogError("T11", f"A proof is at most {MAX_PATH} hashes of {HASH_SIZE} bytes.")
