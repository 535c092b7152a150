"""The ledger's reader: opens every leaf up to a cosigned checkpoint, or gives nothing.

A reader takes chunks in order, computes the leaves from their openings, and hands statements over
only when a checkpoint's root is the root of exactly those leaves. So a leaf without an opening, or
an opening without a leaf, cannot pass: the roots would differ. What does not fit is dropped again,
so that a good copy can be fed; until then the reader stays where it was, and its holder acts on
nothing that came later.

| rule | refuses |
| --- | --- |
| G2 | a tick with another number of leaves than the charter's, a checkpoint that is not at a |
|    | tick's end |
| G3 | a checkpoint smaller than one seen, or of the same size with another root |
| G4 | a checkpoint that is not fresh by the charter's rule |
| G5 | a checkpoint with too few cosignatures |
| G8 | a tick's time that falls, or that does not fit the checkpoints around it |
| G11 | a tick whose record names another chunk before it than the one fed |
| G13 | a tick whose size of the log falls, or does not fit the log |
"""

import hmac
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from counterseal.protocol.errors import refuse_as
from counterseal.protocol.ledger_leaf import Opening, TickRecord
from counterseal.protocol.record import Bytes32, Part, Record, Uint
from counterseal.tlog.checkpoint import CosignedCheckpoint, KeyPair, check_fresh, verify_cosigned
from counterseal.tlog.errors import LedgerError, TlogError
from counterseal.tlog.ledger import (
    LAST,
    MAX_OPENING,
    WHOLE,
    Schedule,
    chunk_digest,
    decode_opening,
    open_chunk,
    parse_chunk,
)
from counterseal.tlog.tree import Frontier, leaf_hash

CLOCK_ALLOWANCE = 300  # seconds that the sequencer's clock and the witnesses' may lie apart


class Trust(msgspec.Struct, frozen=True):
    """Whose signatures make a checkpoint of the ledger: its log keys, the witnesses, and how many
    of those are needed (c).
    """

    log: KeyPair
    witnesses: tuple[KeyPair, ...]
    needed: int


class LedgerEntry(msgspec.Struct, frozen=True):
    """A leaf that was opened and proved: its index, its tick, the tick's time (Unix seconds) and
    size of the log, and its statement.

    `statement` is None for a dummy and for the tick's own record.
    """

    index: int
    tick: int
    time: int
    log_size: int
    statement: bytes | None


class SeenCheckpoint(Part, frozen=True):
    """The last checkpoint that a reader accepted: size in leaves, root, and the checkpoint's
    time.
    """

    size: Uint
    root: Bytes32
    time: Uint


class ReaderState(Record, frozen=True, tag="counterseal/v1/ledger-reader"):
    """All that a reader keeps between two checkpoints, as bytes for a file: next chunk, last tick's
    time, chunk digest and size of the log, the tree's right edge, the part of a long opening that
    came already, and the last checkpoint accepted."""

    limit: ClassVar[int] = MAX_OPENING + 4_096
    chunk: Uint = 0
    time: Uint = 0
    previous: Bytes32 | None = None
    log_size: Uint = 0
    size: Uint = 0
    edge: Annotated[tuple[Bytes32, ...], Meta(max_length=63)] = ()
    part: bytes = b""
    seen: SeenCheckpoint | None = None


class _Tick(msgspec.Struct, frozen=True):
    """A chunk that was opened and waits for a checkpoint."""

    number: int
    time: int
    log_size: int
    openings: tuple[Opening, ...]
    part: bytes
    digest: bytes


class LedgerReader:
    """Reads one ledger from where `state` left off. `schedule` has to hold the keys of the chunks
    that are fed.
    """

    def __init__(self, origin: str, schedule: Schedule, state: ReaderState | None = None) -> None:
        self._origin = origin
        self.schedule = schedule
        self.state = state or ReaderState()
        Frontier(self.state.size, self.state.edge).check()
        self._waiting: list[_Tick] = []

    @property
    def next_chunk(self) -> int:
        """The number of the chunk to feed next."""
        return self.state.chunk + len(self._waiting)

    def feed(self, number: int, chunk: bytes) -> None:
        """Takes chunk `number`, which has to be `next_chunk`. Raises `LedgerError` G1, G2, G6, G8,
        G9, G11 or G13, and is then as it was.
        """
        if number != self.next_chunk:
            raise LedgerError("G9", f"Chunk {number} is out of turn; next is {self.next_chunk}.")

        segment = self.schedule.segment(number)
        last = self._waiting[-1] if self._waiting else None
        items = parse_chunk(open_chunk(segment, self._origin, number, chunk))
        openings, part = _collect(items, last.part if last else self.state.part)
        if len(openings) != segment.leaves:
            raise LedgerError(
                "G2", f"Tick {number} has {len(openings)} leaves, another number: act on nothing."
            )

        record = _tick_record(items, number)
        if record.previous != (last.digest if last else self.state.previous):
            raise LedgerError(
                "G11", f"Tick {number} goes on from another chunk than the last: fetch both again."
            )
        if record.time < (last.time if last else self.state.time):
            raise LedgerError("G8", f"The time of tick {number} is before the last tick's.")

        if record.log_size < (last.log_size if last else self.state.log_size):
            raise LedgerError("G13", f"Tick {number} has a smaller log than the one before.")

        digest = chunk_digest(chunk)
        tick = _Tick(number, record.time, record.log_size, openings, part, digest)
        self._waiting.append(tick)

    def read_checkpoint(self, data: bytes, trust: Trust) -> CosignedCheckpoint:
        """The ledger's cosigned checkpoint in a note. Raises `LedgerError` G5 if too few cosigned
        it, T1 and T3 to T7 as verify_cosigned does.
        """
        try:
            received = verify_cosigned(data, trust.log, trust.witnesses, trust.needed)
        except TlogError as error:
            if error.rule != "T8":
                raise
            raise LedgerError("G5", error.message) from error
        if received.checkpoint.origin != self._origin:
            raise TlogError("T6", f"This is a checkpoint of {received.checkpoint.origin!r}.")
        return received

    def accept(
        self, received: CosignedCheckpoint, now: int, fresh: int, at_least: int = 0
    ) -> tuple[LedgerEntry, ...]:
        """The entries up to the checkpoint that were not handed over before, every one of them
        opened and proved.

        `fresh` is the charter's limit in seconds, `at_least` a size (in leaves) that its holder has
        seen elsewhere, such as a witness's own head. Raises `LedgerError` G1 to G4 or G8. Where
        openings and root do not agree, or a tick's time is impossible, what was fed since the last
        checkpoint is dropped, and a good copy has to be fed.
        """
        new, seen = received.checkpoint, self.state.seen
        if new.size < max(at_least, seen.size if seen else 0):
            raise LedgerError(
                "G3", f"A checkpoint of size {new.size} comes after a larger one: keep both."
            )

        try:
            check_fresh(received, now, fresh)
        except TlogError as error:
            raise LedgerError("G4", error.message) from error

        ticks = self._ticks_up_to(new.size)
        entries = self._entries(ticks, received.time)
        edge = Frontier(self.state.size, self.state.edge).extend(
            leaf_hash(o.leaf()) for tick in ticks for o in tick.openings
        )
        if not hmac.compare_digest(edge.root(), new.root):
            if seen and new.size == seen.size:
                raise LedgerError(
                    "G3", f"Two checkpoints of size {new.size} differ: keep both, act on nothing."
                )
            self._waiting.clear()
            raise LedgerError(
                "G1", f"The openings are not those of the {new.size} leaves: act on nothing."
            )

        self._advance(ticks, edge, SeenCheckpoint(new.size, new.root, received.time))
        return entries

    def _ticks_up_to(self, size: int) -> list[_Tick]:
        """The ticks fed that make up the ledger from where the state is to `size`."""
        ticks: list[_Tick] = []
        reached = self.state.size
        for tick in self._waiting:
            if reached >= size:
                break
            ticks.append(tick)
            reached += len(tick.openings)

        if reached > size:
            raise LedgerError("G2", f"A checkpoint at {size} leaves is not at the end of a tick.")
        if reached < size:
            raise LedgerError("G1", f"The openings fed end at leaf {reached} of {size}.")

        return ticks

    def _entries(self, ticks: list[_Tick], checkpoint_time: int) -> tuple[LedgerEntry, ...]:
        earliest = (self.state.seen.time if self.state.seen else 0) - CLOCK_ALLOWANCE
        entries: list[LedgerEntry] = []
        index = self.state.size
        for tick in ticks:
            if not earliest <= tick.time <= checkpoint_time + CLOCK_ALLOWANCE:
                self._waiting.clear()
                raise LedgerError("G8", f"The time of tick {tick.number} is not its checkpoints'.")
            for place, opening in enumerate(tick.openings):
                # the first is the tick's own record
                statement = opening.statement if place else None
                at = (tick.number, tick.time, tick.log_size)
                entries.append(LedgerEntry(index + place, *at, statement))
            index += len(tick.openings)

        return tuple(entries)

    def _advance(self, ticks: list[_Tick], edge: Frontier, seen: SeenCheckpoint) -> None:
        del self._waiting[: len(ticks)]
        last = ticks[-1] if ticks else None
        self.state = ReaderState(
            chunk=self.state.chunk + len(ticks),
            time=last.time if last else self.state.time,
            previous=last.digest if last else self.state.previous,
            log_size=last.log_size if last else self.state.log_size,
            size=edge.size,
            edge=edge.hashes,
            part=last.part if last else self.state.part,
            seen=seen,
        )


def _tick_record(items: tuple[tuple[int, bytes], ...], number: int) -> TickRecord:
    """The record that a tick begins with. Raises `LedgerError` G9."""
    with refuse_as("G9", f"Chunk {number} does not begin with its tick's record:", LedgerError):
        record = TickRecord.decode(
            (items[0][0] == WHOLE and decode_opening(items[0][1]).statement) or b""
        )
    if record.number != number:
        raise LedgerError("G9", f"Chunk {number} holds the record of tick {record.number}.")
    return record


def _collect(
    items: tuple[tuple[int, bytes], ...], part: bytes
) -> tuple[tuple[Opening, ...], bytes]:
    """The openings that end in these items, and what is left of one that does not."""
    openings: list[Opening] = []
    for kind, data in items:
        if kind == WHOLE:
            openings.append(decode_opening(data))
            continue
        if kind == LAST and not part:
            raise LedgerError("G9", "A chunk holds the last part of an opening that never began.")
        part += data
        if len(part) > MAX_OPENING:
            raise LedgerError("G9", "An opening under way is longer than any statement may be.")
        if kind == LAST:
            openings.append(decode_opening(part))
            part = b""

    return tuple(openings), part
