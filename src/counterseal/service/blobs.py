"""Encrypted attachments, by the SHA-256 of their bytes, as files in `DIR/blobs`. The service holds
no key to any of them.

An upload may be cut off at any byte and goes on from the length of `DIGEST.part`, which is all the
state there is. A finished part is hashed, flushed, renamed into place and its directory flushed, in
this order, before anybody is told that it is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from counterseal import failpoint
from counterseal.protocol.errors import BadInput, Conflict, NotFound, TooLarge
from counterseal.state_files import sync_folder

_READ = 1 << 20


class BlobFiles:
    """The blobs of one data directory. Calls block on the disk: they belong in worker threads."""

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: bytes) -> Path:
        """The file of a whole blob. Raises `NotFound` "blob"."""
        path = self._place(digest)
        if not path.exists():
            raise NotFound("There is no such blob, or its upload is not finished.", code="blob")
        return path

    def begin(self, digest: bytes, size: int) -> int:
        """Where to go on with an upload of `size` bytes in all: the number of bytes held. Raises
        `TooLarge`, "blob-size".
        """
        if not 0 < size <= self._limit:
            raise TooLarge(f"A blob has 1 to {self._limit} bytes.", code="blob-size")
        if self._place(digest).exists():
            return size
        part = self._part(digest)
        part.parent.mkdir(mode=0o700, exist_ok=True)
        with open(part, "ab") as file:
            return file.tell()

    def append(self, digest: bytes, offset: int, data: bytes, size: int) -> int:
        """Adds bytes at `offset`, which must be how many are held; returns the new offset,
        durable.

        Raises `Conflict` "blob-offset"; when the last byte arrives and the digest does not fit, the
        part is dropped: `BadInput` "blob-digest".
        """
        if self._place(digest).exists():
            return size
        part = self._part(digest)
        if not part.exists():
            raise NotFound("Begin the upload with POST /v1/blobs.", code="blob")
        with open(part, "r+b") as file:
            held = file.seek(0, os.SEEK_END)
            if held != offset:
                raise Conflict(
                    f"The upload is at byte {held}; go on from there.", code="blob-offset"
                )
            if held + len(data) > size:
                raise TooLarge(f"The upload was announced with {size} bytes.", code="blob-size")
            failpoint.reach("blob.append", "before")
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            failpoint.reach("blob.append", "after")
        if held + len(data) == size:
            self._finish(digest, part)
        return held + len(data)

    def drop(self, digest: bytes) -> None:
        """Deletes a blob and any part of it; there may be neither."""
        self._place(digest).unlink(missing_ok=True)
        self._part(digest).unlink(missing_ok=True)

    def _finish(self, digest: bytes, part: Path) -> None:
        whole = hashlib.sha256()
        with open(part, "rb") as file:
            while block := file.read(_READ):
                whole.update(block)
        if whole.digest() != digest:
            part.unlink()
            raise BadInput(
                "The bytes do not have the digest that was announced; the upload begins anew.",
                code="blob-digest",
            )
        failpoint.reach("blob.finish", "before")
        part.rename(self._place(digest))
        sync_folder(part.parent)
        failpoint.reach("blob.finish", "after")

    def _place(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._directory / name[:2] / name[2:]

    def _part(self, digest: bytes) -> Path:
        return self._place(digest).with_suffix(".part")


class UploadLocks:
    """One upload at a time touches a blob's file."""

    def __init__(self) -> None:
        self._locks: dict[bytes, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def of(self, digest: bytes) -> AsyncIterator[None]:
        """Holds the blob's lock."""
        lock = self._locks.setdefault(digest, asyncio.Lock())
        async with lock:
            yield
        if not lock.locked():
            self._locks.pop(digest, None)
