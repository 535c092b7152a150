"""Small durable files, and secrets at rest.

A write here is durable when it returns: the bytes are in a new file, synced, renamed over the old
one, and the directory is synced. A crash at any point leaves the old file or the new one, whole.
Everything a witness must not forget goes through `write`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from counterseal.protocol.cbor import decode, encode, tag
from counterseal.protocol.errors import BadInput, FatalError, NotFound, Refused

_LIMIT = 1 << 20


def write(path: Path, data: bytes, *, private: bool = True) -> None:
    """Replaces `path` by `data`, durably. Private files are 0600. Raises `FatalError` when the disk
    fails.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o644
        )
        try:
            _write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        # After a failed sync nobody knows what the disk holds: going on could show two histories.
        raise FatalError(
            f"{path} could not be written durably ({error.strerror}); the program stops.",
            code="disk",
        ) from error


def write_new(path: Path, data: bytes) -> bool:
    """Writes a private file that must not be there yet, durably. False, and nothing changed, if it
    is there: who came first counts.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.first")
    write(temporary, data)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_directory(path.parent)
    return True


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def sync_directory(path: Path) -> None:
    """Makes the names inside a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, what: str) -> bytes:
    """A file's bytes, at most 1 MiB. Raises `NotFound`, which names `what` was looked for, or
    `BadInput`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except FileNotFoundError:
        raise NotFound(f"There is no {what} at {path}.") from None
    except OSError as error:
        raise BadInput(f"The {what} at {path} cannot be read: {error.strerror}.") from None
    if len(data) > _LIMIT:
        raise BadInput(f"The {what} at {path} is larger than 1 MiB, so it is something else.")
    return data


def erase(path: Path) -> None:
    """Overwrites and removes a secret. On disks that copy on write the old bytes may live on: use
    an encrypted disk as well.
    """
    with suppress(FileNotFoundError):
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            os.fsync(file.fileno())
        path.unlink()
        sync_directory(path.parent)


def lock_secret(secret: bytes, passphrase: bytes | None) -> bytes:
    """A secret as it lies on disk: locked, if there is a passphrase, under a key that Argon2id (64
    MiB, 3 passes) draws from it.
    """
    if passphrase is None:
        return encode((tag("secret"), secret))
    salt, nonce = os.urandom(16), os.urandom(12)
    return encode(
        (tag("locked-secret"), salt, nonce, _box(passphrase, salt).encrypt(nonce, secret, salt))
    )


def open_secret(data: bytes, passphrase: bytes | None) -> bytes:
    """The secret inside a file made by `lock_secret`. Raises `BadInput` when the passphrase is
    missing or wrong.
    """
    match decode(data, _LIMIT):
        case ("counterseal/v1/secret", bytes(secret)):
            return secret
        case ("counterseal/v1/locked-secret", bytes(salt), bytes(nonce), bytes(box)):
            if passphrase is None:
                raise BadInput(
                    "The keys are locked; give the passphrase on the terminal or in a file with --passphrase-file."
                )
            try:
                return _box(passphrase, salt).decrypt(nonce, box, salt)
            except InvalidTag:
                raise BadInput(
                    "The passphrase is not the one these keys were locked with."
                ) from None
    raise Refused("E5", "The file holds no secret of this program.")


def is_locked(data: bytes) -> bool:
    """Whether a secret file wants a passphrase."""
    match decode(data, _LIMIT):
        case ("counterseal/v1/locked-secret", *_):
            return True
    return False


def _box(passphrase: bytes, salt: bytes) -> ChaCha20Poly1305:
    key = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=64 * 1024).derive(
        passphrase
    )
    return ChaCha20Poly1305(key)
