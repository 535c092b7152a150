"""The log's one writer, for a domain's log and for its ledger alike.

The order of every append is what keeps the log single: tiles durable and read back, then
compare-and-swap of the checkpoint row, then the witnesses, then the published checkpoint. Tiles
past the row belong to nobody: after a crash they are overwritten. Nothing is signed that is not the
row's, and the row is read again before each signature.

| rule | refuses |
| --- | --- |
| T24 | *fatal:* row, tiles and published checkpoint that do not agree, or a row that is missing |
| T25 | *fatal:* a witness that has cosigned more than the row knows, or another tree |
| T26 | *fatal:* a write or a sync that failed |
| T27 | *fatal:* a row that somebody else changed |
| T28 | *fatal:* anything asked of a sequencer that has stopped |
| T31 | entries that do not begin at the log's next index |
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from counterseal.tlog.add_checkpoint import AddCheckpoint
from counterseal.tlog.checkpoint import (
    Checkpoint,
    CosignedCheckpoint,
    parse_checkpoint,
    verify_checkpoint,
    verify_cosigned,
)
from counterseal.tlog.checkpoint_row import CheckpointRow, LogStore
from counterseal.tlog.cosigned_note import add_signatures
from counterseal.tlog.errors import TlogError
from counterseal.tlog.hash_reader import tree_root
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.note import ReceivedNote, parse_note
from counterseal.tlog.proof import verify_consistency
from counterseal.tlog.prove import make_consistency
from counterseal.tlog.tile_store import (
    CHECKPOINT,
    BlobStore,
    TileReader,
    tile_data,
)
from counterseal.tlog.tile_writer import encode_bundle, tiles_of, write_tiles
from counterseal.tlog.tiles import TILE_WIDTH
from counterseal.tlog.tree import EMPTY_ROOT, leaf_hash
from counterseal.tlog.witness_client import WitnessLike
from counterseal.tlog.writing_errors import (
    FatalLogError,
    NotPublished,
    WitnessConflict,
    WitnessUnavailable,
)


class Sequencer:
    """Appends to one log and publishes its checkpoints. Blocking; safe to call from several
    threads, one at a time goes on.

    After a fatal error every call raises T28; only a new `open`, which checks everything again,
    goes on.
    """

    def __init__(
        self,
        signer: LogSigner,
        rows: LogStore,
        blobs: BlobStore,
        witnesses: Sequence[WitnessLike],
        needed: int,
        clock: Callable[[], int],
    ) -> None:
        self._signer, self._rows, self._blobs, self._clock = signer, rows, blobs, clock
        self._witnesses, self._needed = witnesses, needed
        self._sizes: dict[str, int] = {}
        self._lock = threading.RLock()
        self._stopped = ""
        self._row = CheckpointRow(self.origin, 0, EMPTY_ROOT, 0)
        self._tidied = 0

    @classmethod
    def open(
        cls,
        signer: LogSigner,
        rows: LogStore,
        blobs: BlobStore,
        witnesses: Sequence[WitnessLike],
        needed: int,
        clock: Callable[[], int],
        *,
        create: bool = False,
        overruled: frozenset[str] = frozenset(),
    ) -> "Sequencer":
        """A sequencer that may go on: row, tiles and published checkpoint agree, and no witness has
        seen more or other.

        `create` begins a log that has no row; without it a missing row is fatal, since a lost
        database must not begin a second history. `overruled` names witnesses that claimed more
        without proof and whom a person has looked into. Raises `FatalLogError` T24 or T25, or T8 if
        fewer than `needed` witnesses can be asked.
        """
        self = cls(signer, rows, blobs, witnesses, needed, clock)
        with self._fatal():
            self._load(create)
            self._check_tiles()
            self._check_published()
            self._ask_witnesses(overruled)
            if rows.load(self.origin) is None and not rows.swap(None, self._row):
                raise FatalLogError(
                    "T27", f"Another sequencer began {self.origin!r} at the same time."
                )
        return self

    @property
    def origin(self) -> str:
        """The log's origin, which is its key's name."""
        return self._signer.keys.name

    @property
    def row(self) -> CheckpointRow:
        """What the log has committed itself to. Its `size` is the index of the next entry."""
        return self._row

    @property
    def reader(self) -> TileReader:
        """A reader over the committed tree, for proofs and entries."""
        return TileReader(self._blobs, self._row.size)

    def append(self, entries: Sequence[bytes], first: int | None = None) -> CosignedCheckpoint:
        """Commits the entries and publishes a checkpoint over them. See `commit` and `publish`."""
        with self._lock:
            self.commit(entries, first)
            return self.publish()

    def commit(self, entries: Sequence[bytes], first: int | None = None) -> CheckpointRow:
        """Makes the entries, at most 65,535 bytes each, the log's next ones; they are in it for
        good when this returns.

        `first` is the index that the caller gave to the first of them: T31 is raised, and nothing
        done, if it is not the next.
        """
        with self._lock, self._fatal():
            old = self._row
            if first is not None and first != old.size:
                raise TlogError(
                    "T31", f"The next entry of {self.origin!r} is {old.size}, not {first}."
                )
            # an entry that is too long is the caller's fault, not the disk's
            encode_bundle(entries)
            if not entries:
                return old
            root = write_tiles(self._blobs, old.size, entries)
            size = old.size + len(entries)
            fresh = TileReader(self._blobs, size)
            self._agree(tree_root(size, fresh), root)
            verify_consistency(
                old.size, old.root, size, root, make_consistency(old.size, size, fresh).path
            )
            new = CheckpointRow(self.origin, size, root, max(self._clock(), old.time))
            if not self._rows.swap(old, new):
                raise FatalLogError(
                    "T27",
                    f"Somebody else changed the row of {self.origin!r}: there is a second "
                    "sequencer.",
                )
            self._row = new
            return new

    def publish(self) -> CosignedCheckpoint:
        """Signs the row, has it cosigned and publishes it; also gives an unchanged log a fresh
        time. Raises `NotPublished` T8 (try again).
        """
        with self._lock, self._fatal():
            row = self._rows.load(self.origin)
            if row != self._row:
                raise FatalLogError(
                    "T27",
                    f"Somebody else changed the row of {self.origin!r}: there is a second "
                    "sequencer.",
                )
            signed = note = self._signer.sign(
                self._row.checkpoint(), max(self._clock(), self._row.time, 1)
            )
            for cosigned in self._ask_all(lambda witness: self._cosign(witness, signed)):
                if isinstance(cosigned, ReceivedNote):
                    note = add_signatures(note, cosigned.signatures)
            published = self._enough(note)
            self._blobs.write(CHECKPOINT, published.note)
            self._tidy()
            return published

    def _enough(self, note: ReceivedNote) -> CosignedCheckpoint:
        try:
            return verify_cosigned(
                note, self._signer.keys, [w.keys for w in self._witnesses], self._needed
            )
        except TlogError as error:
            raise NotPublished(
                f"The checkpoint of {self.origin!r} at {self._row.size} is not published: {error}"
            ) from error

    def _cosign(self, witness: WitnessLike, note: ReceivedNote) -> ReceivedNote | None:
        """The note with this witness's cosignatures, or None if it has none to give now."""
        old = self._sizes.get(witness.keys.name, 0)
        for _ in range(3):  # its size may have changed since it was last asked; not more than that
            try:
                path = make_consistency(old, self._row.size, self.reader).path
                cosigned = witness.add_checkpoint(AddCheckpoint(old, path, note))
            except WitnessConflict as conflict:
                if conflict.size > self._row.size:
                    self._check_claim(witness)
                    return None
                old = conflict.size
            except TlogError:
                self._check_claim(witness)
                return None
            except WitnessUnavailable:
                return None
            else:
                self._sizes[witness.keys.name] = self._row.size
                return cosigned

        return None

    def _check_claim(self, witness: WitnessLike) -> int | None:
        """The size of the witness's latest checkpoint that this log's own keys signed, or None if
        it shows none.

        Raises `FatalLogError` T25 if that is larger than the row or has another root: only this
        log's keys can have signed it, so no witness can stop the log by a mere claim.
        """
        try:
            data = witness.latest(self.origin)
            if data is None:
                return None
            seen = verify_checkpoint(data, self._signer.keys).checkpoint
        except (TlogError, WitnessUnavailable):
            return None

        if seen.size > self._row.size or tree_root(seen.size, self.reader) != seen.root:
            raise FatalLogError(
                "T25",
                f"The witness {witness.keys.name!r} holds a checkpoint of {self.origin!r} at size "
                f"{seen.size} that this log signed and that is not part of its {self._row.size} "
                "entries: a backup was restored, "
                "or there is a second sequencer.",
            )

        return seen.size

    def _ask_witnesses(self, overruled: frozenset[str]) -> None:
        """Learns every witness's size before the first signature over anything that is not
        empty.
        """
        answered = sum(
            isinstance(size, int) for size in self._ask_all(lambda w: self._ask_size(w, overruled))
        )
        if answered < self._needed:
            raise NotPublished(
                f"{answered} witnesses of {self.origin!r} can be asked for their size, "
                f"{self._needed} are needed."
            )

    def _ask_size(self, witness: WitnessLike, overruled: frozenset[str]) -> int | None:
        # consistent with any tree
        empty = self._signer.sign(Checkpoint(self.origin, 0, EMPTY_ROOT), max(self._clock(), 1))
        size = 0
        self._check_claim(witness)
        try:
            witness.add_checkpoint(AddCheckpoint(0, (), empty))
        except WitnessConflict as conflict:
            size = conflict.size
        except (TlogError, WitnessUnavailable):
            return None

        if size > self._row.size:
            if witness.keys.name in overruled:
                return None
            raise FatalLogError(
                "T25",
                f"The witness {witness.keys.name!r} says that it cosigned size {size} of "
                f"{self.origin!r}, which has "
                f"{self._row.size}. Find out whether a backup was restored before you overrule it.",
            )

        self._sizes[witness.keys.name] = size
        return size

    def _ask_all(self, ask: Callable[[WitnessLike], object]) -> list[object]:
        """What each witness gives, asked at the same time, so that a slow one costs its own timeout
        and no more.
        """
        if not self._witnesses:
            return []
        with ThreadPoolExecutor(len(self._witnesses)) as pool:
            return list(pool.map(ask, self._witnesses))

    def _load(self, create: bool) -> None:
        row = self._rows.load(self.origin)
        if row is None and not create:
            raise FatalLogError(
                "T24",
                f"There is no row of {self.origin!r}: a lost database must not begin a second "
                "history.",
            )
        self._row = row or CheckpointRow(self.origin, 0, EMPTY_ROOT, self._clock())

    def _check_tiles(self) -> None:
        try:
            self._agree(tree_root(self._row.size, self.reader), self._row.root)
            last = (self._row.size - 1) // TILE_WIDTH
            if self._row.size:
                entries = self.reader.entries(last)
                self._agree(
                    tile_data([leaf_hash(e) for e in entries]),
                    tile_data(self.reader.hashes(0, last)),
                )
        except TlogError as error:
            raise FatalLogError(
                "T24",
                f"The tiles of {self.origin!r} cannot be read: {error} Rebuild them from the "
                "entries.",
            ) from error

    def _check_published(self) -> None:
        data = self._blobs.read(CHECKPOINT)
        if data is None:
            return

        try:
            seen = parse_checkpoint(parse_note(data).text)
            if seen.origin != self.origin or seen.size > self._row.size:
                raise TlogError(
                    "T24",
                    f"{seen.origin!r} at {seen.size} is past the row's size {self._row.size}.",
                )
            self._agree(tree_root(seen.size, self.reader), seen.root)
        except TlogError as error:
            raise FatalLogError(
                "T24", f"The published checkpoint does not fit the row: {error}"
            ) from error

        self._tidied = seen.size

    def _agree(self, one: bytes, other: bytes) -> None:
        if one != other:
            raise FatalLogError(
                "T24",
                f"The row, the tiles and the published checkpoint of {self.origin!r} do not agree.",
            )

    def _tidy(self) -> None:
        """Removes partial tiles whose full tile is published. A crash before this leaves some
        behind, which harms nobody.
        """
        for tile in tiles_of(self._row.size, self._tidied):
            if tile.width == TILE_WIDTH:
                self._blobs.remove_partials(tile)
        self._tidied = self._row.size

    @contextlib.contextmanager
    def _fatal(self) -> Iterator[None]:
        """Stops the sequencer for good on whatever leaves it unsure; a refusal or a lack of
        witnesses does not.
        """
        if self._stopped:
            raise FatalLogError(
                "T28", f"The sequencer of {self.origin!r} has stopped: {self._stopped}."
            )

        try:
            yield
        except (TlogError, NotPublished):
            raise
        except OSError as error:
            self._stopped = f"a write failed: {error}"
            raise FatalLogError(
                "T26", f"What is on the disk of {self.origin!r} is not certain: {error}"
            ) from error
        except BaseException as error:
            self._stopped = str(error)
            raise
