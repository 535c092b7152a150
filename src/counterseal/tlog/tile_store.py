"""Where a log's tiles are kept, and the tree that is read from them.

| rule | refuses |
| --- | --- |
| T12 | a tile or a hash that is not there, or a tile of the wrong length |
| T14 | a name that is not a tile's |
"""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from counterseal.files import write_whole
from counterseal.state_files import PUBLIC, make_folder
from counterseal.tlog.errors import TlogError
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, decode_bundle
from counterseal.tlog.tree import HASH_SIZE

CHECKPOINT = "checkpoint"

_NAME = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


class BlobStore(Protocol):
    """Where a log's files lie, by their path below its prefix. A write has to be durable when it
    returns.
    """

    def read(self, path: str) -> bytes | None:
        """The file's bytes, or None if there is no such file."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Puts the whole file in place at once and durably. Raises OSError if that is
        not certain.
        """
        ...

    def remove_partials(self, tile: Tile) -> None:
        """Removes the partial forms of a full tile, as far as that is possible; it need not be
        durable.
        """
        ...


class TileReader:
    """A `HashReader` over the tiles of a tree of `size` leaves. Keeps what it has read; make a new
    one to read afresh.
    """

    def __init__(self, store: BlobStore, size: int) -> None:
        self._store, self._size = store, size
        self._trees: dict[tuple[int, int], MemoryTree] = {}

    def node(self, level: int, index: int) -> bytes:
        """The hash over leaves `[index << level, (index + 1) << level)`, 32 bytes. Raises
        `TlogError` T12.
        """
        if level < 0 or index < 0 or (index + 1) << level > self._size:
            raise TlogError(
                "T12",
                f"No complete subtree of level {level} at {index} in a tree of {self._size} "
                "leaves.",
            )
        height = level % TILE_HEIGHT
        per_tile = TILE_WIDTH >> height
        tree = self._tree(level // TILE_HEIGHT, index // per_tile)
        return tree.node(height, index % per_tile)

    def entries(self, index: int) -> tuple[bytes, ...]:
        """The entries of bundle `index`, up to 256 of them. Raises `TlogError` T12 or T13."""
        width = min(TILE_WIDTH, self._size - index * TILE_WIDTH)
        if index < 0 or width <= 0:
            raise TlogError("T12", f"No bundle {index} in a tree of {self._size} leaves.")
        data = self._store.read(Tile(-1, index, width).path)
        if data is not None:
            return decode_bundle(data, width)
        data = self._store.read(Tile(-1, index).path)
        if data is None:
            raise TlogError("T12", f"The bundle {Tile(-1, index, width).path} is not there.")
        return decode_bundle(data, TILE_WIDTH)[:width]

    def _tree(self, level: int, index: int) -> MemoryTree:
        tree = self._trees.get((level, index))
        if tree is None:
            hashes = self.hashes(level, index)
            tree = self._trees[level, index] = MemoryTree(hashes)
        return tree

    def hashes(self, level: int, index: int) -> tuple[bytes, ...]:
        """The hashes of one tile as wide as this size has it; the full tile serves where the
        partial one is gone. Raises `TlogError` T12.
        """
        width = min(TILE_WIDTH, (self._size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH)
        if width <= 0:
            raise TlogError(
                "T12", f"No tile {index} of level {level} in a tree of {self._size} leaves."
            )

        tile = Tile(level, index, width)
        data = self._store.read(tile.path)
        if data is None and width < TILE_WIDTH:
            tile = Tile(level, index)
            data = self._store.read(tile.path)
        if data is None or len(data) != tile.width * HASH_SIZE:
            raise TlogError(
                "T12", f"The tile {tile.path} is not there or not {tile.width} hashes long."
            )

        return tuple(data[i : i + HASH_SIZE] for i in range(0, width * HASH_SIZE, HASH_SIZE))


class DirectoryStore:
    """A `BlobStore` in a directory, laid out as the log is served. Each write: new file, fsync,
    rename, fsync of the directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        make_folder(root, 0o755)

    def read(self, path: str) -> bytes | None:
        """See `BlobStore`."""
        try:
            return self._place(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, path: str, data: bytes) -> None:
        """See `BlobStore`."""
        write_durably(self._place(path), data)

    def remove_partials(self, tile: Tile) -> None:
        """See `BlobStore`. What cannot be removed stays: it harms nobody."""
        full = self._place(Tile(tile.level, tile.index).path)
        directory = full.with_name(full.name + ".p")
        with contextlib.suppress(OSError):
            for file in directory.iterdir():
                file.unlink(missing_ok=True)
            directory.rmdir()

    def _place(self, path: str) -> Path:
        # only the name of a tile leads anywhere, so that no path leads out of the directory
        return self._root / (path if path == CHECKPOINT else parse_path(path).path)


def write_durably(place: Path, data: bytes) -> None:
    """Replaces a file that others may read at once, so that after a crash it has its old bytes or
    these; returns when they are on disk. Raises OSError if that is not certain.
    """
    make_folder(place.parent, 0o755)
    write_whole(place, data, mode=PUBLIC, replace=True)


def tile_data(hashes: Sequence[bytes]) -> bytes:
    """A tile's bytes."""
    return b"".join(hashes)


def parse_path(path: str) -> Tile:
    """The tile that a path names. Raises `TlogError` T14."""
    match = _NAME.fullmatch(path)
    if match is None:
        raise TlogError("T14", "Not the path of a tile.")
    level = -1 if match[1] == "entries" else int(match[1])
    tile = Tile(level, int(match[2].replace("/", "").replace("x", "")), int(match[3] or TILE_WIDTH))
    # x000/001 names what 001 does; a width of 256 or more is not partial
    if tile.path != path or level > 63:
        raise TlogError("T14", "Not the path of a tile.")
    return tile
