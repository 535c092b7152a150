"""Sequencing and publishing: stored entries become tiles, a row, cosignatures and a checkpoint that
anybody can read.

An entry has its index from the transaction of the change it records; everything here is derived
from that and can be made again. One `LogPublisher` serves the log and one the ledger. It works in a
thread, in batches, and never holds up who posts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from counterseal import failpoint
from counterseal.protocol.errors import CountersealError, FatalError, NotFound, Unavailable
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service import clock
from counterseal.service.daemon_thread import in_daemon_thread
from counterseal.service.store.interface import Snapshot, Store, Transaction, WriteJob
from counterseal.tlog.checkpoint import (
    Checkpoint,
    CosignedCheckpoint,
    parse_checkpoint,
    witness_keys,
)
from counterseal.tlog.checkpoint_row import CheckpointRow
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.note import parse_note
from counterseal.tlog.prove import make_consistency, make_inclusion
from counterseal.tlog.sequencer import Sequencer
from counterseal.tlog.tile_store import CHECKPOINT, DirectoryStore, TileReader
from counterseal.tlog.tile_writer import rebuild_tiles
from counterseal.tlog.witness_client import WitnessClient
from counterseal.tlog.writing_errors import NotPublished, WitnessUnavailable
from counterseal.wire.log import ConsistencyPath, EntryProof

T = TypeVar("T")
ReadEntries = Callable[[Snapshot, int, int], list[bytes]]
"""(tables, first index, most): a log's entries."""
_BATCH = 4_096
_REFRESH = 60.0
_RETRY = 1.0
_log = logging.getLogger("counterseal.service.log")


class WriterRows:
    """tlog's `LogStore` over the service's one writer. Called from the publisher's thread."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    def load(self, origin: str) -> CheckpointRow | None:
        """See `LogStore`."""
        return self._run(f"{self._name}.row.read", lambda tables: tables.log.row(origin))

    def swap(self, old: CheckpointRow | None, new: CheckpointRow) -> bool:
        """See `LogStore`. Raises OSError when the database's disk has failed."""

        def job(tables: Transaction) -> bool:
            if tables.log.row(new.origin) != old:
                return False
            tables.log.set_row(new)
            return True

        return self._run(f"{self._name}.row", job)

    def _run(self, name: str, job: WriteJob[T]) -> T:
        try:
            return self._store.write_apart(name, job)
        except (FatalError, Unavailable) as error:
            raise OSError(str(error)) from error


class MarkedStore(DirectoryStore):
    """Tiles in a directory, with a failpoint at every write."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root)
        self._name = name

    def write(self, path: str, data: bytes) -> None:
        """See `BlobStore`."""
        name = f"{self._name}.{'checkpoint' if path == CHECKPOINT else 'tile'}"
        failpoint.reach(name, "before")
        super().write(path, data)
        failpoint.reach(name, "after")


class LogPublisher:
    """Keeps one log's tiles and cosigned checkpoint up with the database."""

    def __init__(
        self,
        name: str,
        signer: LogSigner,
        store: Store,
        directory: Path,
        read: ReadEntries,
        batch_ms: int,
        timeout: float,
    ) -> None:
        self.name = name
        self.origin = signer.keys.name
        self.blobs = MarkedStore(directory, name)
        self.published: CosignedCheckpoint | None = None
        self.fatal: FatalError | None = None
        self._signer = signer
        self._store = store
        self._read = read
        self._pause = batch_ms / 1000
        self._timeout = timeout
        self._sequencer: Sequencer | None = None
        self._charter: bytes | None = None
        self._woken = asyncio.Event()
        self._advanced = asyncio.Condition()
        self._reader: tuple[int, TileReader] | None = None

    def published_size(self) -> int:
        """The size of the newest published checkpoint; 0 before the first since the start."""
        return self.published.checkpoint.size if self.published else 0

    def wake(self) -> None:
        """Says that there may be entries to sequence."""
        self._woken.set()

    async def run(
        self, charter: Callable[[], VerifiedCharter], on_fatal: Callable[[FatalError], None]
    ) -> None:
        """Sequences and publishes until cancelled; waits for the first charter, whose witnesses it
        needs.
        """
        rows = WriterRows(self._store, self.name)
        pause = self._pause
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _REFRESH)
            await asyncio.sleep(pause)
            self._woken.clear()
            pause = self._pause
            try:
                # a witness that does not answer must not hold up the service's end
                self.published = await in_daemon_thread(self._step, rows, charter())
                async with self._advanced:
                    self._advanced.notify_all()
            except (NotPublished, WitnessUnavailable) as error:
                _log.warning("%s: %s", self.origin, error)
                pause = _RETRY
                self._woken.set()
            except FatalError as error:
                self.fatal = error
                on_fatal(error)
                return
            except CountersealError as error:
                if error.code != "no-charter":
                    _log.error("%s: %s", self.origin, error)
                    pause = _RETRY
                    self._woken.set()

    async def reach(self, size: int) -> CosignedCheckpoint:
        """The published checkpoint, once it has at least `size` entries."""
        self.wake()
        async with self._advanced:
            await self._advanced.wait_for(
                lambda: self.published is not None and self.published.checkpoint.size >= size
            )
        assert self.published is not None
        return self.published

    def size_on_disk(self) -> int:
        """The number of entries under the checkpoint that anybody can read now. Raises `NotFound`
        "checkpoint".
        """
        return parse_checkpoint(parse_note(self.note()).text).size

    @property
    def size(self) -> int:
        """The number of entries under the published checkpoint."""
        return self._published().size

    def note(self) -> bytes:
        """The published checkpoint as it is on disk. Raises `NotFound` "checkpoint"."""
        data = self.blobs.read(CHECKPOINT)
        if data is None:
            raise NotFound("Nothing is published yet.", code="checkpoint")
        return data

    def inclusion(self, index: int, size: int | None = None) -> EntryProof:
        """The proof of an entry under the published checkpoint, or under an earlier tree of `size`
        entries. Raises `NotFound` "not-yet".
        """
        note = self.note()
        published = parse_checkpoint(parse_note(note).text).size
        size = published if size is None else size
        if size > published or index >= size:
            raise NotFound(
                "The entry is not under the published checkpoint yet; ask again.", code="not-yet"
            )
        path = make_inclusion(index, size, self._tiles(published)).path
        return EntryProof(index, size, tuple(path), note.decode())

    def consistency(self, old: int, new: int) -> ConsistencyPath:
        """The path from one published size to another. Raises `NotFound` "not-yet"."""
        if new > self.size:
            raise NotFound("That size is not published yet; ask again.", code="not-yet")
        return ConsistencyPath(tuple(make_consistency(old, new, self._tiles(self.size)).path))

    def _published(self) -> Checkpoint:
        if self.published is not None:
            return self.published.checkpoint
        return parse_checkpoint(parse_note(self.note()).text)

    def _tiles(self, size: int) -> TileReader:
        if self._reader is None or self._reader[0] != size:
            self._reader = (size, TileReader(self.blobs, size))
        return self._reader[1]

    def _step(self, rows: WriterRows, charter: VerifiedCharter) -> CosignedCheckpoint:
        sequencer = self._opened(rows, charter)
        while entries := self._entries(sequencer.row.size, _BATCH):
            sequencer.commit(entries, sequencer.row.size)
        return sequencer.publish()

    def _opened(self, rows: WriterRows, charter: VerifiedCharter) -> Sequencer:
        """The sequencer with the witnesses of the charter in force; opened anew, all checks
        included, when that changes.
        """
        if self._sequencer is None or self._charter != charter.digest:
            witnesses = self._witnesses(charter)
            needed = charter.charter.witnesses.c
            self._rebuild(rows.load(self.origin))
            self._sequencer = Sequencer.open(
                self._signer,
                rows,
                self.blobs,
                witnesses,
                needed,
                clock.real,
                create=rows.load(self.origin) is None,
            )
            self._charter = charter.digest
        return self._sequencer

    def _witnesses(self, charter: VerifiedCharter) -> Sequence[WitnessClient]:
        return [
            WitnessClient(
                witness.url,
                witness_keys([witness.vkeys.ed25519, witness.vkeys.mldsa44]),
                self._timeout,
            )
            for witness in charter.charter.witnesses.members
            if witness.url
        ]

    def _rebuild(self, row: CheckpointRow | None) -> None:
        """Makes lost tiles again from the database, which has all that the row counts."""
        if row is None or row.size == 0 or self.blobs.read(CHECKPOINT) is not None:
            return
        entries: list[bytes] = []
        while len(entries) < row.size:
            entries += self._entries(len(entries), min(_BATCH, row.size - len(entries)))
        rebuild_tiles(self.blobs, entries, row)

    def _entries(self, first: int, limit: int) -> list[bytes]:
        return self._store.read_apart(lambda snapshot: self._read(snapshot, first, limit))
