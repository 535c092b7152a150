"""SQLite's answers have no types that a checker knows; these two say so once."""

from __future__ import annotations

from typing import Any

import apsw


def rows(db: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All rows."""
    return list(db.execute(sql, bindings))


def value(db: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
    """The first column of the first row, or None."""
    row = db.execute(sql, bindings).fetchone()
    return row[0] if row else None
