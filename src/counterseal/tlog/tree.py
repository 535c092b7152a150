"""Merkle trees as in RFC 6962 section 2.1: SHA-256, leaf prefix 0x00, node prefix 0x01.

A tree is read through a `HashReader`, which knows the hashes of complete subtrees, and is grown
through a `Frontier`, which is all that an appender has to keep: at most 63 hashes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from counterseal.tlog.errors import TlogError

HASH_SIZE = 32
MAX_SIZE = (1 << 63) - 1
EMPTY_ROOT = hashlib.sha256(b"").digest()


class HashReader(Protocol):
    """Where the hashes of complete subtrees come from: tiles on disk, a dictionary in a test, a
    server.
    """

    def node(self, level: int, index: int) -> bytes:
        """The 32-byte hash over leaves `[index << level, (index + 1) << level)`. Raises `TlogError`
        T12 when it is not there.
        """
        ...


def leaf_hash(entry: bytes) -> bytes:
    """The hash, 32 bytes, of one log entry of any length."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash, 32 bytes, of two neighbouring subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split_point(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2: where RFC 6962 splits a
    tree.
    """
    return 1 << ((size - 1).bit_length() - 1)


def complete_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees `(level, index)`, left to right, that make up leaves `[start, end)`.

    `start` must be where RFC 6962's recursion can begin a subtree of that length, which every
    caller in this package ensures.
    """
    while start < end:
        aligned = (start & -start).bit_length() - 1 if start else 63
        level = min(aligned, (end - start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


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


def range_root(start: int, end: int, reader: HashReader) -> bytes:
    """The hash of the subtree over leaves `[start, end)`, in O(log n) reads."""
    return fold([reader.node(level, index) for level, index in complete_subtrees(start, end)])


def tree_root(size: int, reader: HashReader) -> bytes:
    """The root, 32 bytes, of the tree of the first `size` leaves."""
    return range_root(0, size, reader)


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

    @classmethod
    def read(cls, size: int, reader: HashReader) -> "Frontier":
        """The frontier of the first `size` leaves, from stored hashes."""
        return cls(
            size, tuple(reader.node(level, index) for level, index in complete_subtrees(0, size))
        )

    def check(self) -> "Frontier":
        """Itself, if it has the number and lengths of hashes that its size asks for. Raises
        `TlogError` T11 otherwise.
        """
        fits = 0 <= self.size <= MAX_SIZE and len(self.hashes) == self.size.bit_count()
        if not fits or any(len(h) != HASH_SIZE for h in self.hashes):
            raise TlogError(
                "T11",
                f"A frontier of {len(self.hashes)} hashes does not fit a tree of {self.size} "
                "leaves.",
            )
        return self
