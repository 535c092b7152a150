"""The ledger's queue, leaves and chunks.

A tick is one transaction; what it sealed is never sealed again with other contents.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from counterseal.service.store.rows import PlacedStatement
from counterseal.service.store.sqlite import meta
from counterseal.tlog.ledger_writer import Waiting, WriterState, WrittenTick

_STATE = "ledger-state"
_WAITING = 500
_PLACED = """SELECT q.leaf, t.time, q.statement FROM ledger_queue q
  JOIN ledger_ticks t ON t.end_leaf > q.leaf AND t.first_leaf <= q.leaf
  WHERE q.leaf >= ? AND q.leaf < ? ORDER BY q.leaf"""


class SqliteLedger:
    """See `WriteLedger`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def load(self) -> WriterState:
        stored = meta.load(self._db, _STATE)
        return WriterState.decode(stored) if isinstance(stored, bytes) else WriterState()

    def backlog(self) -> int:
        sql = "SELECT count(*) FROM ledger_queue WHERE leaf IS NULL"
        [[count]] = self._db.execute(sql)
        return int(count)

    def leaves(self, first: int, limit: int) -> list[bytes]:
        sql = "SELECT leaf FROM ledger_leaves WHERE idx >= ? ORDER BY idx LIMIT ?"
        return [leaf for (leaf,) in self._db.execute(sql, (first, limit))]

    def size(self) -> int:
        [[size]] = self._db.execute("SELECT coalesce(max(idx), -1) + 1 FROM ledger_leaves")
        return int(size)

    def chunk(self, number: int) -> bytes | None:
        sql = "SELECT chunk FROM ledger_ticks WHERE tick = ?"
        row = self._db.execute(sql, (number,)).fetchone()
        return row[0] if row else None

    def placed(self, first: int, end: int) -> list[PlacedStatement]:
        return [PlacedStatement(*row) for row in self._db.execute(_PLACED, (first, end))]

    def last_time(self, end: int) -> int:
        sql = "SELECT time FROM ledger_ticks WHERE end_leaf <= ? ORDER BY end_leaf DESC LIMIT 1"
        row = self._db.execute(sql, (end,)).fetchone()
        return int(row[0]) if row else 0

    def enqueue(self, digest: bytes, statement: bytes) -> None:
        sql = "INSERT OR IGNORE INTO ledger_queue (digest, statement) VALUES (?, ?)"
        self._db.execute(sql, (digest, statement))

    def waiting(self) -> Sequence[Waiting]:
        sql = "SELECT no, statement FROM ledger_queue WHERE leaf IS NULL ORDER BY no LIMIT ?"
        return [Waiting(*row) for row in self._db.execute(sql, (_WAITING,))]

    def commit(self, tick: WrittenTick) -> None:
        sql = "INSERT INTO ledger_leaves (idx, leaf) VALUES (?, ?)"
        self._db.executemany(sql, list(enumerate(tick.leaves, tick.first_leaf)))

        end = tick.first_leaf + len(tick.leaves)
        sql = """INSERT INTO ledger_ticks (tick, time, first_leaf, end_leaf, chunk)
          VALUES (?, ?, ?, ?, ?)"""
        self._db.execute(sql, (tick.number, tick.time, tick.first_leaf, end, tick.chunk))

        for number, leaf in tick.placed:
            self._db.execute("UPDATE ledger_queue SET leaf = ? WHERE no = ?", (leaf, number))
        meta.store(self._db, _STATE, tick.state.encode())
