"""Charters, keysets, holders' keys and revocations as they were logged; ledger keys."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from counterseal.service.store.interface import Duplicate
from counterseal.service.store.rows import (
    StoredCharter,
    StoredKeyset,
    StoredLedgerKey,
    StoredRevocation,
)


class SqliteTrust:
    """See `WriteTrust`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def charters(self) -> list[StoredCharter]:
        sql = """SELECT version, digest, statement, log_index, active_from FROM charters
          ORDER BY version"""
        return [StoredCharter(*row) for row in self._db.execute(sql)]

    def keysets(self) -> list[StoredKeyset]:
        sql = """SELECT charter, quarter, digest, statement, log_index FROM keysets
          ORDER BY log_index"""
        return [StoredKeyset(*row) for row in self._db.execute(sql)]

    def revocations(self) -> list[StoredRevocation]:
        sql = "SELECT issuer, since, statement, log_index FROM revocations ORDER BY log_index"
        return [StoredRevocation(*row) for row in self._db.execute(sql)]

    def holder_keys(self, charter: bytes, quarter: int) -> dict[int, bytes]:
        sql = "SELECT position, statement FROM holder_keys WHERE charter = ? AND quarter = ?"
        return dict(self._db.execute(sql, (charter, quarter)))

    def ledger_keys(self) -> list[StoredLedgerKey]:
        sql = """SELECT commitment, secret, charter, quarter, part, logged FROM ledger_keys
          ORDER BY rowid"""
        return [
            StoredLedgerKey(commitment, secret, charter, quarter, part, bool(logged))
            for commitment, secret, charter, quarter, part, logged in self._db.execute(sql)
        ]

    def add_charter(self, row: StoredCharter) -> None:
        sql = """INSERT INTO charters (version, digest, statement, log_index, active_from)
          VALUES (?, ?, ?, ?, ?)"""
        values = (row.version, row.digest, row.statement, row.log_index, row.active_from)
        self._insert(sql, values)

    def add_keyset(self, row: StoredKeyset) -> None:
        sql = """INSERT INTO keysets (charter, quarter, digest, statement, log_index)
          VALUES (?, ?, ?, ?, ?)"""
        values = (row.charter, row.quarter, row.digest, row.statement, row.log_index)
        self._insert(sql, values)

    def add_holder_key(self, charter: bytes, quarter: int, position: int, statement: bytes) -> None:
        sql = """INSERT OR REPLACE INTO holder_keys (charter, quarter, position, statement)
          VALUES (?, ?, ?, ?)"""
        self._db.execute(sql, (charter, quarter, position, statement))

    def add_revocation(self, row: StoredRevocation) -> None:
        sql = """INSERT INTO revocations (issuer, since, statement, log_index) VALUES (?, ?, ?, ?)
          ON CONFLICT (issuer) DO UPDATE SET since = excluded.since,
            statement = excluded.statement, log_index = excluded.log_index
          WHERE excluded.since < since"""
        self._db.execute(sql, (row.issuer, row.since, row.statement, row.log_index))

    def add_ledger_key(self, row: StoredLedgerKey) -> None:
        sql = """INSERT INTO ledger_keys (commitment, secret, charter, quarter, part, logged)
          VALUES (?, ?, ?, ?, ?, ?)"""
        values = (row.commitment, row.secret, row.charter, row.quarter, row.part, int(row.logged))
        self._db.execute(sql, values)

    def drop_ledger_keys(self, commitments: Iterable[bytes]) -> None:
        sql = "DELETE FROM ledger_keys WHERE commitment = ? AND logged = 0"
        self._db.executemany(sql, [(one,) for one in commitments])

    def mark_ledger_key(self, commitment: bytes) -> None:
        sql = "UPDATE ledger_keys SET logged = 1 WHERE commitment = ?"
        self._db.execute(sql, (commitment,))

    def _insert(self, sql: str, values: tuple[int | bytes, ...]) -> None:
        try:
            self._db.execute(sql, values)
        except apsw.ConstraintError as error:
            raise Duplicate(str(error)) from error
