"""Tiles and entry bundles (C2SP tlog-tiles v0.1.0): their names and contents.

A tile is 256 hashes of 32 bytes, fewer at the right edge; a bundle is the entries of one level-0
tile, each behind its length as uint16. What is read here is not believed: a proof or a root
computed from it has to lead to a checkpoint's root.

| rule | refuses |
| --- | --- |
| T13 | a bundle that is not of the form, or an entry over 65,535 bytes |
| T14 | a name that is not a tile's |
"""

import re
import struct
from collections.abc import Iterable, Iterator

import msgspec

from counterseal.protocol.entry import ENTRY_MAX
from counterseal.tlog.errors import TlogError

TILE_HEIGHT = 8
TILE_WIDTH = 256
MAX_LEVEL = 7  # 256 ** 8 leaves are more than a size can count

_NAME = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


class Tile(msgspec.Struct, frozen=True, order=True):
    """The name of a tile: its level (0 to 7, or -1 for a bundle of entries), its place in the
    level, and its width, 1 to 256.
    """

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where the tile is below the log's prefix, such as `tile/0/x001/234.p/17`."""
        level = "entries" if self.level < 0 else str(self.level)
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{level}/" + "/".join(["x" + g for g in groups[:-1]] + groups[-1:]) + partial


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


def decode_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """The `width` entries of a bundle. Raises `TlogError` T13 if it holds more, fewer, or ends
    early.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data) or len(entries) == width:
            raise TlogError("T13", f"A bundle of {width} entries ends early or goes on.")
        entries.append(data[start:at])
    if len(entries) != width:
        raise TlogError("T13", f"A bundle holds {len(entries)} entries, not {width}.")
    return tuple(entries)
