"""Windows with their counterseals, and the stamps of their frames."""

from __future__ import annotations

import apsw
import msgspec

from counterseal.service.store.query import rows, value
from counterseal.service.store.schema import SEQ_BITS

SEQ_MAX = (1 << SEQ_BITS) - 1


class Window(msgspec.Struct, frozen=True):
    """A window as the service keeps it; `next_seq` is how many frames it has."""

    no: int
    id: bytes
    conversation: int
    account: bytes
    device: bytes
    charter: bytes
    keyset: bytes
    roster_epoch: int
    opens: int
    closes: int
    serial: int
    seal_digest: bytes
    next_seq: int


class Seal(msgspec.Struct, frozen=True):
    """The records of a window, as they were uploaded."""

    label: bytes
    roster: bytes
    counterseal: bytes


_COLUMNS = "no, id, conversation, account, device, charter, keyset, roster_epoch, opens, closes, serial, seal_digest, next_seq"
_FIND_OPEN = f"SELECT {_COLUMNS}, EXISTS (SELECT 1 FROM periods p WHERE p.opens = windows.opens) FROM windows WHERE id = ?"


def find(db: apsw.Connection, window_id: bytes) -> Window | None:
    """The window with this id, or None."""
    row = db.execute(f"SELECT {_COLUMNS} FROM windows WHERE id = ?", (window_id,)).fetchone()
    return Window(*row) if row else None


def find_open(db: apsw.Connection, window_id: bytes) -> tuple[Window, bool] | None:
    """The window with this id and whether its period's root is in the log already, or None; in one
    statement: every frame asks.
    """
    row = db.execute(_FIND_OPEN, (window_id,)).fetchone()
    return (Window(*row[:-1]), bool(row[-1])) if row else None


def seal(db: apsw.Connection, number: int) -> Seal:
    """The records of a window."""
    [row] = rows(db, "SELECT label, roster, counterseal FROM seals WHERE window = ?", (number,))
    return Seal(*row)


def last_serial(db: apsw.Connection, conversation: int, device: bytes) -> int | None:
    """The device's newest serial in the conversation."""
    sql = "SELECT max(serial) FROM windows WHERE conversation = ? AND device = ?"
    serial: int | None = value(db, sql, (conversation, device))
    return serial


def same_place(
    db: apsw.Connection,
    conversation: int,
    device: bytes,
    opens: int,
    roster_digest: bytes,
    keyset: bytes,
) -> int:
    """How many windows the device has opened for one period, roster and keyset: all but the first
    are restarts.
    """
    sql = """SELECT count(*) FROM windows WHERE conversation = ? AND device = ? AND opens = ? AND roster_digest = ? AND keyset = ?"""
    return int(value(db, sql, (conversation, device, opens, roster_digest, keyset)))


def insert(db: apsw.Connection, window: Window, roster_digest: bytes, records: Seal) -> None:
    """Stores a window; its `no` is ignored and given here."""
    db.execute(
        "INSERT INTO windows (id, conversation, account, device, charter, keyset, roster_epoch, roster_digest, opens, closes, serial,"
        " seal_digest, next_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            window.id, window.conversation, window.account, window.device, window.charter, window.keyset, window.roster_epoch,
            roster_digest, window.opens, window.closes, window.serial, window.seal_digest,
        ),
    )  # fmt: skip
    db.execute(
        "INSERT INTO seals (window, label, roster, counterseal) VALUES (?, ?, ?, ?)",
        (db.last_insert_rowid(), records.label, records.roster, records.counterseal),
    )


def stamp(db: apsw.Connection, number: int, seq: int, event: int, digest: bytes, time: int) -> None:
    """Stores a frame's stamp; `event` is its n in the conversation."""
    sql = "INSERT INTO stamps (id, event, digest, time) VALUES (?, ?, ?, ?)"
    db.execute(sql, (number << SEQ_BITS | seq, event, digest, time))


def find_stamp(db: apsw.Connection, number: int, seq: int) -> tuple[int, bytes, int] | None:
    """(n, message digest, time) of a frame, or None."""
    row = db.execute(
        "SELECT event, digest, time FROM stamps WHERE id = ?", (number << SEQ_BITS | seq,)
    ).fetchone()
    return (row[0], bytes(row[1]), row[2]) if row else None


def stamps(db: apsw.Connection, number: int) -> list[tuple[int, bytes, int]]:
    """(n, message digest, time) of every frame of a window, in order of seq."""
    sql = "SELECT event, digest, time FROM stamps WHERE id BETWEEN ? AND ? ORDER BY id"
    first = number << SEQ_BITS
    return [(n, digest, time) for n, digest, time in rows(db, sql, (first, first | SEQ_MAX))]


def set_next_seq(db: apsw.Connection, number: int, next_seq: int) -> None:
    """Stores how many frames a window has."""
    db.execute("UPDATE windows SET next_seq = ? WHERE no = ?", (next_seq, number))


def of_period(db: apsw.Connection, opens: int) -> list[Window]:
    """The period's windows that have frames, in order of id."""
    sql = f"SELECT {_COLUMNS} FROM windows WHERE opens = ? AND next_seq > 0 ORDER BY id"
    return [Window(*row) for row in db.execute(sql, (opens,))]


def open_periods(db: apsw.Connection, closed_by: int) -> list[int]:
    """The periods with frames that closed by this time (seconds) and have no logged root, in
    order.
    """
    sql = """SELECT DISTINCT opens FROM windows WHERE closes <= ? AND next_seq > 0
      AND opens NOT IN (SELECT opens FROM periods) ORDER BY opens"""
    return [opens for (opens,) in db.execute(sql, (closed_by,))]
