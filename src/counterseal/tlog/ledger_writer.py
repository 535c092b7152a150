"""The ledger's writer: turns a queue of statements into ticks. Each is decided without I/O and
committed in one transaction.

What a tick holds has to be durable before any of it is shown: a chunk that was sealed twice with
different contents would use one key and nonce twice. So `Backlog.commit` takes the whole of a
`WrittenTick`, or nothing.

| rule | refuses |
| --- | --- |
| G12 | (writer) a statement half sent that has left the queue |
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta

from counterseal.protocol.cbor import encode, expand, tag
from counterseal.protocol.errors import FatalError
from counterseal.protocol.ledger_leaf import (
    DUMMY_ITEM,
    ITEM_HEADER,
    SALT,
    STATEMENT_MAX,
    TICK_ITEM,
    Opening,
    TickRecord,
)
from counterseal.protocol.record import Bytes32, Part, Record, Uint
from counterseal.tlog.errors import LedgerError
from counterseal.tlog.ledger import LAST, PART, WHOLE, Schedule, Segment, chunk_digest, item

Random = Callable[[int], bytes]


class Waiting(msgspec.Struct, frozen=True):
    """A statement in the queue, under the number that the queue gave it."""

    number: int
    statement: bytes


class UnderWay(Part, frozen=True):
    """A long opening of which the first `sent` bytes went out: its statement's number in the queue,
    and its salt.
    """

    number: Uint
    salt: Bytes32
    sent: Annotated[int, Meta(ge=1)]


class WriterState(Record, frozen=True, tag="counterseal/v1/ledger-writer"):
    """What the writer knows between two ticks: the next tick's number, the last one's time, chunk
    digest and size of the log, and a long opening under way."""

    tick: Uint = 0
    time: Uint = 0
    previous: Bytes32 | None = None
    log_size: Uint = 0
    under_way: UnderWay | None = None


class WrittenTick(msgspec.Struct, frozen=True):
    """One tick: its number and time (Unix seconds), its leaves, its sealed chunk, and the writer's
    state after it.

    `leaves` are the ledger's entries from index `first_leaf` on; `placed` says which statements of
    the queue (by number) became which leaf (by index): those leave the queue.
    """

    number: int
    time: int
    first_leaf: int
    leaves: tuple[bytes, ...]
    chunk: bytes
    placed: tuple[tuple[int, int], ...]
    state: WriterState


class Backlog(Protocol):
    """The durable queue, in the service's store."""

    def load(self) -> WriterState:
        """The state after the last tick that was committed; `WriterState()` for a new ledger."""
        ...

    def waiting(self) -> Sequence[Waiting]:
        """The statements in the queue, oldest first, the one under way among them. The first few
        hundred are enough.
        """
        ...

    def commit(self, tick: WrittenTick) -> None:
        """Makes all of the tick durable in one transaction: state, chunk, leaves for the sequencer,
        what leaves the queue.
        """
        ...


class LedgerWriter:
    """Writes ticks to one ledger (its origin goes into every chunk's aad)."""

    def __init__(self, origin: str, schedule: Schedule, backlog: Backlog) -> None:
        self._origin, self._schedule, self._backlog = origin, schedule, backlog

    def tick(self, now: int, log_size: int, random: Random) -> WrittenTick:
        """The next tick, committed. `now` is Unix seconds, `log_size` the size of the log's newest
        published checkpoint, `random(n)` gives n secret random bytes.
        """
        state, waiting = self._backlog.load(), self._backlog.waiting()
        tick = write_tick(self._origin, self._schedule, state, waiting, now, log_size, random)
        self._backlog.commit(tick)
        return tick


class _Long(msgspec.Struct):
    """An opening that goes out in parts: its number in the queue, its bytes, and how many of them
    are sent.
    """

    number: int
    opening: Opening
    data: bytes
    sent: int


class _Chunk:
    """The items of a tick in the making, with `room` bytes left beyond the dummies for the slots
    that are still free.
    """

    def __init__(self, leaves: int, batch: int) -> None:
        self.items: list[bytes] = []
        self.openings: list[Opening] = []
        self.placed: list[tuple[int, int]] = []
        self.free = leaves
        self.room = batch - TICK_ITEM - (leaves - 1) * DUMMY_ITEM

    def begin(self, record: TickRecord, salt: bytes) -> None:
        """Adds the tick's own record, whose room was set aside."""
        opening = Opening(salt, record.encode())
        self.items.append(item(WHOLE, opening.encode()))
        self.openings.append(opening)
        self.free -= 1

    def end(
        self, kind: int, data: bytes, opening: Opening, number: int | None, kept: int = 0
    ) -> bool:
        """Adds an item that ends an opening, in the place of a dummy, if that leaves `kept` bytes
        of room; says whether it did.
        """
        cost = ITEM_HEADER + len(data) - DUMMY_ITEM
        if self.free == 0 or cost > self.room - kept:
            return False
        if number is not None:
            self.placed.append((number, len(self.openings)))
        self.items.append(item(kind, data))
        self.openings.append(opening)
        self.free -= 1
        self.room -= cost
        return True

    def part(self, long: _Long) -> None:
        """Adds as much of a long opening as there is room for, all but its last byte at most."""
        size = min(len(long.data) - long.sent - 1, self.room - ITEM_HEADER)
        if size > 0:
            self.items.append(item(PART, long.data[long.sent : long.sent + size]))
            self.room -= ITEM_HEADER + size
            long.sent += size


def write_tick(
    origin: str,
    schedule: Schedule,
    state: WriterState,
    waiting: Sequence[Waiting],
    now: int,
    log_size: int,
    random: Random,
) -> WrittenTick:
    """The next tick after `state`, without I/O; its time and its size of the log never fall. Raises
    `LedgerError` G10 for a statement that is too long, G12 for one that has gone.
    """
    segment = schedule.segment(state.tick)
    chunk = _Chunk(segment.leaves, segment.batch)
    time, first_leaf = max(now, state.time), schedule.first_leaf(state.tick)
    log_size = max(log_size, state.log_size)
    chunk.begin(TickRecord(state.tick, time, state.previous, log_size), random(SALT))
    long = _resume(state.under_way, waiting)
    if long and chunk.end(LAST, long.data[long.sent :], long.opening, long.number):
        long = None

    long = _fill(
        chunk,
        long,
        [
            entry
            for entry in waiting
            if not state.under_way or entry.number != state.under_way.number
        ],
        random,
    )
    if long:
        chunk.part(long)

    while chunk.free:
        dummy = Opening(random(SALT), None)
        chunk.end(WHOLE, dummy.encode(), dummy, None)

    sealed = seal_chunk(segment, origin, state.tick, build_chunk(chunk.items, segment.batch))
    under_way = UnderWay(long.number, long.opening.salt, long.sent) if long and long.sent else None
    return WrittenTick(
        state.tick,
        time,
        first_leaf,
        tuple(opening.leaf() for opening in chunk.openings),
        sealed,
        tuple((number, first_leaf + place) for number, place in chunk.placed),
        WriterState(state.tick + 1, time, chunk_digest(sealed), log_size, under_way),
    )


def _resume(under_way: UnderWay | None, waiting: Sequence[Waiting]) -> _Long | None:
    if under_way is None:
        return None
    for entry in waiting:
        if entry.number == under_way.number:
            opening = Opening(under_way.salt, entry.statement)
            return _Long(entry.number, opening, opening.encode(), under_way.sent)
    raise LedgerError(
        "G12", f"Statement {under_way.number} is half sent and not in the queue any more."
    )


def _fill(
    chunk: _Chunk, long: _Long | None, waiting: Sequence[Waiting], random: Random
) -> _Long | None:
    """Puts whole openings in, oldest first, and gives the long one that is under way afterwards.

    A long one keeps half of the room, and whole ones pass it in the other half, so that neither a
    long listing nor a flood of short statements holds the other up.
    """
    kept = chunk.room // 2 if long else 0
    for entry in waiting:
        if chunk.free == 0:
            break
        opening = Opening(random(SALT), check_statement(entry.statement))
        data = opening.encode()
        if not chunk.end(WHOLE, data, opening, entry.number, kept) and long is None:
            long = _Long(entry.number, opening, data, 0)
            kept = chunk.room // 2
    return long


def check_statement(statement: bytes) -> bytes:
    """The statement itself, if it is at most 4 MiB. Raises `LedgerError` G10."""
    if len(statement) > STATEMENT_MAX:
        raise LedgerError(
            "G10",
            f"A statement of {len(statement)} bytes is over the ledger's limit of {STATEMENT_MAX}.",
        )
    return statement


def build_chunk(items: Sequence[bytes], batch: int) -> bytes:
    """A chunk's plaintext, `batch` bytes. That the items fit is the writer's business."""
    data = b"".join(items)
    if len(data) > batch:
        raise FatalError(
            "The items of a tick do not fit into its chunk: a fault of the ledger's writer."
        )
    return data.ljust(batch, b"\0")


def seal_chunk(segment: Segment, origin: str, number: int, plaintext: bytes) -> bytes:
    """The chunk encrypted under the segment's key. The nonce is zero: each chunk has a key of its
    own and is sealed once.
    """
    key = expand(segment.key, [tag("ledger-chunk"), number], 32)
    return ChaCha20Poly1305(key).encrypt(
        bytes(12), plaintext, encode([tag("ledger-chunk"), origin, number])
    )
