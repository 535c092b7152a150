"""Tiles and entry bundles (C2SP tlog-tiles v0.1.0): their names and contents.

A tile is 256 hashes of 32 bytes, fewer at the right edge; a bundle is the entries of one level-0
tile, each behind its length as uint16. What is read here is not believed: a proof or a root
computed from it has to lead to a checkpoint's root.

| rule | refuses |
| --- | --- |
| T13 | a bundle that is not of the form, or an entry over 65,535 bytes |
"""

import msgspec

from counterseal.tlog.errors import TlogError

TILE_HEIGHT = 8
TILE_WIDTH = 256
MAX_LEVEL = 7  # 256 ** 8 leaves are more than a size can count


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
