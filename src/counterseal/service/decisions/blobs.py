"""Blobs: announced by digest and size, uploaded by the device that announced them last."""

from __future__ import annotations

from counterseal.protocol.errors import Conflict, NotAuthorised, NotFound
from counterseal.service.store.interface import ReadBlobs, Transaction


def announce(tables: Transaction, digest: bytes, size: int, device: bytes, now: int) -> int:
    """Remembers an upload; returns the size that was announced first."""
    tables.blobs.announce(digest, size, device, now)
    known = tables.blobs.find(digest)
    assert known is not None
    return known.size


def check_size(announced: int, size: int) -> None:
    """Returns if the sizes agree. Raises `Conflict` "blob-size"."""
    if announced != size:
        raise Conflict(f"This digest was announced with {announced} bytes.", code="blob-size")


def get_size(blobs: ReadBlobs, digest: bytes, device: bytes) -> int:
    """The size of a blob that the device uploads. Raises `NotFound` "blob", `NotAuthorised`."""
    known = blobs.find(digest)
    if known is None:
        raise NotFound("Announce the blob first, with POST /v1/blobs.", code="blob")
    if known.uploader != device:
        raise NotAuthorised(
            "Another device is uploading this blob; announce it anew once that is over.",
            code="other-device",
        )
    return known.size
