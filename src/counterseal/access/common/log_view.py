"""The log as an institution has seen it: the largest cosigned checkpoint, kept durably, and entries
proved to be under it.

A checkpoint is taken only with its log's two signatures and the charter's number of witnesses, and
only if it goes on from the largest one seen before (T6, T8, T10, T29). Rules of the tlog are in
docs/tlog.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from counterseal import state_files
from counterseal.protocol.entry import LoggedEntry
from counterseal.protocol.errors import NotFound
from counterseal.tlog.checkpoint import (
    Checkpoint,
    CosignedCheckpoint,
    KeyPair,
    follow,
    parse_checkpoint,
    verify_cosigned,
    verify_logged,
)
from counterseal.tlog.note import parse_note
from counterseal.tlog.tiles import TILE_WIDTH, Tile, decode_bundle
from counterseal.wire.log import LOG_CHECKPOINT, LOG_CONSISTENCY, LOG_FILE, LOG_PROOF

from . import store
from .sources import Source, ask


class LogView:
    """One institution's view of the domain's log."""

    def __init__(
        self, place: Path, keys: KeyPair, witnesses: Sequence[KeyPair], needed: int
    ) -> None:
        self._place, self._keys = place, keys
        self._witnesses, self._needed = tuple(witnesses), needed
        self._verified: CosignedCheckpoint | None = None

    def judged_by(self, keys: KeyPair, witnesses: Sequence[KeyPair], needed: int) -> bool:
        """Whether this view asks for these keys, and for this number of these witnesses."""
        asked = (self._keys, self._witnesses, self._needed)
        return asked == (keys, tuple(witnesses), needed)

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
        return self.take(source, ask(source, LOG_CHECKPOINT))

    def take(self, source: Source, note: bytes) -> CosignedCheckpoint:
        """The checkpoint in `note`, verified, going on from the largest seen, and remembered.
        Raises `TlogError`.
        """
        received = self.verify(note)
        seen, new = self.seen(), received.checkpoint
        path: tuple[bytes, ...] = ()
        if seen is not None and 0 < seen.size < new.size:
            path = _consistency(source, seen.size, new.size)
        follow(seen, received, path)
        if seen is None or new.size > seen.size:
            state_files.write_state(self._place, received.note, mode=state_files.PUBLIC)
        return received

    def verify(self, note: bytes) -> CosignedCheckpoint:
        """The checkpoint with its signatures verified and its time (T1 to T8), not compared with
        what was seen.
        """
        # the same note comes with many proofs
        if self._verified is None or self._verified.note != note:
            self._verified = verify_cosigned(note, self._keys, self._witnesses, self._needed)
        return self._verified

    def prove(self, source: Source, entry: bytes) -> LoggedEntry:
        """The proved place of an entry (32 bytes) in the log. Raises `NotFound`, `TlogError` T9, or
        as `take`.
        """
        proof = ask(source, LOG_PROOF, entry=entry)
        checkpoint = self._proved_under(source, proof.checkpoint.encode())
        return verify_logged(entry, proof.index, proof.path, checkpoint)

    def _proved_under(self, source: Source, note: bytes) -> Checkpoint:
        """The cosigned checkpoint of a proof. An older one proves as well as the newest: what is in
        the log stays in it.
        """
        received, seen = self.verify(note).checkpoint, self.seen()
        if seen is not None and (received.size < seen.size or received == seen):
            return received
        return self.take(source, note).checkpoint


def _consistency(source: Source, old: int, new: int) -> tuple[bytes, ...]:
    attempts = 20
    while True:
        try:
            return ask(source, LOG_CONSISTENCY, from_=old, to=new).path
        except NotFound as error:
            attempts -= 1
            if error.code != "not-yet" or not attempts:
                raise
        time.sleep(0.05)  # the checkpoint is out a moment before its proofs are


def log_entries(source: Source, start: int, size: int) -> Iterator[tuple[int, bytes]]:
    """`(index, entry)` of the log's entries from `start` to `size`, as the source's bundles have
    them (T12, T13). Not proved.
    """
    for bundle in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - bundle * TILE_WIDTH)
        entries = decode_bundle(ask(source, LOG_FILE, path=Tile(-1, bundle, width).path), width)
        for place, entry in enumerate(entries, bundle * TILE_WIDTH):
            if place >= start:
                yield place, entry
