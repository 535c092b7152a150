"""A program's own state: small files that are whole or the old ones, and on the disk when the call
returns.

New bytes go into a file of their own beside the place, are synced, and take the place's name; then
the folder is synced. A crash at any point leaves the old file or the new one, never a part. After a
failed sync nobody knows what the disk holds, and going on could show two histories, so a failure
here is fatal. People's files are written by `files`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from counterseal.protocol.errors import BadInput, FatalError

PRIVATE = 0o600
PUBLIC = 0o644


def write_state(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Replaces a file of the program's own state, durably; makes its folder if there is none.
    Raises `FatalError` "disk" when the disk fails, and `BadInput` for a folder that cannot be made.
    """
    with _durable(path):
        _write_beside(path, data, mode).replace(path)
        sync_folder(path.parent)


def write_first(path: Path, data: bytes) -> bool:
    """Writes a private file of the program's own state that must not be there yet. False, and
    nothing changed, if it is there: who came first counts. Else as `write_state`.
    """
    with _durable(path):
        beside = _write_beside(path, data, PRIVATE)
        try:
            take_free_place(beside, path)
        except FileExistsError:
            return False
        finally:
            beside.unlink(missing_ok=True)
        sync_folder(path.parent)
    return True


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Makes a folder and those above it, each one's name durable in the one above."""
    if path.is_dir():
        return
    make_folder(path.parent, mode)
    path.mkdir(mode, exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some file systems of other machines cannot do it at all, and say so with this number
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


def create_file(path: Path, mode: int | None) -> BinaryIO:
    """A new file to write to. `mode` is its permissions, None the user's ordinary ones."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    handle = os.open(path, flags, 0o666 if mode is None else mode)
    if mode is not None:
        # against the umask; memory sticks that know no permissions refuse, and need none
        with suppress(PermissionError):
            os.fchmod(handle, mode)
    return os.fdopen(handle, "wb")


def take_free_place(beside: Path, path: Path) -> None:
    """Gives the file `beside` the name `path` as well, or instead. Raises FileExistsError if that
    is taken.
    """
    try:
        path.hardlink_to(beside)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # A memory stick without hard links: the name is taken first, then the bytes come. A crash
        # between the two leaves an empty file.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        beside.replace(path)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    beside = path.with_name(f".new-{os.urandom(8).hex()}")
    try:
        with create_file(beside, mode) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return beside


@contextmanager
def _durable(path: Path) -> Iterator[None]:
    try:
        make_folder(path.parent)
    except OSError as error:
        raise BadInput(
            f"The folder {path.parent} cannot be made ({error.strerror}).", code="file"
        ) from None
    try:
        yield
    except OSError as error:
        raise FatalError(
            f"{path} could not be written durably ({error.strerror}); the program stops.",
            code="disk",
        ) from error
