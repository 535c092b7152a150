"""Single values that have no table of their own: a demonstration's clock, the ledger's state."""

from __future__ import annotations

import apsw


def load(db: apsw.Connection, key: str) -> int | bytes | None:
    """A value, or None."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def store(db: apsw.Connection, key: str, value: int | bytes) -> None:
    """Puts a value in the place of the one before."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
