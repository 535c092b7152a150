"""Logged period roots."""

from __future__ import annotations

import hashlib

import apsw
import msgspec


class PeriodRow(msgspec.Struct, frozen=True):
    """A period's root record and its place in the log; `opens` is Unix seconds."""

    opens: int
    record: bytes
    log_index: int


def add(db: apsw.Connection, row: PeriodRow) -> None:
    """Stores a root."""
    db.execute(
        "INSERT INTO periods (opens, record, log_index) VALUES (?, ?, ?)",
        (row.opens, row.record, row.log_index),
    )


def find(db: apsw.Connection, opens: int) -> PeriodRow | None:
    """The root of the period that opens then, or None."""
    row = db.execute(
        "SELECT opens, record, log_index FROM periods WHERE opens = ?", (opens,)
    ).fetchone()
    return PeriodRow(*row) if row else None


def last(db: apsw.Connection) -> PeriodRow | None:
    """The newest root, or None."""
    return before(db, 1 << 62)


def before(db: apsw.Connection, log_index: int) -> PeriodRow | None:
    """The root logged last before an index, or None."""
    sql = "SELECT opens, record, log_index FROM periods WHERE log_index < ? ORDER BY log_index DESC LIMIT 1"
    row = db.execute(sql, (log_index,)).fetchone()
    return PeriodRow(*row) if row else None


def after(db: apsw.Connection, log_index: int, limit: int) -> list[PeriodRow]:
    """The roots logged after an index, in order."""
    sql = "SELECT opens, record, log_index FROM periods WHERE log_index > ? ORDER BY log_index LIMIT ?"
    return [PeriodRow(*row) for row in db.execute(sql, (log_index, limit))]


def between(db: apsw.Connection, start: int, until: int) -> list[PeriodRow]:
    """The roots of periods that open in `[start, until)`, in order of time."""
    sql = (
        "SELECT opens, record, log_index FROM periods WHERE opens >= ? AND opens < ? ORDER BY opens"
    )
    return [PeriodRow(*row) for row in db.execute(sql, (start, until))]


def digest(row: PeriodRow | None) -> bytes | None:
    """What the next root names this one by."""
    return hashlib.sha256(row.record).digest() if row else None
