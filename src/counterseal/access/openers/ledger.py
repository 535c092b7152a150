"""The opener's copy of the ledger. It keeps each statement's leaf as well, salt and place, since
evidence has to prove them.

```
HOME/opener/reader      how far the copy is (protocol record `ledger-reader`)
HOME/opener/START       the leaves with a statement from leaf START on, and their ticks' records
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from counterseal import state_files
from counterseal.access.common.ledger_copy import segments
from counterseal.access.common.rules import Rules, keys_of_ledger, keys_of_witnesses
from counterseal.access.common.sources import Source, ask
from counterseal.evidence.events import concerned, with_predecessors
from counterseal.evidence.records import BagEvents, LedgerEvent
from counterseal.protocol import cbor
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.errors import NotFound
from counterseal.protocol.ledger_leaf import Opening, TickRecord
from counterseal.protocol.ledger_statement import LedgerStatement
from counterseal.protocol.record import Bytes32, Part, Record, Uint
from counterseal.tlog.checkpoint import CosignedCheckpoint
from counterseal.tlog.ledger import (
    LAST,
    WHOLE,
    Schedule,
    Segment,
    decode_opening,
    open_chunk,
    parse_chunk,
)
from counterseal.tlog.ledger_reader import LedgerReader, ReaderState, Trust
from counterseal.tlog.prove import make_inclusion
from counterseal.tlog.tile_store import TileReader
from counterseal.tlog.tiles import Tile
from counterseal.wire.body import Rows, decode_body
from counterseal.wire.endpoint import Endpoint
from counterseal.wire.ledger import LEDGER_CHECKPOINT, LEDGER_CHUNK

_KEPT_MAX = 1 << 30


class Leaf(Part, frozen=True):
    """A leaf that opened to a statement. `time` is its tick's, Unix seconds; a tick's own record is
    marked.
    """

    index: Uint
    time: Uint
    salt: Bytes32
    statement: bytes
    is_tick: bool


class KeptLeaves(Rows, frozen=True):
    """The leaves that an opener has read, as its home keeps them."""

    rows: Annotated[tuple[Leaf, ...], Meta(max_length=_KEPT_MAX)]


class OpenedLedger(msgspec.Struct, frozen=True):
    """The ledger folded up to a fresh checkpoint, and the leaves that had an effect, their ticks'
    records among them.
    """

    state: AccessState
    checkpoint: CosignedCheckpoint
    leaves: tuple[Leaf, ...]


class RemoteTiles:
    """A log's tiles as its service shows them; what they say is worth nothing until it leads to a
    cosigned root.
    """

    def __init__(self, source: Source, files: Endpoint[None, bytes]) -> None:
        self._source, self._files = source, files

    def read(self, path: str) -> bytes | None:
        """See `BlobStore`."""
        try:
            return ask(self._source, self._files, path=path)
        except NotFound:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Nobody writes here."""
        raise AssertionError(path, len(data))

    def remove_partials(self, tile: Tile) -> None:
        """Nobody writes here."""
        raise AssertionError(tile)


class Prover:
    """Makes inclusion proofs under one checkpoint from a log's public tiles."""

    def __init__(self, source: Source, tiles: Endpoint[None, bytes], size: int) -> None:
        """`tiles` is `LOG_FILE` or `LEDGER_FILE`."""
        self._reader, self.size = TileReader(RemoteTiles(source, tiles), size), size

    def path(self, index: int) -> tuple[bytes, ...]:
        """The path of leaf `index`. Raises `TlogError` T11 or T12."""
        return tuple(make_inclusion(index, self.size, self._reader).path)


class OpenerLedger:
    """The copy in one opener's home."""

    def __init__(self, rules: Rules, clock: Callable[[], int]) -> None:
        self._rules, self._clock = rules, clock
        self._folder = rules.home.path / "opener"

    def sync(self, source: Source) -> OpenedLedger:
        """Follows the ledger to the source's checkpoint. Raises `LedgerError` G1 to G11,
        `TlogError`, `NotFound`, `Unavailable`.
        """
        charter = self._rules.latest.charter
        place = self._folder / "reader"
        state = ReaderState.decode(place.read_bytes()) if place.exists() else ReaderState()
        reader = LedgerReader(
            charter.ledger.origin, Schedule(segments(self._rules, self._rules.home.reader)), state
        )
        trust = Trust(keys_of_ledger(charter), keys_of_witnesses(charter), charter.witnesses.c)
        received = reader.read_checkpoint(ask(source, LEDGER_CHECKPOINT), trust)
        leaves: list[Leaf] = []
        part = state.part
        while reader.schedule.first_leaf(reader.next_chunk) < received.checkpoint.size:
            number = reader.next_chunk
            chunk = ask(source, LEDGER_CHUNK, chunk=number)
            reader.feed(number, chunk)
            openings, part = _openings(
                reader.schedule.segment(number), charter.ledger.origin, number, chunk, part
            )
            leaves += _leaves(openings, reader.schedule.first_leaf(number))
        reader.accept(received, self._clock(), charter.ledger.fresh_online)
        self._keep(state.size, leaves, reader.state)
        return self._fold(received, reader.state)

    def _keep(self, start: int, leaves: Sequence[Leaf], state: ReaderState) -> None:
        """Leaves first, then the place: a crash between the two takes the same leaves in again."""
        if leaves:
            state_files.write_state(
                self._folder / f"{start:020d}", cbor.encode([leaf.plain() for leaf in leaves])
            )
        state_files.write_state(self._folder / "reader", state.encode())

    def _fold(self, received: CosignedCheckpoint, reader: ReaderState) -> OpenedLedger:
        state = AccessState(self._rules.rulebook)
        effective: list[Leaf] = []
        tick: Leaf | None = None
        for leaf in self._kept(reader.size):
            if leaf.is_tick:
                tick = leaf
            elif state.apply(leaf.time, leaf.statement).rule is None:
                if tick is not None:
                    effective.append(tick)
                    tick = None
                effective.append(leaf)
        state.advance(max(state.time, reader.time))
        return OpenedLedger(state, received, tuple(effective))

    def _kept(self, end: int) -> Iterator[Leaf]:
        for place in sorted(self._folder.glob("[0-9]" * 20)):
            if int(place.name) < end:
                yield from _read(place)


def events_about(told: OpenedLedger, warrant: bytes, prover: Prover) -> BagEvents:
    """What the ledger holds about a warrant and those it replaced, with the ticks' records, each
    leaf with its proof.
    """
    records: dict[int, Record] = {
        leaf.index: LedgerStatement.decode(leaf.statement).record
        for leaf in told.leaves
        if not leaf.is_tick
    }
    family = with_predecessors(list(records.values()), warrant)
    chosen: list[Leaf] = []
    tick: Leaf | None = None
    for leaf in told.leaves:
        if leaf.is_tick:
            tick = leaf
        elif concerned(records[leaf.index], family):
            if tick is not None:
                chosen.append(tick)
                tick = None
            chosen.append(leaf)
    return BagEvents(
        tuple(
            LedgerEvent(leaf.index, leaf.salt, leaf.statement, prover.path(leaf.index))
            for leaf in chosen
        )
    )


def _openings(
    segment: Segment, origin: str, number: int, chunk: bytes, part: bytes
) -> tuple[list[Opening], bytes]:
    """The openings that end in a chunk, and what is left of one that does not. The reader has
    checked the chunk's form.
    """
    found: list[Opening] = []
    for kind, data in parse_chunk(open_chunk(segment, origin, number, chunk)):
        if kind == WHOLE:
            found.append(decode_opening(data))
            continue
        part += data
        if kind == LAST:
            found.append(decode_opening(part))
            part = b""
    return found, part


def _leaves(openings: Sequence[Opening], first: int) -> list[Leaf]:
    """The tick's record and its statements; nothing of a tick that has none."""
    time = TickRecord.decode(openings[0].statement or b"").time
    found = [
        Leaf(first + place, time, opening.salt, opening.statement, place == 0)
        for place, opening in enumerate(openings)
        if opening.statement is not None
    ]
    return found if len(found) > 1 else []


def _read(place: Path) -> tuple[Leaf, ...]:
    return decode_body(place.read_bytes(), _KEPT_MAX, KeptLeaves).rows
