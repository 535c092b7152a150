"""What a home keeps: files read back and erased, and secrets locked under a passphrase.

They are written by `state_files`: whole or not at all, and on the disk when the call returns.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from counterseal.protocol.cbor import decode, encode, tag
from counterseal.protocol.errors import BadInput, NotFound, Refused
from counterseal.state_files import sync_folder

_LIMIT = 1 << 20


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
        sync_folder(path.parent)


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
                    "The keys are locked; give the passphrase on the terminal or in a file with "
                    "--passphrase-file."
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
