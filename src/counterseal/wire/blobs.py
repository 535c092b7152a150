"""Blobs: encrypted attachments, announced by digest and size and uploaded in parts."""

from __future__ import annotations

from counterseal.protocol.record import Bytes32, Part, Uint

from .body import KIB, MIB
from .endpoint import OCTETS, Authentication, Endpoint, ErrorCode, Header, Query, Raw

BLOB_MAX = 100 * MIB
"""Bytes of a blob, unless the service's settings say otherwise."""
BLOB_PART_MAX = 4 * MIB
"""Bytes of one PATCH."""
BLOB_BYTES = Raw(OCTETS, "the bytes as they are")


class PostBlob(Part, frozen=True):
    """A blob to be uploaded: SHA-256 and size."""

    digest: Bytes32
    size: Uint


class BlobOffset(Part, frozen=True):
    """Where the upload goes on: the number of bytes that the service holds durably."""

    offset: Uint


_NO_BLOB = ErrorCode(404, "blob", "there is no such blob")

BLOB_POST: Endpoint[PostBlob, BlobOffset] = Endpoint(
    method="POST",
    path="/v1/blobs",
    authentication=Authentication.DEVICE,
    summary="Announces a blob of at most 100 MiB, or asks where its upload goes on.",
    request=PostBlob,
    answer=BlobOffset,
    errors=(
        ErrorCode(409, "blob-size", "the digest was announced with another size"),
        ErrorCode(413, "blob-size", "the blob is over the limit"),
    ),
    repeatable=True,
)
BLOB_PATCH: Endpoint[bytes, BlobOffset] = Endpoint(
    method="PATCH",
    path="/v1/blobs/{digest}",
    authentication=Authentication.DEVICE,
    summary="Uploads the next part, at most 4 MiB.",
    request=BLOB_BYTES,
    answer=BlobOffset,
    query=(Query("offset", "the part's first byte", required=True),),
    errors=(
        ErrorCode(400, "blob-digest", "the whole has another digest; the upload begins anew"),
        ErrorCode(403, "other-device", "another device is uploading this blob"),
        _NO_BLOB,
        ErrorCode(409, "blob-offset", "the upload is at another byte"),
        ErrorCode(413, "blob-size", "the part goes past the size that was announced"),
    ),
    request_max=BLOB_PART_MAX,
)
BLOB: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/v1/blobs/{digest}",
    authentication=Authentication.DEVICE,
    summary="A blob's bytes; `Range` is honoured.",
    answer=BLOB_BYTES,
    headers=(Header("Content-Range", "with a part of the blob, status 206"),),
    errors=(_NO_BLOB,),
    answer_max=BLOB_MAX + KIB,
)
