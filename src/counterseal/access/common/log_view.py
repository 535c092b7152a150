"""The log as a holder has seen it: the largest cosigned checkpoint, kept durably, and entries
proved to stand under it.

A checkpoint is taken only with its log's two signatures and the charter's number of witnesses, and
only if it goes on from the largest one seen before (T6, T8, T10, T29). Rules of the tlog are in
docs/tlog.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from counterseal.access.common import store
from counterseal.access.common.sources import Source, get_array
from counterseal.protocol.errors import NotFound, Refused
from counterseal.tlog.checkpoint import (
    Checkpoint,
    CosignedCheckpoint,
    KeyPair,
    follow,
    parse_checkpoint,
    verify_cosigned,
)
from counterseal.tlog.note import parse_note
from counterseal.tlog.proof import verify_inclusion
from counterseal.tlog.tiles import TILE_WIDTH, Tile, decode_bundle
from counterseal.tlog.tree import leaf_hash


class LogView:
    """One holder's view of one of the domain's two logs. `name` is `log` or `ledger`, as in the
    service's addresses.
    """

    def __init__(
        self, place: Path, name: str, keys: KeyPair, witnesses: Sequence[KeyPair], needed: int
    ) -> None:
        self._place, self.name, self._keys = place, name, keys
        self._witnesses, self._needed = tuple(witnesses), needed
        self._verified: CosignedCheckpoint | None = None

    def judged_by(self, witnesses: Sequence[KeyPair], needed: int) -> bool:
        """Whether these are the witnesses, and the number of them, that this view asks for."""
        return (self._witnesses, self._needed) == (tuple(witnesses), needed)

    def seen(self) -> Checkpoint | None:
        """The largest checkpoint this holder has taken, or None."""
        note = self.note()
        return parse_checkpoint(parse_note(note).text) if note is not None else None

    def note(self) -> bytes | None:
        """That checkpoint with its signatures: evidence, should a fork be shown."""
        try:
            return store.read(self._place, "checkpoint")
        except NotFound:
            return None

    def update(self, source: Source) -> CosignedCheckpoint:
        """Takes the newest checkpoint of the source. Raises as `take`, and `NotFound` or
        `Unavailable`.
        """
        return self.take(source, source.get(f"/{self.name}/checkpoint"))

    def take(self, source: Source, note: bytes) -> CosignedCheckpoint:
        """The checkpoint in `note`, verified, going on from the largest seen, and remembered.
        Raises `TlogError`.
        """
        received = self.verify(note)
        seen, new = self.seen(), received.checkpoint
        path: tuple[bytes, ...] = ()
        if seen is not None and 0 < seen.size < new.size:
            path = _consistency(source, self.name, seen.size, new.size)
        follow(seen, received, path)
        if seen is None or new.size > seen.size:
            store.write(self._place, received.note, private=False)
        return received

    def verify(self, note: bytes) -> CosignedCheckpoint:
        """The checkpoint with its signatures verified and its time (T1 to T8), not compared with
        what was seen.
        """
        # the same note comes with many proofs
        if self._verified is None or self._verified.note != note:
            self._verified = verify_cosigned(note, self._keys, self._witnesses, self._needed)
        return self._verified

    def prove(self, source: Source, entry: bytes) -> int:
        """The index at which an entry (32 bytes) stands in the log. Raises `NotFound`, `TlogError`
        T9, or as `take`.
        """
        match get_array(source, f"/v1/log/proof/{entry.hex()}"):
            case (int(index), int(size), tuple(path), str(note)):
                checkpoint = self._proved_under(source, note.encode())
                if checkpoint.size != size:
                    raise Refused(
                        "T9",
                        f"A proof for a tree of {size} leaves came with a checkpoint of {checkpoint.size}.",
                    )
                return verify_inclusion(
                    leaf_hash(entry), index, size, checkpoint.root, hashes(path)
                ).index
        raise Refused("E6", "An answer of /v1/log/proof is not [index, size, path, checkpoint].")

    def _proved_under(self, source: Source, note: bytes) -> Checkpoint:
        """The cosigned checkpoint of a proof. An older one proves as well as the newest: what is in
        the log stays in it.
        """
        received, seen = self.verify(note).checkpoint, self.seen()
        if seen is not None and (received.size < seen.size or received == seen):
            return received
        return self.take(source, note).checkpoint


def _consistency(source: Source, name: str, old: int, new: int) -> tuple[bytes, ...]:
    for attempt in range(20):
        try:
            match get_array(source, f"/v1/{name}/consistency?from={old}&to={new}"):
                case (tuple(path),):
                    return hashes(path)
            break
        except NotFound as error:
            if error.code != "not-yet" or attempt == 19:
                raise
        time.sleep(0.05)  # the checkpoint is out a moment before its proofs are
    raise Refused("E6", "An answer of a consistency proof is not [[hash, ...]].")


def hashes(path: tuple[object, ...]) -> tuple[bytes, ...]:
    """The hashes of a proof, 32 bytes each. Raises `Refused` E6."""
    nodes = tuple(node for node in path if isinstance(node, bytes) and len(node) == 32)
    if len(nodes) != len(path):
        raise Refused("E6", "A proof is an array of hashes.")
    return nodes


def log_entries(source: Source, start: int, size: int) -> Iterator[tuple[int, bytes]]:
    """`(index, entry)` of the log's entries from `start` to `size`, as the source's bundles have
    them (T12, T13). Not proved.
    """
    for bundle in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - bundle * TILE_WIDTH)
        entries = decode_bundle(source.get(f"/log/{Tile(-1, bundle, width).path}"), width)
        for place, entry in enumerate(entries, bundle * TILE_WIDTH):
            if place >= start:
                yield place, entry
