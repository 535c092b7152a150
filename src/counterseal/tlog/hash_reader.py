"""Roots of ranges of a stored tree, read from its hashes."""

from collections.abc import Iterator
from typing import Protocol

from counterseal.tlog.tree import fold


class HashReader(Protocol):
    """Where the hashes of complete subtrees come from: tiles on disk, a dictionary in a test, a
    server.
    """

    def node(self, level: int, index: int) -> bytes:
        """The 32-byte hash over leaves `[index << level, (index + 1) << level)`. Raises `TlogError`
        T12 when it is not there.
        """
        ...


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


def range_root(start: int, end: int, reader: HashReader) -> bytes:
    """The hash of the subtree over leaves `[start, end)`, in O(log n) reads."""
    return fold([reader.node(level, index) for level, index in complete_subtrees(start, end)])


def tree_root(size: int, reader: HashReader) -> bytes:
    """The root, 32 bytes, of the tree of the first `size` leaves."""
    return range_root(0, size, reader)
