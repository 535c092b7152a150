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

from counterseal.files import write_whole
from counterseal.protocol.errors import Conflict, NotFound
from counterseal.protocol.record import Bytes32, Domain, Part, Record
from counterseal.tlog.log_signer import LogSigner
from counterseal.wire.domain import ServiceIdentity

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


class ServiceKeys(msgspec.Struct, frozen=True):
    """Who this service is: its domain and its two logs' signers."""

    domain: str
    log: LogSigner
    ledger: LogSigner

    def public(self) -> ServiceIdentity:
        """What anybody may know of them."""
        return ServiceIdentity(
            self.domain,
            self.log.keys.name,
            self.log.keys.texts(),
            self.ledger.keys.name,
            self.ledger.keys.texts(),
        )


def create(directory: Path, domain: str) -> ServiceKeys:
    """Makes a data directory with fresh keys and a fresh token. Raises `Conflict` "initialised",
    and OSError with the file's name.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = directory / KEY_FILE
    if place.exists():
        raise Conflict(
            f"{place} exists: this directory is a service's already, and its keys are in a"
            " charter.",
            code="initialised",
        )
    key = ServiceKey(
        domain, Seeds(os.urandom(32), os.urandom(32)), Seeds(os.urandom(32), os.urandom(32))
    )
    keys = _keys(key)
    # a token without a key is an attempt that was cut off: the key is written last
    token = secrets.token_urlsafe(32).encode() + b"\n"
    write_whole(directory / TOKEN_FILE, token, replace=True)
    write_whole(place, key.encode())
    return keys


def load(directory: Path) -> ServiceKeys:
    """The keys of a data directory. Raises `NotFound` "not-initialised"."""
    place = directory / KEY_FILE
    if not place.exists():
        raise NotFound(
            f"{directory} is no service's data; make it with `counterseal service init`.",
            code="not-initialised",
        )
    return _keys(ServiceKey.decode(place.read_bytes()))


def operator_token(directory: Path) -> str:
    """The token that the operator's calls bear."""
    return (directory / TOKEN_FILE).read_text().strip()


def _keys(key: ServiceKey) -> ServiceKeys:
    return ServiceKeys(
        key.domain,
        _signer(f"{key.domain}/log", key.log),
        _signer(f"{key.domain}/ledger", key.ledger),
    )


def _signer(origin: str, seeds: Seeds) -> LogSigner:
    ed25519 = Ed25519PrivateKey.from_private_bytes(seeds.ed25519)
    return LogSigner(origin, ed25519, MLDSA44PrivateKey.from_seed_bytes(seeds.mldsa44))
