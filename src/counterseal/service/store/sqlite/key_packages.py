"""Key packages."""

from __future__ import annotations

import apsw

from counterseal.service.store.rows import StoredKeyPackage


class SqliteKeyPackages:
    """See `WriteKeyPackages`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def held(self, device: bytes) -> tuple[int, bool]:
        sql = """SELECT last_resort, count(*) FROM key_packages
          WHERE device = ? AND claimed = 0 GROUP BY last_resort"""
        counts = dict(self._db.execute(sql, (device,)))
        return int(counts.get(0, 0)), bool(counts.get(1, 0))

    def owner(self, ref: bytes) -> bytes | None:
        row = self._db.execute("SELECT device FROM key_packages WHERE ref = ?", (ref,)).fetchone()
        return row[0] if row else None

    def following(self, device: bytes) -> StoredKeyPackage | None:
        sql = """SELECT ref, package, last_resort FROM key_packages
          WHERE device = ? AND claimed = 0 ORDER BY last_resort, no LIMIT 1"""
        row = self._db.execute(sql, (device,)).fetchone()
        return StoredKeyPackage(row[0], row[1], bool(row[2])) if row else None

    def add(self, device: bytes, row: StoredKeyPackage) -> None:
        if row.last_resort:
            sql = "UPDATE key_packages SET claimed = 1 WHERE device = ? AND last_resort = 1"
            self._db.execute(sql, (device,))
        sql = """INSERT INTO key_packages (device, ref, package, last_resort, claimed)
          VALUES (?, ?, ?, ?, 0)
          ON CONFLICT (ref) DO UPDATE SET claimed = 0 WHERE last_resort = 1"""
        self._db.execute(sql, (device, row.ref, row.package, int(row.last_resort)))

    def claim(self, ref: bytes) -> None:
        self._db.execute("UPDATE key_packages SET claimed = 1 WHERE ref = ?", (ref,))
