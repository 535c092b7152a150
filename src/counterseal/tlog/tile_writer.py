"""How a log's tiles are written: from entries that are appended, or all of them anew."""

import struct
from collections.abc import Iterable, Iterator, Sequence

from counterseal.protocol.entry import ENTRY_MAX
from counterseal.tlog.checkpoint_row import CheckpointRow
from counterseal.tlog.errors import TlogError
from counterseal.tlog.hash_reader import HashReader, tree_root
from counterseal.tlog.tile_store import (
    BlobStore,
    TileReader,
    tile_data,
)
from counterseal.tlog.tiles import MAX_LEVEL, TILE_HEIGHT, TILE_WIDTH, Tile
from counterseal.tlog.tree import EMPTY_ROOT, leaf_hash, node_hash
from counterseal.tlog.writing_errors import FatalLogError


class GrownTree:
    """A `HashReader` over a stored tree of `size` leaves and entries appended to it that are not
    stored yet.
    """

    def __init__(self, stored: HashReader, size: int) -> None:
        self._stored, self._old_size, self.size = stored, size, size
        self._new: dict[tuple[int, int], bytes] = {}

    def append(self, leaf: bytes) -> None:
        """Adds one leaf hash, and every complete subtree that ends with it."""
        level, index, node = 0, self.size, leaf
        self._new[level, index] = node
        while index & 1:
            node = node_hash(self.node(level, index - 1), node)
            level, index = level + 1, index >> 1
            self._new[level, index] = node
        self.size += 1

    def node(self, level: int, index: int) -> bytes:
        """See `HashReader`."""
        if (index + 1) << level <= self._old_size:
            return self._stored.node(level, index)
        try:
            return self._new[level, index]
        except KeyError:
            raise TlogError(
                "T12",
                f"No complete subtree of level {level} at {index} in a tree of {self.size} leaves.",
            ) from None


def write_tiles(blobs: BlobStore, old_size: int, entries: Sequence[bytes]) -> bytes:
    """Writes the tiles and bundles of a tree of `old_size` leaves with `entries` appended, reads
    them back, and gives the root.

    Raises `TlogError` T12 or T13 if the stored tree cannot be read or an entry is too long, T24 if
    other bytes come back than were written.
    """
    stored = TileReader(blobs, old_size)
    tree = GrownTree(stored, old_size)
    for entry in entries:
        tree.append(leaf_hash(entry))

    written: dict[str, bytes] = {}
    for tile in tiles_of(tree.size, old_size):
        start = tile.index * TILE_WIDTH
        if tile.level < 0:
            before = stored.entries(tile.index) if start < old_size else ()
            after = entries[max(start - old_size, 0) : start + tile.width - old_size]
            written[tile.path] = encode_bundle([*before, *after])
        else:
            written[tile.path] = tile_data(
                [tree.node(8 * tile.level, i) for i in range(start, start + tile.width)]
            )

    for path, data in written.items():
        blobs.write(path, data)

    if any(blobs.read(path) != data for path, data in written.items()):
        raise FatalLogError("T24", "The tiles that were read back are not those that were written.")

    return tree_root(tree.size, tree)


def rebuild_tiles(blobs: BlobStore, entries: Iterable[bytes], row: CheckpointRow) -> None:
    """Writes all tiles of a log anew from its entries, which the service keeps. Raises
    `FatalLogError` T24 if they are not the row's.
    """
    size, batch, root = 0, list[bytes](), EMPTY_ROOT
    for entry in entries:
        batch.append(entry)
        if len(batch) == 16 * TILE_WIDTH:
            root = write_tiles(blobs, size, batch)
            size, batch = size + len(batch), []
    root = write_tiles(blobs, size, batch)
    if (size + len(batch), root) != (row.size, row.root):
        raise FatalLogError(
            "T24", f"These entries are not those of {row.origin!r} at size {row.size}."
        )


def tiles_of(size: int, old_size: int = 0) -> Iterator[Tile]:
    """The hash tiles and bundles that a tree of `size` leaves has and that one of `old_size` had
    not, level by level.
    """
    for level in range(-1, MAX_LEVEL + 1):
        shift = TILE_HEIGHT * max(level, 0)
        hashes, old = size >> shift, old_size >> shift
        for index in range(old // TILE_WIDTH, -(-hashes // TILE_WIDTH)):
            width = min(TILE_WIDTH, hashes - index * TILE_WIDTH)
            if index * TILE_WIDTH + width > old:
                yield Tile(level, index, width)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """A bundle of entries. Raises `TlogError` T13 for one over 65,535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > ENTRY_MAX:
            raise TlogError(
                "T13", f"An entry of {len(entry)} bytes is over the limit of {ENTRY_MAX}."
            )
        parts += [struct.pack(">H", len(entry)), entry]
    return b"".join(parts)
