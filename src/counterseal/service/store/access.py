"""Listings, the periods they cover, the shares handed over, and notices."""

from __future__ import annotations

import apsw
import msgspec


class ListingRow(msgspec.Struct, frozen=True):
    """A listing that was laid down: its record's bytes as they went to the ledger, and its number
    of windows.
    """

    warrant: bytes
    number: int
    digest: bytes
    record: bytes
    windows: int


class SharesRow(msgspec.Struct, frozen=True):
    """One holder's sealed shares of one listing."""

    listing: bytes
    position: int
    sealed: bytes


_LISTING = "warrant, number, digest, record, windows"


def add_listing(db: apsw.Connection, row: ListingRow) -> None:
    """Stores a listing."""
    sql = f"INSERT INTO listings ({_LISTING}) VALUES (?, ?, ?, ?, ?)"
    db.execute(sql, (row.warrant, row.number, row.digest, row.record, row.windows))


def listings(db: apsw.Connection, warrant: bytes) -> list[ListingRow]:
    """A warrant's listings in order."""
    sql = f"SELECT {_LISTING} FROM listings WHERE warrant = ? ORDER BY number"
    return [ListingRow(*row) for row in db.execute(sql, (warrant,))]


def mark_period(db: apsw.Connection, warrant: bytes, opens: int) -> None:
    """A period's windows in the warrant's scope are all listed."""
    db.execute(
        "INSERT OR IGNORE INTO listed_periods (warrant, opens) VALUES (?, ?)", (warrant, opens)
    )


def listed_periods(db: apsw.Connection, warrant: bytes) -> set[int]:
    """The periods that need no further look for this warrant."""
    return {
        opens
        for (opens,) in db.execute("SELECT opens FROM listed_periods WHERE warrant = ?", (warrant,))
    }


def add_shares(db: apsw.Connection, warrant: bytes, row: SharesRow) -> None:
    """Stores sealed shares; a holder may hand them over again, since sealing draws anew."""
    sql = "INSERT OR REPLACE INTO shares (warrant, listing, position, sealed) VALUES (?, ?, ?, ?)"
    db.execute(sql, (warrant, row.listing, row.position, row.sealed))


def shares(db: apsw.Connection, warrant: bytes) -> list[SharesRow]:
    """All shares handed over under a warrant."""
    sql = "SELECT listing, position, sealed FROM shares WHERE warrant = ? ORDER BY no"
    return [SharesRow(*row) for row in db.execute(sql, (warrant,))]


def add_notice(db: apsw.Connection, digest: bytes, sealed: bytes, position: int, now: int) -> int:
    """Publishes a sealed notice; gives its index from 1. The same again: the same index."""
    row = db.execute("SELECT idx FROM notices WHERE digest = ?", (digest,)).fetchone()
    if row:
        return int(row[0])
    sql = "INSERT INTO notices (digest, sealed, position, time) VALUES (?, ?, ?, ?)"
    db.execute(sql, (digest, sealed, position, now))
    return db.last_insert_rowid()


def notices(db: apsw.Connection, after: int, limit: int) -> list[tuple[int, bytes]]:
    """(index, sealed notice) after an index."""
    sql = "SELECT idx, sealed FROM notices WHERE idx > ? ORDER BY idx LIMIT ?"
    return [(idx, bytes(sealed)) for idx, sealed in db.execute(sql, (after, limit))]
