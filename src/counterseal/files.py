"""Files that are written whole or not at all, and are on the disk when the call returns.

New bytes go into a file of their own beside the place, are synced, and take the place's name; then
the folder is synced. A crash at any point leaves the old file or the new one, never a part. What
this program did not make is not overwritten unless the caller says so.

These are people's files: they can be written again, so the system's error is raised as it is, with
the file's name. A program's own state is written by `state_files`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from counterseal.protocol.errors import BadInput, TooLarge
from counterseal.protocol.os_errors import error_from_os
from counterseal.state_files import PRIVATE, create_file, sync_folder, take_free_place

_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS)


class FileExists(BadInput):
    """There is a file already at the place to write, and nobody said to replace it."""

    default_code = "file-exists"


def write_whole(
    path: Path, data: bytes, *, mode: int | None = PRIVATE, replace: bool = False
) -> None:
    """Writes a file, whole or not at all, durably. `mode` is its permissions, None the user's
    ordinary ones.

    With `replace` a file at the place gives way. A device or a pipe is written to as it is. Raises
    `FileExists`, and OSError with the file's name.
    """
    with open_whole(path, mode=mode, replace=replace) as file:
        file.write(data)


@contextmanager
def open_whole(
    path: Path, *, mode: int | None = PRIVATE, replace: bool = False
) -> Iterator[BinaryIO]:
    """A file to write to, which takes its place when the block ends without an exception; otherwise
    nothing is left of it. Else as `write_whole`.
    """
    check_free(path, replace=replace)
    if _is_stream(path):
        with _named(path, of_writing=True), path.open("wb") as stream:
            yield stream
            stream.flush()
        return

    beside = path.with_name(f".new-{os.urandom(8).hex()}")
    try:
        with _named(path):
            file = create_file(beside, mode)
        with _named(path, of_writing=True), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _named(path):
            _take_place(beside, path, replace)
            sync_folder(path.parent)
    finally:
        # it is gone when it took its place; else nothing of it stays, whatever went wrong
        with suppress(OSError):
            beside.unlink()


def write_once(path: Path, data: bytes, *, mode: int | None = PRIVATE) -> bool:
    """Writes a file unless it is there with these very bytes, as after a command that is run again.
    Returns whether it was written. Raises `FileExists` when the bytes differ; else as
    `write_whole`.
    """
    with _named(path):
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return False
    write_whole(path, data, mode=mode)
    return True


def rewrite(path: Path, data: bytes) -> None:
    """Replaces a file that the caller has read before, durably; its permissions stay. Raises
    OSError with the file's name.
    """
    with _named(path):
        mode = stat.S_IMODE(path.stat().st_mode)
    write_whole(path, data, mode=mode, replace=True)


def check_free(path: Path, *, replace: bool = False) -> None:
    """Returns if a file may be written at `path`: for use before long work whose result goes there.
    Raises `FileExists`, and `BadInput` for a folder or a place in no folder.
    """
    with _named(path):
        try:
            kind = path.lstat().st_mode
        except FileNotFoundError:
            if not path.parent.is_dir():
                raise BadInput(
                    f"There is no folder {path.parent} to write {path.name} to; make it first.",
                    code="no-folder",
                ) from None
            return
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file to write to.", code="file")
    if replace or _is_stream(path):
        return
    what = "a link" if stat.S_ISLNK(kind) else "a file"
    raise FileExists(
        f"There is {what} at {path} already, and it is not overwritten; name another place, or"
        " move it away first."
    )


def read_whole(path: Path, what: str, *, limit: int) -> bytes:
    """The bytes of a file that a person named, which is a `what`. Raises `BadInput` when it cannot
    be read, `TooLarge` for more than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise error_from_os(error, path) from None
    if len(data) > limit:
        raise TooLarge(f"{path} is over {limit} bytes, so it is no {what}.")
    return data


def _take_place(beside: Path, path: Path, replace: bool) -> None:
    if replace:
        beside.replace(path)
        return
    try:
        take_free_place(beside, path)
    except FileExistsError:
        # somebody made it in the meantime
        check_free(path)
        raise


def _is_stream(path: Path) -> bool:
    """Whether the path is a device, a pipe or a socket: nothing that could take another's place."""
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


@contextmanager
def _named(path: Path, *, of_writing: bool = False) -> Iterator[None]:
    """Lets errors of the system name the file that the caller named, not the one beside it. With
    `of_writing` only those that a write or a sync gives: the block is the caller's, which may read
    other files.
    """
    try:
        yield
    except OSError as error:
        if not of_writing or (error.filename is None and error.errno in _WRITING):
            error.filename, error.filename2 = str(path), None
        raise
