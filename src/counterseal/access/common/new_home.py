"""A new home: an institution's keys are drawn and its card is signed."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from counterseal import state_files
from counterseal.protocol import cbor
from counterseal.protocol.cose import sign
from counterseal.protocol.errors import BadInput, Conflict
from counterseal.protocol.keys import SealingKey
from counterseal.tlog.signers import WitnessSigner

from . import store
from .card import Card, Kind
from .home import HomeKeys, InstitutionHome


def create_home(
    path: Path,
    kind: Kind,
    name: str,
    body: str | None = None,
    url: str | None = None,
    passphrase: bytes | None = None,
) -> InstitutionHome:
    """Draws fresh keys into a new home. Raises `Conflict` if there is one already: keys are never
    overwritten.
    """
    if (path / "keys").exists():
        raise Conflict(
            f"{path} holds keys already; they are not overwritten. Choose another --home."
        )
    keys = HomeKeys(os.urandom(64), os.urandom(32), os.urandom(64) if kind == "witness" else None)
    cosigner = cosigner_of(keys, name).keys.texts() if kind == "witness" else None
    public = SealingKey(keys.reader).public
    card = Card(kind, body or name, name, keys.signer.public, public, cosigner, url).check()
    state_files.write_state(
        path / "card", sign([keys.signer], card.encode()), mode=state_files.PUBLIC
    )
    state_files.write_state(path / "keys", store.lock_secret(cbor.encode(keys.plain()), passphrase))
    return InstitutionHome(path, card, keys, passphrase)


def cosigner_of(keys: HomeKeys, name: str) -> WitnessSigner:
    """The witness's two cosigning keys. Raises `BadInput` for a home that has none."""
    if keys.cosigner is None:
        raise BadInput("This home is not a witness's: it has no cosigning keys.")
    ed25519 = Ed25519PrivateKey.from_private_bytes(keys.cosigner[:32])
    return WitnessSigner(name, ed25519, MLDSA44PrivateKey.from_seed_bytes(keys.cosigner[32:]))
