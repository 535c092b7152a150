"""A holder's own copy of the ledger: every leaf opened and proved up to a cosigned checkpoint, or
nothing (G1 to G11).

What it folds into is an `AccessState`: each warrant's life, from which "not cancelled", "cap not
exceeded" and "not released to another" follow as facts. The copy is on the holder's disk and only
grows; a checkpoint smaller than one seen is refused.

```
HOME/ledger/reader        how far the copy is (protocol record `ledger-reader`)
HOME/ledger/START         the statements taken in from leaf START on, with their ticks' times
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from counterseal import state_files
from counterseal.access.common.rules import Rules, keys_of_ledger, keys_of_witnesses
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.cbor import tag
from counterseal.protocol.errors import NotFound, Refused
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.keyset import VerifiedKeyset, open_ledger_key, open_predecessor
from counterseal.protocol.record import Part, Record, Uint
from counterseal.protocol.trusted_rules import Rulebook
from counterseal.tlog.checkpoint import CosignedCheckpoint
from counterseal.tlog.errors import LedgerError
from counterseal.tlog.ledger import Schedule, Segment
from counterseal.tlog.ledger_reader import LedgerEntry, LedgerReader, ReaderState, Trust
from counterseal.wire.ledger import LEDGER_CHECKPOINT, LEDGER_CHUNK

from .sources import Source, ask


class Fresh(msgspec.Struct, frozen=True):
    """A folded ledger and the checkpoint up to which it is whole. `time` is the checkpoint's, Unix
    seconds.
    """

    state: AccessState
    time: int
    size: int


class KeptStatement(Part, frozen=True):
    """A statement of the ledger, and the time of its tick, Unix seconds."""

    time: Uint
    statement: bytes


class KeptStatements(Record, frozen=True, tag=tag("ledger-copy")):
    """The statements that one `sync` took in."""

    limit: ClassVar[int] = 1 << 30
    statements: tuple[KeptStatement, ...]


class LedgerCopy:
    """The copy in one home. Not safe for two threads at once."""

    def __init__(self, rules: Rules, clock: Callable[[], int]) -> None:
        self._rules, self._clock = rules, clock
        self._folder = rules.home.path / "ledger"
        self._state: AccessState | None = None
        self._folded = 0
        self._rulebook: Rulebook | None = None
        self._reader: LedgerReader | None = None

    def sync(self, source: Source, fresh: int, at_least: int = 0) -> Fresh:
        """Follows the ledger to the source's checkpoint and folds it.

        `fresh` is how old in seconds the checkpoint may be; `at_least` a size in leaves that this
        holder has seen elsewhere. Raises `LedgerError` G1 to G11, `TlogError`, `NotFound`,
        `Unavailable`: then nothing may be done on this ledger.
        """
        reader = self._open_reader()
        received = reader.read_checkpoint(ask(source, LEDGER_CHECKPOINT), self._trust())
        while reader.schedule.first_leaf(reader.next_chunk) < received.checkpoint.size:
            number = reader.next_chunk
            reader.feed(number, ask(source, LEDGER_CHUNK, chunk=number))
        start = reader.state.size
        entries = reader.accept(received, self._clock(), fresh, at_least)
        self._keep(start, entries, reader.state)
        return self._fold(received)

    def _open_reader(self) -> LedgerReader:
        charter = self._rules.in_force().charter
        schedule = Schedule(segments(self._rules, self._rules.home.reader))
        if self._reader is None:
            self._reader = LedgerReader(charter.ledger.origin, schedule, self._reader_state())
        self._reader.schedule = schedule
        return self._reader

    def _reader_state(self) -> ReaderState:
        place = self._folder / "reader"
        return ReaderState.decode(place.read_bytes()) if place.exists() else ReaderState()

    def _trust(self) -> Trust:
        charter = self._rules.in_force().charter
        return Trust(keys_of_ledger(charter), keys_of_witnesses(charter), charter.witnesses.c)

    def _keep(self, start: int, entries: Sequence[LedgerEntry], state: ReaderState) -> None:
        """Statements first, then the place: a crash between the two takes the same statements in
        again.
        """
        kept = tuple(
            KeptStatement(entry.time, entry.statement)
            for entry in entries
            if entry.statement is not None
        )
        if kept:
            state_files.write_state(self._folder / f"{start:020d}", KeptStatements(kept).encode())
        if entries or state.seen is not None:
            state_files.write_state(self._folder / "reader", state.encode())

    def _fold(self, received: CosignedCheckpoint) -> Fresh:
        rulebook = self._rules.rulebook
        if self._state is None or rulebook != self._rulebook:
            self._state, self._folded, self._rulebook = AccessState(rulebook), 0, rulebook
        state = self._reader_state()
        for start, time, statement in self._entries(self._folded, state.size):
            self._state.apply(time, statement)
            self._folded = start + 1
        self._state.advance(max(self._state.time, state.time))
        return Fresh(self._state, received.time, received.checkpoint.size)

    def _entries(self, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
        for place in sorted(self._folder.glob("[0-9]" * 20)):
            if start <= int(place.name) < end:
                for one in _read_kept(place).statements:
                    yield int(place.name), one.time, one.statement


def _read_kept(place: Path) -> KeptStatements:
    try:
        return KeptStatements.decode(place.read_bytes())
    except Refused:
        raise Refused(
            "E6", f"The ledger copy {place} is damaged; remove the folder and sync again."
        ) from None


def segments(rules: Rules, private: SealingKey) -> tuple[Segment, ...]:
    """The ledger's keys in order, one a keyset: opened where sealed to this reader, else from the
    key after it (G7, K8).
    """
    keysets = list(rules.keysets.values())
    if not keysets:
        raise NotFound("No keyset is logged yet, so the ledger has not begun.")
    found: list[Segment] = []
    after: tuple[bytes, VerifiedKeyset] | None = None
    for keyset in reversed(keysets):
        charter = rules.charter(keyset.keyset.charter_digest)
        commitment = keyset.keyset.ledger_key.commitment
        readers = [reader.xwing for reader in charter.charter.readers]
        if private.public in readers:
            key = open_ledger_key(private, keyset, readers.index(private.public))
        elif after is not None:
            key = open_predecessor(after[0], after[1], commitment)
        else:
            raise LedgerError(
                "G6", "The charter in force does not name this home among the ledger's readers."
            )
        ledger = charter.charter.ledger
        found.append(
            Segment(keyset.keyset.ledger_key.first_chunk, key, ledger.leaves, ledger.batch)
        )
        after = (key, keyset)
    return tuple(reversed(found))
