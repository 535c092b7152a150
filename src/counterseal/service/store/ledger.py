"""The ledger's queue, leaves and chunks. A tick is one transaction; what it sealed is never sealed
again with other contents.
"""

from __future__ import annotations

import hashlib

import apsw
import msgspec

from counterseal.protocol.errors import Unavailable
from counterseal.service.store import charters
from counterseal.service.store.query import value
from counterseal.tlog.ledger_writer import Tick, Waiting, WriterState

_STATE = "ledger-state"
QUEUE_MAX = 10_000
_WAITING = 500


class Placed(msgspec.Struct, frozen=True):
    """A statement that became a leaf, with its tick's time (seconds)."""

    leaf: int
    time: int
    statement: bytes


class TickBacklog:
    """tlog's `Backlog`, inside one of the writer's transactions."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def load(self) -> WriterState:
        """See `Backlog`."""
        return state(self._db)

    def waiting(self) -> list[Waiting]:
        """See `Backlog`."""
        sql = "SELECT no, statement FROM ledger_queue WHERE leaf IS NULL ORDER BY no LIMIT ?"
        return [
            Waiting(no, bytes(statement)) for no, statement in self._db.execute(sql, (_WAITING,))
        ]

    def commit(self, tick: Tick) -> None:
        """See `Backlog`: durable when the writer's transaction is."""
        self._db.executemany(
            "INSERT INTO ledger_leaves (idx, leaf) VALUES (?, ?)",
            list(enumerate(tick.leaves, tick.first_leaf)),
        )
        end = tick.first_leaf + len(tick.leaves)
        sql = "INSERT INTO ledger_ticks (tick, time, first_leaf, end_leaf, chunk) VALUES (?, ?, ?, ?, ?)"
        self._db.execute(sql, (tick.number, tick.time, tick.first_leaf, end, tick.chunk))
        for number, leaf in tick.placed:
            self._db.execute("UPDATE ledger_queue SET leaf = ? WHERE no = ?", (leaf, number))
        charters.set_meta(self._db, _STATE, tick.state.encode())


def state(db: apsw.Connection) -> WriterState:
    """The writer's state after the last tick."""
    stored = charters.meta(db, _STATE)
    return WriterState.decode(stored) if isinstance(stored, bytes) else WriterState()


def enqueue(db: apsw.Connection, statement: bytes) -> None:
    """Puts a statement into the queue; the same bytes again change nothing. Raises `Unavailable`
    "backlog".
    """
    if backlog(db) >= QUEUE_MAX:
        raise Unavailable("The ledger's queue is full; try again later.", code="backlog")
    digest = hashlib.sha256(statement).digest()
    db.execute(
        "INSERT OR IGNORE INTO ledger_queue (digest, statement) VALUES (?, ?)", (digest, statement)
    )


def backlog(db: apsw.Connection) -> int:
    """How many statements wait."""
    return int(value(db, "SELECT count(*) FROM ledger_queue WHERE leaf IS NULL"))


def leaves(db: apsw.Connection, first: int, limit: int) -> list[bytes]:
    """The ledger's entries (32 bytes) from index `first` on."""
    sql = "SELECT leaf FROM ledger_leaves WHERE idx >= ? ORDER BY idx LIMIT ?"
    return [bytes(leaf) for (leaf,) in db.execute(sql, (first, limit))]


def size(db: apsw.Connection) -> int:
    """How many leaves there are."""
    return int(value(db, "SELECT coalesce(max(idx), -1) + 1 FROM ledger_leaves"))


def chunk(db: apsw.Connection, number: int) -> bytes | None:
    """A chunk of the stream, or None."""
    row = db.execute("SELECT chunk FROM ledger_ticks WHERE tick = ?", (number,)).fetchone()
    return bytes(row[0]) if row else None


def placed(db: apsw.Connection, first: int, end: int) -> list[Placed]:
    """The statements that became leaves in `[first, end)`, in order."""
    sql = """SELECT q.leaf, t.time, q.statement FROM ledger_queue q
      JOIN ledger_ticks t ON t.end_leaf > q.leaf AND t.first_leaf <= q.leaf
      WHERE q.leaf >= ? AND q.leaf < ? ORDER BY q.leaf"""
    return [
        Placed(leaf, time, bytes(statement))
        for leaf, time, statement in db.execute(sql, (first, end))
    ]


def last_time(db: apsw.Connection, end: int) -> int:
    """The time (seconds) of the last tick among the first `end` leaves, 0 for none."""
    sql = "SELECT time FROM ledger_ticks WHERE end_leaf <= ? ORDER BY end_leaf DESC LIMIT 1"
    row = db.execute(sql, (end,)).fetchone()
    return int(row[0]) if row else 0
