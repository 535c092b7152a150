"""Sending and fetching files: they are with the service as sealed blobs (sealed_files.py); the key,
the digest and the name are in the message.

Nothing that arrives is opened, run or believed: the name loses everything that could lead out of
the folder or hide its ending, the file is written with mode 0600, and an existing file is never
overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from counterseal.client import sending
from counterseal.client.file_names import free_path, safe_name
from counterseal.client.sealed_files import CHUNK, open_file, seal_file
from counterseal.client.session import Session
from counterseal.protocol.errors import Conflict, Refused
from counterseal.protocol.frame import Attachment
from counterseal.state_files import make_folder
from counterseal.wire.blobs import BLOB_MAX, BLOB_PATCH, BLOB_POST, PostBlob

Progress = Callable[[str], None]
"""Is told how far it is, in words."""
_UPLOAD_TRIES = 5


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
    if attachment.size > BLOB_MAX:
        raise Refused(
            "M10", "The attachment says that it is larger than any can be; it was not fetched."
        )
    make_folder(folder)
    part = folder / f".{attachment.digest.hex()}.part"
    await _fetch(session, attachment, part, progress)
    target = free_path(folder / safe_name(attachment.name))
    try:
        open_file(part, attachment, target)
    finally:
        part.unlink(missing_ok=True)
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
