"""What was announced about blobs; the bytes themselves are files."""

from __future__ import annotations

import apsw
import msgspec

from counterseal.protocol.errors import NotFound


class Announced(msgspec.Struct, frozen=True):
    """An announced blob: its size in bytes, and the device that uploads it."""

    size: int
    uploader: bytes


def announce(db: apsw.Connection, digest: bytes, size: int, uploader: bytes, now: int) -> int:
    """Remembers an upload; gives the size that was announced first. Whoever announces last goes on
    with it.
    """
    sql = """INSERT INTO blobs (digest, size, uploader, begun) VALUES (?, ?, ?, ?)
      ON CONFLICT (digest) DO UPDATE SET uploader = excluded.uploader"""
    db.execute(sql, (digest, size, uploader, now))
    return get(db, digest).size


def get(db: apsw.Connection, digest: bytes) -> Announced:
    """What was announced. Raises `NotFound` "blob"."""
    row = db.execute("SELECT size, uploader FROM blobs WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise NotFound("Announce the blob first, with POST /v1/blobs.", code="blob")
    return Announced(*row)
