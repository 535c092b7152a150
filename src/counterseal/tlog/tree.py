"""Merkle trees as in RFC 6962 section 2.1: SHA-256, leaf prefix 0x00, node prefix 0x01.

A tree is read through a `HashReader` (hash_reader.py), which knows the hashes of complete subtrees,
and is grown through a `Frontier`, which is all that an appender has to keep: at most 63 hashes.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from counterseal.tlog.errors import TlogError

HASH_SIZE = 32
MAX_SIZE = (1 << 63) - 1
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash, 32 bytes, of one log entry of any length."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash, 32 bytes, of two neighbouring subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over complete subtrees given left to right, largest first; the empty tree's root for
    none.
    """
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


class Frontier(msgspec.Struct, frozen=True):
    """The right edge of a tree: `size` leaves, and the hashes of its complete subtrees from left to
    right.

    There is one hash for each bit set in `size`, largest subtree first.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """The tree's root, 32 bytes."""
        return fold(self.hashes)

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier with one more leaf hash. Amortised O(1), at worst O(log n)."""
        return self.extend([leaf])

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier with more leaf hashes, in order."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            node, carry = leaf, size
            while carry & 1:
                node = node_hash(hashes.pop(), node)
                carry >>= 1
            hashes.append(node)
            size += 1
        return Frontier(size, tuple(hashes))

    def check(self) -> "Frontier":
        """Itself, if it has the number and lengths of hashes that its size asks for. Raises
        `TlogError` T11 otherwise.
        """
        fits = 0 <= self.size <= MAX_SIZE and len(self.hashes) == self.size.bit_count()
        if not fits or any(len(h) != HASH_SIZE for h in self.hashes):
            raise TlogError("T11", f"This frontier does not fit a tree of {self.size} leaves.")
        return self
