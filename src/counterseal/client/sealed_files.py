"""Files sealed for a message: what comes out is what went in, or nothing does.

A blob is the file in chunks of 1 MiB, each `ChaCha20-Poly1305(key, nonce = uint96 big-endian chunk
number, aad = [tag("attachment"), chunk number, last bool])`, one after the other; the key is 32
fresh bytes for each file, so no nonce meets a key twice. A chunk that is moved, dropped or cut off
does not open. The digest is SHA-256 over the blob.

| rule | refuses |
| --- | --- |
| M10 | a blob that is longer, shorter or other than the message says, or that does not open |
"""

from __future__ import annotations

import hashlib
import mimetypes
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from counterseal.client.file_names import safe_name
from counterseal.files import open_whole
from counterseal.protocol.cbor import encode, tag
from counterseal.protocol.errors import BadInput, Refused
from counterseal.protocol.frame import Attachment
from counterseal.protocol.os_errors import error_from_os
from counterseal.state_files import make_folder
from counterseal.wire.blobs import BLOB_MAX

CHUNK = 1 << 20
"""Bytes of a file that are sealed at once."""
_TAG = 16
_SEALED_CHUNK = CHUNK + _TAG
FILE_MAX = BLOB_MAX - _TAG * 100
"""Bytes of the largest file whose blob is within the service's 100 MiB."""


def sealed_size(size: int) -> int:
    """Bytes of the blob of a file of `size` bytes; an empty file has one empty chunk."""
    return size + _TAG * max(1, -(-size // CHUNK))


def seal_file(path: Path, folder: Path) -> tuple[Path, Attachment]:
    """The sealed copy of a file in `folder`, and what the message says of it. Raises `BadInput` for
    a file that cannot be read or is too large.
    """
    try:
        source = path.open("rb")
        size = path.stat().st_size
    except OSError as error:
        raise error_from_os(error, path) from None
    with source:
        if size > FILE_MAX:
            raise BadInput(
                f"{path} has {size} bytes; an attachment has at most {FILE_MAX}.", code="too-large"
            )
        make_folder(folder)
        target = folder / secrets.token_hex(8)
        key = secrets.token_bytes(32)
        digest, written = hashlib.sha256(), 0
        with open_whole(target) as out:
            for chunk in _seal(source, key):
                out.write(chunk)
                digest.update(chunk)
                written += len(chunk)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return target, Attachment(digest.digest(), written, key, safe_name(path.name), media_type)


def _seal(source: IO[bytes], key: bytes) -> Iterator[bytes]:
    aead = ChaCha20Poly1305(key)
    number, chunk = 0, source.read(CHUNK)
    while True:
        # the last chunk says so, which is known only when nothing follows
        following = source.read(CHUNK)
        yield aead.encrypt(number.to_bytes(12, "big"), chunk, _aad(number, not following))
        if not following:
            return
        number, chunk = number + 1, following


def open_file(sealed: Path, attachment: Attachment, target: Path) -> None:
    """Opens the blob in `sealed` into a new file with mode 0600, whole or not at all. Raises
    `Refused` M10.
    """
    with sealed.open("rb") as source:
        if hashlib.file_digest(source, "sha256").digest() != attachment.digest:
            raise Refused(
                "M10",
                "The attachment that the service gave out is not the one that was sent;"
                " it was thrown away.",
            )
        source.seek(0)
        with open_whole(target) as out:
            for chunk in open_chunks(source, attachment.key, attachment.size):
                out.write(chunk)


def open_chunks(source: IO[bytes], key: bytes, size: int) -> Iterator[bytes]:
    """The file's chunks out of a blob of `size` bytes. Raises `Refused` M10."""
    aead = ChaCha20Poly1305(key)
    left, number = size, 0
    while left > 0:
        chunk = source.read(min(_SEALED_CHUNK, left))
        left -= len(chunk)
        try:
            yield aead.decrypt(number.to_bytes(12, "big"), chunk, _aad(number, left == 0))
        except (InvalidTag, ValueError):
            raise Refused(
                "M10",
                "The attachment does not open with the key in its message; it was thrown away.",
            ) from None
        number += 1


def _aad(number: int, last: bool) -> bytes:
    return encode([tag("attachment"), number, last])
