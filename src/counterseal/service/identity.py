"""The service's own keys, which sign checkpoints and nothing else, in `DIR/service.key`, and the
operator's token. Both mode 0600.

The file is the array `[tag("service-key"), domain, [log seeds], [ledger seeds]]`; seeds are Ed25519
(32 bytes) and ML-DSA-44 (32 bytes).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from counterseal.protocol.errors import BadInput, Conflict, NotFound
from counterseal.protocol.record import Bytes32, Domain, Part, Record
from counterseal.tlog.signers import LogSigner

KEY_FILE = "service.key"
TOKEN_FILE = "operator.token"


class Seeds(Part, frozen=True):
    """The secret halves of a log's two keys."""

    ed25519: Bytes32
    mldsa44: Bytes32


class ServiceKey(Record, frozen=True, tag="counterseal/v1/service-key"):
    """What the key file holds."""

    domain: Domain
    log: Seeds
    ledger: Seeds


class Identity(msgspec.Struct, frozen=True):
    """Who this service is: its domain and its two logs' signers."""

    domain: str
    log: LogSigner
    ledger: LogSigner

    def public(self) -> list[object]:
        """`[domain, log origin, [log vkeys], ledger origin, [ledger vkeys]]`."""
        return [
            self.domain,
            self.log.keys.name,
            list(self.log.keys.texts()),
            self.ledger.keys.name,
            list(self.ledger.keys.texts()),
        ]


def create(directory: Path, domain: str) -> Identity:
    """Makes a data directory with fresh keys and a fresh token. Raises `Conflict` "initialised",
    `BadInput`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = directory / KEY_FILE
    if place.exists():
        raise Conflict(
            f"{place} exists: this directory is a service's already, and its keys are in a charter.",
            code="initialised",
        )
    key = ServiceKey(
        domain, Seeds(os.urandom(32), os.urandom(32)), Seeds(os.urandom(32), os.urandom(32))
    )
    identity = _identity(key)
    _write_secret(directory / TOKEN_FILE, secrets.token_urlsafe(32).encode() + b"\n")
    _write_secret(place, key.encode())
    return identity


def load(directory: Path) -> Identity:
    """The identity of a data directory. Raises `NotFound` "not-initialised"."""
    place = directory / KEY_FILE
    if not place.exists():
        raise NotFound(
            f"{directory} is no service's data; make it with `counterseal service init`.",
            code="not-initialised",
        )
    return _identity(ServiceKey.decode(place.read_bytes()))


def operator_token(directory: Path) -> str:
    """The token that the operator's calls bear."""
    return (directory / TOKEN_FILE).read_text().strip()


def _identity(key: ServiceKey) -> Identity:
    return Identity(
        key.domain,
        _signer(f"{key.domain}/log", key.log),
        _signer(f"{key.domain}/ledger", key.ledger),
    )


def _signer(origin: str, seeds: Seeds) -> LogSigner:
    ed25519 = Ed25519PrivateKey.from_private_bytes(seeds.ed25519)
    return LogSigner(origin, ed25519, MLDSA44PrivateKey.from_seed_bytes(seeds.mldsa44))


def _write_secret(place: Path, data: bytes) -> None:
    try:
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadInput(
            f"{place} cannot be made: {error.strerror}.", code="data-directory"
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
