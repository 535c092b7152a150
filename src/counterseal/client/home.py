"""A member's folder: one encrypted database, the key that opens it, and the pins of the domain.

- `key`, mode 0600: the database's 32-byte key in hex, or the salt and cost that turn a passphrase
  into it (Argon2id).
- `pins`, JSON for people to read: the service's URL, the domain, the first charter's digest, and
  the verifier keys of log, ledger and witnesses.
- `device.db`, everything else: MLS state, messages, search, outbox, directory (SQLCipher, one
  connection of the compiled core).
- `sending.lock`, empty: locked by the process that sends or commits (session.py).

A passphrase comes from the file that COUNTERSEAL_PASSPHRASE_FILE names or from a prompt, never from
the command line, which every other user of the machine can read.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from counterseal.client.core_errors import core_errors
from counterseal.client.store.device_store import DeviceStore
from counterseal.core._core import Device
from counterseal.files import write_whole
from counterseal.protocol.errors import BadInput, Conflict, NotFound

KEY_SIZE = 32
PASSPHRASE_FILE = "COUNTERSEAL_PASSPHRASE_FILE"
# RFC 9106's second recommended choice
_ITERATIONS, _LANES, _MEMORY_KIB = 3, 4, 64 * 1024

Prompt = Callable[[], str]


class Pins(msgspec.Struct, frozen=True):
    """What an app keeps from the day the account is made and compares everything with. Keys are
    verifier keys as text, digests lower-case hex.
    """

    service: str
    domain: str
    genesis: str
    demonstration: bool
    log: tuple[str, str]
    ledger: tuple[str, str]
    witnesses: tuple[tuple[str, str, tuple[str, str]], ...]
    """Each witness's name, URL and (Ed25519, ML-DSA-44) keys."""


class DeviceHome:
    """An existing folder. `store` lends its database; `hold` keeps it open, for a process that has
    the folder to itself.
    """

    def __init__(self, path: Path, key: bytes, pins: Pins) -> None:
        self.path = path
        self.pins = pins
        self._key = key
        self._open: DeviceStore | None = None
        self._users = 0

    @classmethod
    def create(cls, path: Path, pins: Pins, passphrase: str | None = None) -> DeviceHome:
        """Makes the folder (mode 0700) with a new key and an empty database. Raises `Conflict` if
        there is one already.
        """
        if (path / "device.db").exists() or (path / "key").exists():
            raise Conflict(
                f"{path} already holds a device; name another folder with --home.",
                code="home-exists",
            )
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = _write_key(path / "key", passphrase)
        readable = msgspec.json.format(msgspec.json.encode(pins), indent=2) + b"\n"
        write_whole(path / "pins", readable, replace=True)
        with core_errors():
            device = Device.create(str(path / "device.db"), key)
        DeviceStore(device).create_tables()
        device.close()
        return cls(path, key, pins)

    @classmethod
    def load(cls, path: Path, prompt: Prompt | None = None) -> DeviceHome:
        """The device in an existing folder. `prompt` asks a person for the passphrase.

        Raises `NotFound`, `BadInput`.
        """
        try:
            pins = msgspec.json.decode((path / "pins").read_bytes(), type=Pins)
        except FileNotFoundError:
            raise NotFound(
                f"{path} holds no account; make one with `counterseal account create`.",
                code="no-home",
            ) from None
        except msgspec.DecodeError as error:
            raise BadInput(
                f"{path / 'pins'} is not as it was written: {error}.", code="pins"
            ) from None
        return cls(path, _read_key(path / "key", prompt), pins)

    @property
    def locked(self) -> bool:
        """Whether a passphrase opens the folder."""
        return (self.path / "key").read_bytes().startswith(b"argon2id ")

    def check_passphrase(self, passphrase: str) -> None:
        """Returns if it is this folder's passphrase. Raises `BadInput`."""
        if not hmac.compare_digest(_read_key(self.path / "key", None, passphrase), self._key):
            raise BadInput("That is not this folder's passphrase.", code="passphrase")

    @contextmanager
    def store(self) -> Iterator[DeviceStore]:
        """Lends the database: opened for this block alone, unless it is held. Never wait for the
        network inside.

        Another process that has it open is waited for, 10 s at most. Raises `Unavailable` "busy".
        """
        if self._open is None:
            with core_errors():
                self._open = DeviceStore(Device.open(str(self.path / "device.db"), self._key))
        self._users += 1
        try:
            with core_errors():
                yield self._open
        finally:
            self._users -= 1
            if self._users == 0 and self._open is not None:
                self._open.device.close()
                self._open = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps the database open, and other processes out, until the block ends: what an agent
        does for speed.
        """
        with self.store():
            yield


def _write_key(path: Path, passphrase: str | None) -> bytes:
    if passphrase is None:
        key = secrets.token_bytes(KEY_SIZE)
        write_whole(path, f"key {key.hex()}\n".encode())
        return key
    salt = secrets.token_bytes(16)
    line = f"argon2id {salt.hex()} {_ITERATIONS} {_LANES} {_MEMORY_KIB}\n"
    write_whole(path, line.encode())
    return stretch(passphrase, salt)


def _read_key(path: Path, prompt: Prompt | None, passphrase: str | None = None) -> bytes:
    try:
        words = path.read_text().split()
    except (OSError, UnicodeDecodeError):
        raise NotFound(
            f"The key file {path} cannot be read; without it the device cannot be opened.",
            code="no-key",
        ) from None
    try:
        if len(words) == 2 and words[0] == "key" and len(words[1]) == 2 * KEY_SIZE:
            return bytes.fromhex(words[1])
        if len(words) == 5 and words[0] == "argon2id":
            salt, costs = bytes.fromhex(words[1]), [int(word) for word in words[2:]]
            given = passphrase_of(prompt) if passphrase is None else passphrase
            return stretch(given, salt, *costs)
    except ValueError:
        pass
    raise BadInput(
        f"The key file {path} is not as it was written; restore it from a copy.", code="key-file"
    )


def passphrase_of(prompt: Prompt | None) -> str:
    """The passphrase: the first line of the file that COUNTERSEAL_PASSPHRASE_FILE names, else what
    `prompt` answers.
    """
    named = os.environ.get(PASSPHRASE_FILE)
    if named:
        try:
            return Path(named).read_text().split("\n", 1)[0]
        except (OSError, UnicodeDecodeError):
            raise BadInput(
                f"{PASSPHRASE_FILE} names {named}, which cannot be read.", code="passphrase"
            ) from None
    if prompt is None:
        raise BadInput(
            f"This device wants a passphrase; put it in a file and name that in {PASSPHRASE_FILE}.",
            code="passphrase",
        )
    return prompt()


def stretch(
    passphrase: str,
    salt: bytes,
    iterations: int = _ITERATIONS,
    lanes: int = _LANES,
    memory_kib: int = _MEMORY_KIB,
) -> bytes:
    """A key of 32 bytes out of a passphrase, by Argon2id."""
    kdf = Argon2id(
        salt=salt, length=KEY_SIZE, iterations=iterations, lanes=lanes, memory_cost=memory_kib
    )
    return kdf.derive(passphrase.encode())
