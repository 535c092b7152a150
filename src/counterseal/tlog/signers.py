"""The private keys of a witness, and what they sign. A log's are in `log_signer.py`."""

import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from counterseal.protocol.vkey import MLDSA44, WITNESS_ED25519, make_vkey
from counterseal.tlog.checkpoint import Checkpoint, KeyPair, cosignature_message, subtree_message
from counterseal.tlog.note import SignatureLine


class WitnessSigner:
    """A witness's two private keys. What it may cosign is decided in witness.py."""

    def __init__(self, name: str, ed25519: Ed25519PrivateKey, mldsa44: MLDSA44PrivateKey) -> None:
        self._ed25519, self._mldsa44 = ed25519, mldsa44
        self.keys = public_pair(name, WITNESS_ED25519, ed25519, mldsa44)

    def sign(self, checkpoint: Checkpoint, time: int) -> tuple[SignatureLine, SignatureLine]:
        """Both cosignatures of the checkpoint, made at `time` (Unix seconds, over 0)."""
        first = struct.pack(">Q", time) + self._ed25519.sign(cosignature_message(checkpoint, time))
        second = mldsa44_signature(self._mldsa44, self.keys.name, checkpoint, time)
        return signature_lines(self.keys, first, second)


def public_pair(
    name: str, kind: int, ed25519: Ed25519PrivateKey, mldsa44: MLDSA44PrivateKey
) -> KeyPair:
    return KeyPair(
        make_vkey(name, kind, ed25519.public_key().public_bytes_raw()),
        make_vkey(name, MLDSA44, mldsa44.public_key().public_bytes_raw()),
    )


def signature_lines(
    keys: KeyPair, first: bytes, second: bytes
) -> tuple[SignatureLine, SignatureLine]:
    return (
        SignatureLine(keys.name, keys.ed25519.key_hash, first),
        SignatureLine(keys.name, keys.mldsa44.key_hash, second),
    )


def mldsa44_signature(
    key: MLDSA44PrivateKey, name: str, checkpoint: Checkpoint, time: int
) -> bytes:
    message = subtree_message(name, time, checkpoint.origin, 0, checkpoint.size, checkpoint.root)
    return struct.pack(">Q", time) + key.sign(message)
