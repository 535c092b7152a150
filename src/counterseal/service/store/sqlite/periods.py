"""Logged period roots, and a demonstration's clock."""

from __future__ import annotations

import apsw

from counterseal.service.store.rows import StoredPeriod
from counterseal.service.store.sqlite import meta

_CLOCK = "clock"
_SELECT = "SELECT opens, record, log_index FROM periods"


class SqlitePeriods:
    """See `WritePeriods`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def find(self, opens: int) -> StoredPeriod | None:
        row = self._db.execute(f"{_SELECT} WHERE opens = ?", (opens,)).fetchone()
        return StoredPeriod(*row) if row else None

    def before(self, log_index: int) -> StoredPeriod | None:
        sql = f"{_SELECT} WHERE log_index < ? ORDER BY log_index DESC LIMIT 1"
        row = self._db.execute(sql, (log_index,)).fetchone()
        return StoredPeriod(*row) if row else None

    def after(self, log_index: int, limit: int) -> list[StoredPeriod]:
        sql = f"{_SELECT} WHERE log_index > ? ORDER BY log_index LIMIT ?"
        return [StoredPeriod(*row) for row in self._db.execute(sql, (log_index, limit))]

    def between(self, start: int, until: int) -> list[StoredPeriod]:
        sql = f"{_SELECT} WHERE opens >= ? AND opens < ? ORDER BY opens"
        return [StoredPeriod(*row) for row in self._db.execute(sql, (start, until))]

    def clock(self) -> int | None:
        stored = meta.load(self._db, _CLOCK)
        return stored if isinstance(stored, int) else None

    def add(self, row: StoredPeriod) -> None:
        sql = "INSERT INTO periods (opens, record, log_index) VALUES (?, ?, ?)"
        self._db.execute(sql, (row.opens, row.record, row.log_index))

    def set_clock(self, now: int) -> None:
        meta.store(self._db, _CLOCK, now)
