"""Windows with their counterseals, and the stamps of their frames."""

from __future__ import annotations

import apsw

from counterseal.service.store.interface import SEQ_MAX
from counterseal.service.store.rows import StoredSeal, StoredStamp, StoredWindow
from counterseal.service.store.sqlite.schema import SEQ_BITS

_COLUMNS = """no, id, conversation, account, device, charter, keyset, roster_epoch, roster_digest,
  opens, closes, serial, seal_digest, next_seq"""
_FIND = f"SELECT {_COLUMNS} FROM windows WHERE id = ?"
_FIND_OPEN = f"""SELECT {_COLUMNS},
    EXISTS (SELECT 1 FROM periods p WHERE p.opens = windows.opens)
  FROM windows WHERE id = ?"""
_OF_PERIOD = f"SELECT {_COLUMNS} FROM windows WHERE opens = ? AND next_seq > 0 ORDER BY id"
_UNLOGGED = """SELECT DISTINCT opens FROM windows WHERE closes <= ? AND next_seq > 0
  AND opens NOT IN (SELECT opens FROM periods) ORDER BY opens"""
_ADD = """INSERT INTO windows (id, conversation, account, device, charter, keyset, roster_epoch,
    roster_digest, opens, closes, serial, seal_digest, next_seq)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"""


class SqliteWindows:
    """See `WriteWindows`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def find(self, window_id: bytes) -> StoredWindow | None:
        row = self._db.execute(_FIND, (window_id,)).fetchone()
        return StoredWindow(*row) if row else None

    def find_open(self, window_id: bytes) -> tuple[StoredWindow, bool] | None:
        row = self._db.execute(_FIND_OPEN, (window_id,)).fetchone()
        return (StoredWindow(*row[:-1]), bool(row[-1])) if row else None

    def seal(self, no: int) -> StoredSeal:
        sql = "SELECT label, roster, counterseal FROM seals WHERE window = ?"
        [row] = self._db.execute(sql, (no,))
        return StoredSeal(*row)

    def last_serial(self, conversation: int, device: bytes) -> int | None:
        sql = "SELECT max(serial) FROM windows WHERE conversation = ? AND device = ?"
        [[serial]] = self._db.execute(sql, (conversation, device))
        return None if serial is None else int(serial)

    def count_same_place(
        self, conversation: int, device: bytes, opens: int, roster_digest: bytes, keyset: bytes
    ) -> int:
        sql = """SELECT count(*) FROM windows WHERE conversation = ? AND device = ?
          AND opens = ? AND roster_digest = ? AND keyset = ?"""
        place = (conversation, device, opens, roster_digest, keyset)
        [[count]] = self._db.execute(sql, place)
        return int(count)

    def find_stamp(self, no: int, seq: int) -> StoredStamp | None:
        # a larger one would be a frame of another window
        if not 0 <= seq <= SEQ_MAX:
            return None
        sql = "SELECT event, digest, time FROM stamps WHERE id = ?"
        row = self._db.execute(sql, (no << SEQ_BITS | seq,)).fetchone()
        return StoredStamp(*row) if row else None

    def stamps(self, no: int) -> list[StoredStamp]:
        sql = "SELECT event, digest, time FROM stamps WHERE id BETWEEN ? AND ? ORDER BY id"
        first = no << SEQ_BITS
        return [StoredStamp(*row) for row in self._db.execute(sql, (first, first | SEQ_MAX))]

    def of_period(self, opens: int) -> list[StoredWindow]:
        return [StoredWindow(*row) for row in self._db.execute(_OF_PERIOD, (opens,))]

    def unlogged_periods(self, closed_by: int) -> list[int]:
        return [opens for (opens,) in self._db.execute(_UNLOGGED, (closed_by,))]

    def add(self, window: StoredWindow, records: StoredSeal) -> None:
        values = (
            window.id,
            window.conversation,
            window.account,
            window.device,
            window.charter,
            window.keyset,
            window.roster_epoch,
            window.roster_digest,
            window.opens,
            window.closes,
            window.serial,
            window.seal_digest,
        )
        self._db.execute(_ADD, values)
        no = self._db.last_insert_rowid()
        sql = "INSERT INTO seals (window, label, roster, counterseal) VALUES (?, ?, ?, ?)"
        self._db.execute(sql, (no, records.label, records.roster, records.counterseal))

    def add_stamp(self, no: int, seq: int, row: StoredStamp) -> None:
        sql = "INSERT INTO stamps (id, event, digest, time) VALUES (?, ?, ?, ?)"
        self._db.execute(sql, (no << SEQ_BITS | seq, row.n, row.digest, row.time))

    def set_next_seq(self, no: int, next_seq: int) -> None:
        self._db.execute("UPDATE windows SET next_seq = ? WHERE no = ?", (next_seq, no))
