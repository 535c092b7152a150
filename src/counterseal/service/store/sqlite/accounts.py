"""Accounts, their chains, their devices, and the directory's roots."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from counterseal.service.store.rows import (
    StoredAccount,
    StoredDevice,
    StoredDirectoryRoot,
    StoredStatement,
)


class SqliteAccounts:
    """See `WriteAccounts`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def find(self, account: bytes) -> StoredAccount | None:
        sql = "SELECT id, handle, display, statements FROM accounts WHERE id = ?"
        row = self._db.execute(sql, (account,)).fetchone()
        return StoredAccount(*row) if row else None

    def by_handle(self, handle: str) -> bytes | None:
        row = self._db.execute("SELECT id FROM accounts WHERE handle = ?", (handle,)).fetchone()
        return row[0] if row else None

    def heads(self) -> Iterable[tuple[str, bytes, bytes]]:
        yield from self._db.execute("SELECT handle, id, head FROM accounts")

    def chain(self, account: bytes) -> list[StoredStatement]:
        sql = """SELECT kind, statement, possession, log_index FROM chain
          WHERE account = ? ORDER BY number"""
        return [StoredStatement(*row) for row in self._db.execute(sql, (account,))]

    def device(self, device: bytes) -> StoredDevice | None:
        sql = "SELECT account, revoked FROM devices WHERE device = ?"
        row = self._db.execute(sql, (device,)).fetchone()
        return StoredDevice(row[0], bool(row[1])) if row else None

    def last_root(self) -> StoredDirectoryRoot | None:
        sql = """SELECT log_index, root, record FROM directory_roots
          ORDER BY log_index DESC LIMIT 1"""
        row = self._db.execute(sql).fetchone()
        return StoredDirectoryRoot(*row) if row else None

    def create(self, account: bytes, handle: str) -> None:
        sql = """INSERT INTO accounts (id, handle, display, statements, head)
          VALUES (?, ?, '', -1, ?)"""
        self._db.execute(sql, (account, handle, account))

    def extend(self, account: bytes, number: int, head: bytes, row: StoredStatement) -> None:
        sql = """INSERT INTO chain (account, number, kind, statement, possession, log_index)
          VALUES (?, ?, ?, ?, ?, ?)"""
        values = (account, number, row.kind, row.statement, row.possession, row.log_index)
        self._db.execute(sql, values)
        sql = "UPDATE accounts SET statements = ?, head = ? WHERE id = ?"
        self._db.execute(sql, (number, head, account))

    def set_display(self, account: bytes, display: str) -> None:
        self._db.execute("UPDATE accounts SET display = ? WHERE id = ?", (display, account))

    def add_device(self, account: bytes, device: bytes) -> None:
        sql = "INSERT INTO devices (device, account, revoked) VALUES (?, ?, 0)"
        self._db.execute(sql, (device, account))

    def revoke_device(self, device: bytes) -> None:
        self._db.execute("UPDATE devices SET revoked = 1 WHERE device = ?", (device,))
        sql = "DELETE FROM key_packages WHERE device = ? AND claimed = 0"
        self._db.execute(sql, (device,))

    def add_root(self, row: StoredDirectoryRoot) -> None:
        sql = "INSERT INTO directory_roots (log_index, root, record) VALUES (?, ?, ?)"
        self._db.execute(sql, (row.log_index, row.root, row.record))
