"""Charters, keysets, holders' keys and revocations, as they were logged; also small settings of the
domain.
"""

from __future__ import annotations

import apsw
import msgspec

from counterseal.service.store.query import value


class CharterRow(msgspec.Struct, frozen=True):
    """A logged charter: `active_from` is when it comes into force (seconds)."""

    statement: bytes
    log_index: int
    active_from: int


class KeysetRow(msgspec.Struct, frozen=True):
    """A logged keyset."""

    charter: bytes
    quarter: int
    statement: bytes
    log_index: int


class RevocationRow(msgspec.Struct, frozen=True):
    """A logged revocation: the issuer's kid, and from when on its signatures are void (seconds)."""

    issuer: bytes
    since: int
    statement: bytes
    log_index: int


class LedgerKeyRow(msgspec.Struct, frozen=True):
    """A ledger key that was drawn for a keyset: secret until the readers have it. `part` is the
    keyset's record of it.
    """

    commitment: bytes
    secret: bytes
    charter: bytes
    quarter: int
    part: bytes
    logged: bool


def meta(db: apsw.Connection, key: str) -> int | bytes | str | None:
    """A small setting, or None."""
    stored: int | bytes | str | None = value(db, "SELECT value FROM meta WHERE key = ?", (key,))
    return stored


def set_meta(db: apsw.Connection, key: str, setting: int | bytes | str) -> None:
    """Stores a small setting."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, setting))


def charters(db: apsw.Connection) -> list[CharterRow]:
    """All charters in order."""
    return [
        CharterRow(*row)
        for row in db.execute(
            "SELECT statement, log_index, active_from FROM charters ORDER BY version"
        )
    ]


def add_charter(db: apsw.Connection, version: int, digest: bytes, row: CharterRow) -> None:
    """Stores a charter."""
    sql = "INSERT INTO charters (version, digest, statement, log_index, active_from) VALUES (?, ?, ?, ?, ?)"
    db.execute(sql, (version, digest, row.statement, row.log_index, row.active_from))


def keysets(db: apsw.Connection) -> list[KeysetRow]:
    """All keysets in order of the log."""
    sql = "SELECT charter, quarter, statement, log_index FROM keysets ORDER BY log_index"
    return [KeysetRow(*row) for row in db.execute(sql)]


def add_keyset(db: apsw.Connection, digest: bytes, row: KeysetRow) -> None:
    """Stores a keyset."""
    sql = "INSERT INTO keysets (charter, quarter, digest, statement, log_index) VALUES (?, ?, ?, ?, ?)"
    db.execute(sql, (row.charter, row.quarter, digest, row.statement, row.log_index))


def holder_keys(db: apsw.Connection, charter: bytes, quarter: int) -> dict[int, bytes]:
    """The holder-key statements delivered so far, by position."""
    sql = "SELECT position, statement FROM holder_keys WHERE charter = ? AND quarter = ?"
    return {
        position: bytes(statement) for position, statement in db.execute(sql, (charter, quarter))
    }


def add_holder_key(
    db: apsw.Connection, charter: bytes, quarter: int, position: int, statement: bytes
) -> None:
    """Stores a holder's key for a quarter; a later one takes an earlier one's place."""
    sql = "INSERT OR REPLACE INTO holder_keys (charter, quarter, position, statement) VALUES (?, ?, ?, ?)"
    db.execute(sql, (charter, quarter, position, statement))


def revocations(db: apsw.Connection) -> list[RevocationRow]:
    """All revocations of issuers' keys."""
    sql = "SELECT issuer, since, statement, log_index FROM revocations ORDER BY log_index"
    return [RevocationRow(*row) for row in db.execute(sql)]


def add_revocation(db: apsw.Connection, row: RevocationRow) -> None:
    """Stores a revocation; an earlier time takes a later one's place."""
    sql = """INSERT INTO revocations (issuer, since, statement, log_index) VALUES (?, ?, ?, ?)
      ON CONFLICT (issuer) DO UPDATE SET since = excluded.since, statement = excluded.statement, log_index = excluded.log_index
      WHERE excluded.since < since"""
    db.execute(sql, (row.issuer, row.since, row.statement, row.log_index))


def ledger_keys(db: apsw.Connection) -> list[LedgerKeyRow]:
    """All ledger keys that were drawn, oldest first."""
    sql = (
        "SELECT commitment, secret, charter, quarter, part, logged FROM ledger_keys ORDER BY rowid"
    )
    return [
        LedgerKeyRow(bytes(c), bytes(s), bytes(ch), q, bytes(p), bool(lg))
        for c, s, ch, q, p, lg in db.execute(sql)
    ]


def draft_ledger_key(db: apsw.Connection, charter: bytes, quarter: int) -> LedgerKeyRow | None:
    """The newest ledger key drawn for this keyset, or None."""
    return next(
        (
            row
            for row in reversed(ledger_keys(db))
            if (row.charter, row.quarter) == (charter, quarter)
        ),
        None,
    )


def add_ledger_key(db: apsw.Connection, row: LedgerKeyRow) -> None:
    """Stores a fresh ledger key."""
    sql = "INSERT INTO ledger_keys (commitment, secret, charter, quarter, part, logged) VALUES (?, ?, ?, ?, ?, ?)"
    db.execute(
        sql, (row.commitment, row.secret, row.charter, row.quarter, row.part, int(row.logged))
    )


def mark_ledger_key(db: apsw.Connection, commitment: bytes) -> None:
    """The keyset with this ledger key is logged: the key is in use from its first chunk on."""
    db.execute("UPDATE ledger_keys SET logged = 1 WHERE commitment = ?", (commitment,))
