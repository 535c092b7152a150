"""A whole tree in memory: for periods, windows and tiles."""

from collections.abc import Iterable

from counterseal.tlog.errors import TlogError
from counterseal.tlog.hash_reader import tree_root
from counterseal.tlog.tree import node_hash


class MemoryTree:
    """A whole tree in memory: a `HashReader` over a list of leaf hashes. For periods, windows and
    tests.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Adds one leaf hash, and every complete subtree that ends with it."""
        level = 0
        self._levels[0].append(leaf)
        while len(self._levels[level]) % 2 == 0:
            if level + 1 == len(self._levels):
                self._levels.append([])
            row = self._levels[level]
            self._levels[level + 1].append(node_hash(row[-2], row[-1]))
            level += 1

    def root(self) -> bytes:
        """The root, 32 bytes."""
        return tree_root(self.size, self)

    def node(self, level: int, index: int) -> bytes:
        """See `HashReader`."""
        if level < len(self._levels) and 0 <= index < len(self._levels[level]):
            return self._levels[level][index]
        raise TlogError(
            "T12",
            f"No complete subtree of level {level} at {index} in a tree of {self.size} leaves.",
        )
