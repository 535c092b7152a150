"""Inclusion and consistency proofs as records, and how they are made from stored hashes (RFC 6962
sections 2.1.1 and 2.1.2).
"""

from typing import ClassVar

from counterseal.protocol.record import Record, Uint
from counterseal.tlog.hash_reader import HashReader, range_root, split_point
from counterseal.tlog.proof import (
    Path,
    VerifiedConsistency,
    VerifiedInclusion,
    check_range,
    verify_consistency,
    verify_inclusion,
)


class ReceivedInclusion(Record, frozen=True, tag="counterseal/v1/inclusion"):
    """An inclusion proof, not yet believed: the path is leaf to root, 32 bytes each."""

    limit: ClassVar[int] = 4_096
    index: Uint
    size: Uint
    path: Path

    def verify(self, leaf: bytes, root: bytes) -> VerifiedInclusion:
        """The proved inclusion of the 32-byte leaf hash under `root`. Raises
        `TlogError` T9 or T11.
        """
        return verify_inclusion(leaf, self.index, self.size, root, self.path)


class ReceivedConsistency(Record, frozen=True, tag="counterseal/v1/consistency"):
    """A consistency proof between two sizes, not yet believed."""

    limit: ClassVar[int] = 4_096
    old_size: Uint
    new_size: Uint
    path: Path

    def verify(self, old_root: bytes, new_root: bytes) -> VerifiedConsistency:
        """The proved consistency of the two roots. Raises `TlogError` T10 or T11."""
        return verify_consistency(self.old_size, old_root, self.new_size, new_root, self.path)


def make_inclusion(index: int, size: int, reader: HashReader) -> ReceivedInclusion:
    """The proof that leaf `index` is in the tree of `size` leaves. Raises `TlogError` T11 for
    an index outside of it.
    """
    check_range(0 <= index < size, f"There is no leaf {index} in a tree of {size}.")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split_point(end - start)
        if index < middle:
            path.append(range_root(middle, end, reader))
            end = middle
        else:
            path.append(range_root(start, middle, reader))
            start = middle
    return ReceivedInclusion(index, size, tuple(reversed(path)))


def make_consistency(old_size: int, new_size: int, reader: HashReader) -> ReceivedConsistency:
    """The proof that the tree of `new_size` leaves begins with that of `old_size`. Empty for equal
    sizes and for 0.
    """
    check_range(
        0 <= old_size <= new_size, f"A tree of {new_size} leaves does not go on from {old_size}."
    )
    path: list[bytes] = []
    start, end = 0, new_size
    if old_size in (0, new_size):
        return ReceivedConsistency(old_size, new_size, ())

    while end != old_size:
        middle = start + split_point(end - start)
        if old_size <= middle:
            path.append(range_root(middle, end, reader))
            end = middle
        else:
            path.append(range_root(start, middle, reader))
            start = middle

    # the old tree is not itself one complete subtree: the verifier needs its last part
    if start > 0:
        path.append(range_root(start, end, reader))

    return ReceivedConsistency(old_size, new_size, tuple(reversed(path)))
