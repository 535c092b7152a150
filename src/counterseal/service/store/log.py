"""The log's outbox: an entry has its index from the transaction of the change that it records. Also
the checkpoint rows.
"""

from __future__ import annotations

import apsw
import msgspec

from counterseal.protocol.cbor import H, tag
from counterseal.service.store.query import value
from counterseal.tlog.sequencer import Row


class Entry(msgspec.Struct, frozen=True):
    """One log entry: its index, the 32 bytes in the log, the statement they stand for, its kind,
    and when it came (seconds).
    """

    index: int
    entry: bytes
    statement: bytes
    kind: str
    time: int


def entry_hash(statement: bytes) -> bytes:
    """`H([tag("entry"), statement bytes])`: what stands in the log."""
    return H([tag("entry"), statement])


def append(db: apsw.Connection, statement: bytes, kind: str, time: int) -> int:
    """Puts a statement into the log; gives its index, which is final once the transaction is."""
    index = size(db)
    db.execute(
        "INSERT INTO log_entries (idx, entry, statement, kind, time) VALUES (?, ?, ?, ?, ?)",
        (index, entry_hash(statement), statement, kind, time),
    )
    return index


def find(db: apsw.Connection, entry: bytes) -> Entry | None:
    """The first entry with this hash, or None."""
    sql = "SELECT idx, entry, statement, kind, time FROM log_entries WHERE entry = ? ORDER BY idx LIMIT 1"
    row = db.execute(sql, (entry,)).fetchone()
    return Entry(*row) if row else None


def size(db: apsw.Connection) -> int:
    """How many entries have an index."""
    return int(value(db, "SELECT coalesce(max(idx), -1) + 1 FROM log_entries"))


def entries(db: apsw.Connection, first: int, limit: int) -> list[bytes]:
    """The entry hashes from index `first` on."""
    sql = "SELECT entry FROM log_entries WHERE idx >= ? ORDER BY idx LIMIT ?"
    return [bytes(entry) for (entry,) in db.execute(sql, (first, limit))]


def load_row(db: apsw.Connection, origin: str) -> Row | None:
    """The checkpoint row of a log, or None."""
    row = db.execute(
        "SELECT origin, size, root, time FROM log_rows WHERE origin = ?", (origin,)
    ).fetchone()
    return Row(*row) if row else None


def swap_row(db: apsw.Connection, old: Row | None, new: Row) -> bool:
    """Replaces `old` by `new`, if the row is `old`."""
    if load_row(db, new.origin) != old:
        return False
    sql = "INSERT OR REPLACE INTO log_rows (origin, size, root, time) VALUES (?, ?, ?, ?)"
    db.execute(sql, (new.origin, new.size, new.root, new.time))
    return True
