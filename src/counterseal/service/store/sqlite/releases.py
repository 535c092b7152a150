"""Listings, the periods they cover, the shares handed over, and notices."""

from __future__ import annotations

import apsw

from counterseal.service.store.rows import StoredListing, StoredNotice, StoredShares


class SqliteReleases:
    """See `WriteReleases`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def listings(self, warrant: bytes) -> list[StoredListing]:
        sql = """SELECT warrant, number, digest, record, windows FROM listings
          WHERE warrant = ? ORDER BY number"""
        return [StoredListing(*row) for row in self._db.execute(sql, (warrant,))]

    def listed_periods(self, warrant: bytes) -> set[int]:
        sql = "SELECT opens FROM listed_periods WHERE warrant = ?"
        return {opens for (opens,) in self._db.execute(sql, (warrant,))}

    def shares(self, warrant: bytes) -> list[StoredShares]:
        sql = "SELECT listing, position, sealed FROM shares WHERE warrant = ? ORDER BY no"
        return [StoredShares(*row) for row in self._db.execute(sql, (warrant,))]

    def find_notice(self, digest: bytes) -> int | None:
        row = self._db.execute("SELECT idx FROM notices WHERE digest = ?", (digest,)).fetchone()
        return row[0] if row else None

    def notices(self, after: int, limit: int) -> list[StoredNotice]:
        sql = "SELECT idx, sealed FROM notices WHERE idx > ? ORDER BY idx LIMIT ?"
        return [StoredNotice(*row) for row in self._db.execute(sql, (after, limit))]

    def add_listing(self, row: StoredListing) -> None:
        sql = """INSERT INTO listings (warrant, number, digest, record, windows)
          VALUES (?, ?, ?, ?, ?)"""
        self._db.execute(sql, (row.warrant, row.number, row.digest, row.record, row.windows))

    def mark_period(self, warrant: bytes, opens: int) -> None:
        sql = "INSERT OR IGNORE INTO listed_periods (warrant, opens) VALUES (?, ?)"
        self._db.execute(sql, (warrant, opens))

    def add_shares(self, warrant: bytes, row: StoredShares) -> None:
        sql = """INSERT OR REPLACE INTO shares (warrant, listing, position, sealed)
          VALUES (?, ?, ?, ?)"""
        self._db.execute(sql, (warrant, row.listing, row.position, row.sealed))

    def add_notice(self, digest: bytes, sealed: bytes, position: int, now: int) -> int:
        sql = "INSERT INTO notices (digest, sealed, position, time) VALUES (?, ?, ?, ?)"
        self._db.execute(sql, (digest, sealed, position, now))
        return self._db.last_insert_rowid()
