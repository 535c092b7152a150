"""Notices for this account that a witness signed."""

from __future__ import annotations

from counterseal.client.store.database import Database, TableRow

TABLES = (
    """CREATE TABLE IF NOT EXISTS client_notice (
        warrant BLOB, witness TEXT, statement BLOB, received INTEGER,
        PRIMARY KEY (warrant, witness))""",
)


class NoticeRow(TableRow, frozen=True):
    """What one witness signed of one warrant. `received` is Unix seconds."""

    warrant: bytes
    witness: str
    statement: bytes
    received: int


_NOTICE = "SELECT warrant, witness, statement, received FROM client_notice"


class NoticesTable:
    """`client_notice`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: NoticeRow) -> bool:
        """Keeps a verified notice; returns whether it is new."""
        known = self._database.exists(
            "SELECT 1 FROM client_notice WHERE warrant = ? AND witness = ?",
            row.warrant,
            row.witness,
        )
        self._database.execute(
            "INSERT OR IGNORE INTO client_notice (warrant, witness, statement, received)"
            " VALUES (?, ?, ?, ?)",
            row.warrant,
            row.witness,
            row.statement,
            row.received,
        )
        return not known

    def all(self) -> list[NoticeRow]:
        """Every notice, in the order in which they came."""
        return self._database.rows(NoticeRow, f"{_NOTICE} ORDER BY received, rowid")

    def of_warrant(self, warrant: bytes) -> list[NoticeRow]:
        """The notices about one warrant, by the witnesses' names."""
        return self._database.rows(
            NoticeRow, f"{_NOTICE} WHERE warrant = ? ORDER BY witness", warrant
        )
