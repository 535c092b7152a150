"""What was announced about blobs."""

from __future__ import annotations

import apsw

from counterseal.service.store.rows import StoredBlob


class SqliteBlobs:
    """See `WriteBlobs`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def find(self, digest: bytes) -> StoredBlob | None:
        sql = "SELECT size, uploader FROM blobs WHERE digest = ?"
        row = self._db.execute(sql, (digest,)).fetchone()
        return StoredBlob(*row) if row else None

    def announce(self, digest: bytes, size: int, uploader: bytes, now: int) -> None:
        sql = """INSERT INTO blobs (digest, size, uploader, begun) VALUES (?, ?, ?, ?)
          ON CONFLICT (digest) DO UPDATE SET uploader = excluded.uploader"""
        self._db.execute(sql, (digest, size, uploader, now))
