"""The log's entries, and the checkpoint rows of both logs."""

from __future__ import annotations

import apsw

from counterseal.service.store.rows import StoredEntry
from counterseal.tlog.checkpoint_row import CheckpointRow


class SqliteLog:
    """See `WriteLog`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def find(self, entry: bytes) -> StoredEntry | None:
        sql = """SELECT idx, entry, statement, kind, time FROM log_entries
          WHERE entry = ? ORDER BY idx LIMIT 1"""
        row = self._db.execute(sql, (entry,)).fetchone()
        return StoredEntry(*row) if row else None

    def size(self) -> int:
        [[size]] = self._db.execute("SELECT coalesce(max(idx), -1) + 1 FROM log_entries")
        return int(size)

    def entries(self, first: int, limit: int) -> list[bytes]:
        sql = "SELECT entry FROM log_entries WHERE idx >= ? ORDER BY idx LIMIT ?"
        return [entry for (entry,) in self._db.execute(sql, (first, limit))]

    def row(self, origin: str) -> CheckpointRow | None:
        sql = "SELECT origin, size, root, time FROM log_rows WHERE origin = ?"
        row = self._db.execute(sql, (origin,)).fetchone()
        return CheckpointRow(*row) if row else None

    def add(self, row: StoredEntry) -> None:
        sql = """INSERT INTO log_entries (idx, entry, statement, kind, time)
          VALUES (?, ?, ?, ?, ?)"""
        self._db.execute(sql, (row.index, row.entry, row.statement, row.kind, row.time))

    def set_row(self, row: CheckpointRow) -> None:
        sql = "INSERT OR REPLACE INTO log_rows (origin, size, root, time) VALUES (?, ?, ?, ?)"
        self._db.execute(sql, (row.origin, row.size, row.root, row.time))
