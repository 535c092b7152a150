"""Verified charters and keysets, and the period roots proved to be in the log.

Only what was verified and proved is put in, so what is read from here is not checked again.
"""

from __future__ import annotations

from typing import Any

from counterseal.client.store.database import Database, TableRow
from counterseal.protocol import cbor

TABLES = (
    """CREATE TABLE IF NOT EXISTS client_charter (
        digest BLOB PRIMARY KEY, version INTEGER UNIQUE, statement BLOB, log_index INTEGER,
        logged_at INTEGER)""",
    """CREATE TABLE IF NOT EXISTS client_keyset (
        digest BLOB PRIMARY KEY, charter BLOB, quarter INTEGER, statement BLOB, log_index INTEGER,
        UNIQUE (charter, quarter))""",
    "CREATE TABLE IF NOT EXISTS client_period (digest BLOB PRIMARY KEY, log_index INTEGER)",
)
_KEYSET_MAX = 1 << 24


class KnownCharter(TableRow, frozen=True):
    """A verified charter. `logged_at` is the time (Unix seconds) of the checkpoint that proved
    it.
    """

    digest: bytes
    version: int
    statement: bytes
    log_index: int
    logged_at: int


class KnownKeyset(TableRow, frozen=True):
    """A verified keyset. `packed` is CBOR `[statement, [X-Wing key or null a position]]`."""

    digest: bytes
    charter: bytes
    quarter: int
    packed: bytes
    log_index: int

    def unpack(self) -> tuple[bytes, tuple[bytes | None, ...]]:
        """The statement, and each position's key as it was found to count."""
        unpacked: Any = cbor.decode(self.packed, _KEYSET_MAX)
        statement, keys = unpacked
        return statement, keys


_CHARTER = "SELECT digest, version, statement, log_index, logged_at FROM client_charter"
_KEYSET = "SELECT digest, charter, quarter, statement, log_index FROM client_keyset"


class RulesTable:
    """`client_charter`, `client_keyset` and `client_period`. Digests are 32 bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def charters_after(self, version: int) -> list[KnownCharter]:
        """Charters with a higher number than `version`, in order."""
        return self._database.rows(
            KnownCharter, f"{_CHARTER} WHERE version > ? ORDER BY version", version
        )

    def add_charter(self, row: KnownCharter) -> None:
        """Keeps a verified charter."""
        self._database.execute(
            "INSERT OR IGNORE INTO client_charter"
            " (digest, version, statement, log_index, logged_at) VALUES (?, ?, ?, ?, ?)",
            row.digest,
            row.version,
            row.statement,
            row.log_index,
            row.logged_at,
        )

    def keysets_after(self, log_index: int) -> list[KnownKeyset]:
        """Keysets that were logged after `log_index`, in the log's order."""
        return self._database.rows(
            KnownKeyset, f"{_KEYSET} WHERE log_index > ? ORDER BY log_index", log_index
        )

    def add_keyset(self, row: KnownKeyset) -> None:
        """Keeps a verified keyset."""
        self._database.execute(
            "INSERT INTO client_keyset (digest, charter, quarter, statement, log_index)"
            " VALUES (?, ?, ?, ?, ?)",
            row.digest,
            row.charter,
            row.quarter,
            row.packed,
            row.log_index,
        )

    def has_period(self, digest: bytes) -> bool:
        """Whether a period root was proved to be in the log."""
        return self._database.exists("SELECT 1 FROM client_period WHERE digest = ?", digest)

    def add_period(self, digest: bytes, log_index: int) -> None:
        """Notes that a period root was proved."""
        self._database.execute(
            "INSERT OR IGNORE INTO client_period (digest, log_index) VALUES (?, ?)",
            digest,
            log_index,
        )
