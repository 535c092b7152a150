"""Attachments: sealed files that lie with the service as blobs; the key, the digest and the name
stand in the message.

A blob is the file in chunks of 1 MiB, each `ChaCha20-Poly1305(key, nonce = uint96 big-endian chunk
number, aad = [tag("attachment"), chunk number, last bool])`, one after the other; the key is 32
fresh bytes for each attachment, so no nonce meets a key twice. A chunk that is moved, dropped or
cut off does not open. The digest is SHA-256 over the blob.

Nothing that arrives is opened, run or believed: the name loses everything that could lead out of
the folder or hide its ending, the file is written with mode 0600, and an existing file is never
overwritten.

| rule | refuses |
| --- | --- |
| M10 | a blob that is longer, shorter or other than the message says, or that does not open |
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from counterseal.client import sending
from counterseal.client.session import Session
from counterseal.protocol.cbor import encode, tag
from counterseal.protocol.errors import BadInput, Conflict, Refused
from counterseal.protocol.frame import Attachment
from counterseal.wire.blobs import BLOB_MAX, BLOB_PATCH, BLOB_POST, PostBlob

Progress = Callable[[str], None]
"""Is told how far it is, in words."""
CHUNK = 1 << 20
"""Bytes of a file that are sealed and uploaded at once."""
_TAG = 16
_SEALED_CHUNK = CHUNK + _TAG
_UPLOAD_TRIES = 5


def sealed_size(size: int) -> int:
    """Bytes of the blob of a file of `size` bytes; an empty file has one empty chunk."""
    return size + _TAG * max(1, -(-size // CHUNK))


FILE_MAX = BLOB_MAX - _TAG * 100
"""Bytes of the largest file whose blob is within the service's 100 MiB."""


async def attach(
    session: Session,
    conversation: bytes,
    path: Path,
    text: str = "",
    progress: Progress | None = None,
) -> int:
    """Seals and uploads a file, then sends the message that has its key; returns the message's
    number. Raises `BadInput`, what the service and sending raise.
    """
    sealed, attachment = seal_file(path, session.home.path / "outgoing")
    try:
        await _upload(session, sealed, attachment, progress)
        with session.transaction() as store:
            message = sending.queue(store, conversation, session.me, text, None, (attachment,))
    finally:
        sealed.unlink(missing_ok=True)
    await sending.flush(session, conversation)
    return message


def seal_file(path: Path, folder: Path) -> tuple[Path, Attachment]:
    """The sealed copy of a file in `folder`, and what the message says of it. Raises `BadInput`."""
    try:
        size = path.stat().st_size
        source = path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", code="file") from None
    with source:
        if size > FILE_MAX:
            raise BadInput(
                f"{path} has {size} bytes; an attachment has at most {FILE_MAX}.", code="too-large"
            )
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / secrets.token_hex(8)
        key = secrets.token_bytes(32)
        digest, written = hashlib.sha256(), 0
        with _private(target) as out:
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
        following = source.read(CHUNK)
        yield aead.encrypt(number.to_bytes(12, "big"), chunk, _aad(number, not following))
        if not following:
            return
        number, chunk = number + 1, following


def _aad(number: int, last: bool) -> bytes:
    return encode([tag("attachment"), number, last])


async def _upload(
    session: Session, sealed: Path, attachment: Attachment, progress: Progress | None
) -> None:
    """Uploads from where the service's copy ends; a broken connection goes on there."""
    for attempt in range(_UPLOAD_TRIES):
        announced = PostBlob(attachment.digest, attachment.size)
        offset = (await session.service.call(BLOB_POST, announced)).offset
        try:
            with sealed.open("rb") as source:
                source.seek(offset)
                while offset < attachment.size:
                    part = source.read(CHUNK)
                    answer = await session.service.call(
                        BLOB_PATCH, part, digest=attachment.digest, offset=offset
                    )
                    offset = answer.offset
                    source.seek(offset)
                    if progress is not None:
                        progress(f"{100 * offset // attachment.size} %")
            return
        # the service has more or less than was thought: it says where to go on
        except Conflict:
            if attempt == _UPLOAD_TRIES - 1:
                raise


async def download(
    session: Session, attachment: Attachment, folder: Path, progress: Progress | None = None
) -> Path:
    """Fetches, verifies and opens an attachment into `folder`; returns the file's path. Raises
    `Refused` M10, what the service raises.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if attachment.size > BLOB_MAX:
        raise Refused(
            "M10", "The attachment says that it is larger than any can be; it was not fetched."
        )
    part = folder / f".{attachment.digest.hex()}.part"
    await _fetch(session, attachment, part, progress)
    target = _free(folder / safe_name(attachment.name))
    try:
        with part.open("rb") as source:
            if hashlib.file_digest(source, "sha256").digest() != attachment.digest:
                raise Refused(
                    "M10",
                    "The attachment that the service gave out is not the one that was sent;"
                    " it was thrown away.",
                )
            source.seek(0)
            opened = part.with_suffix(".open")
            with _private(opened) as out:
                for chunk in open_chunks(source, attachment.key, attachment.size):
                    out.write(chunk)
            opened.rename(target)
    finally:
        part.unlink(missing_ok=True)
        part.with_suffix(".open").unlink(missing_ok=True)
    return target


async def _fetch(
    session: Session, attachment: Attachment, part: Path, progress: Progress | None
) -> None:
    """Fetches the blob from where an earlier try ended."""
    with part.open("ab") as out:
        os.fchmod(out.fileno(), 0o600)
        offset = out.tell()
        while offset < attachment.size:
            data = await session.service.read_blob(
                attachment.digest, offset, min(CHUNK, attachment.size - offset)
            )
            if not data:
                raise Refused(
                    "M10",
                    "The attachment that the service gave out is shorter than the message says.",
                )
            out.write(data)
            offset += len(data)
            if progress is not None:
                progress(f"{100 * offset // attachment.size} %")


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


def safe_name(name: str) -> str:
    """A name that stays in its folder and says what it is: no separators, controls, direction
    marks, leading dots; at most 120 bytes.
    """
    plain = unicodedata.normalize("NFC", name.replace("\\", "/")).rsplit("/", 1)[-1]
    plain = "".join(c for c in plain if unicodedata.category(c)[0] != "C" and c not in '<>:"|?*')
    plain = re.sub(r"\s+", " ", plain).strip(" .")
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending) > 16:
        stem, dot, ending = plain, "", ""
    room = 120 - len((dot + ending).encode())
    stem = stem.encode()[:room].decode(errors="ignore").strip(" .")
    return (stem or "attachment") + dot + ending


def _free(path: Path) -> Path:
    """The path, or one beside it that does not exist yet."""
    for number in range(2, 1000):
        if not path.exists():
            return path
        stem = re.sub(r" \(\d+\)$", "", path.stem)
        path = path.with_name(f"{stem} ({number}){path.suffix}")
    raise BadInput(
        f"There are a thousand files named like {path.name} already; choose another folder.",
        code="file-exists",
    )


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
