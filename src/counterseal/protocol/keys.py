"""Keys: an institution's hybrid signing key, and X-Wing sealing keys (sections 1, 4 and 6).

| rule | refuses |
| --- | --- |
| K5 | an X-Wing key that fails FIPS 203's check, or whose X25519 half has low order. In a keyset |
|    | it counts as absent and refuses nothing |
| X2 | a signature that does not verify |
| X5 | an HPKE ciphertext that does not open under the key and info it is for |
| X6 | an Ed25519 public key that is not canonical or has low order |
"""

from __future__ import annotations

import hashlib
import os
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from msgspec import Meta

from .cbor import H, encode, tag
from .errors import Refused
from .record import Bytes32, Part

XWING_PUBLIC = 1_216
"""Bytes of an X-Wing key: ML-KEM-768's part, then X25519's."""
MLKEM_PUBLIC = 1_184
"""Bytes of the ML-KEM-768 part."""
XWING_ENC = 1_120
"""Bytes of an X-Wing encapsulation."""
MLDSA65_SIGNATURE = 3_309
"""Bytes of an ML-DSA-65 signature."""
HPKE_OVERHEAD = XWING_ENC + 16
"""Bytes that sealing adds: the encapsulation and the AEAD's tag."""

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_MLKEM_MODULUS = 3329
_ED25519_PRIME = (1 << 255) - 19
_ED25519_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_ED25519_LOW_ORDER = {0, 1, _ED25519_PRIME - 1, _ED25519_ORDER_8, _ED25519_PRIME - _ED25519_ORDER_8}


class InstitutionKey(Part, frozen=True):
    """An institution's public signing key: Ed25519 (32 bytes) and ML-DSA-65 (1,952 bytes); both
    must hold.
    """

    ed25519: Bytes32
    mldsa65: Annotated[bytes, Meta(min_length=1952, max_length=1952)]

    @property
    def kid(self) -> bytes:
        """`H([tag("institution-key"), ed25519, mldsa65])`, 32 bytes."""
        return H([tag("institution-key"), self.ed25519, self.mldsa65])

    def verify(
        self, ed25519_input: bytes, ed25519: bytes, mldsa65_input: bytes, mldsa65: bytes
    ) -> None:
        """Returns if both signatures hold. Raises `Refused` X2 otherwise, X6 for a weak key."""
        verify_ed25519(self.ed25519, ed25519, ed25519_input)
        try:
            MLDSA65PublicKey.from_public_bytes(self.mldsa65).verify(mldsa65, mldsa65_input)
        except (InvalidSignature, ValueError):
            raise Refused("X2", f"{self.kid.hex()[:16]} did not sign with ML-DSA-65.") from None


class InstitutionSigner:
    """An institution's private signing key, kept as two seeds of 32 bytes."""

    def __init__(self, seeds: bytes) -> None:
        """`seeds` is the Ed25519 seed (32 bytes), then the ML-DSA-65 seed (32 bytes). Raises
        `Refused` E6.
        """
        if len(seeds) != 64:
            raise Refused("E6", f"An institution's secret key has 64 bytes, not {len(seeds)}.")

        self._seeds = seeds
        self._ed25519 = Ed25519PrivateKey.from_private_bytes(seeds[:32])
        self._mldsa65 = MLDSA65PrivateKey.from_seed_bytes(seeds[32:])
        self.public = InstitutionKey(
            self._ed25519.public_key().public_bytes_raw(),
            self._mldsa65.public_key().public_bytes_raw(),
        )
        self.kid = self.public.kid

    @classmethod
    def generate(cls) -> InstitutionSigner:
        """A new key from the system's randomness."""
        return cls(os.urandom(64))

    @property
    def seeds(self) -> bytes:
        """The 64 secret bytes, for a key file."""
        return self._seeds

    def sign(self, ed25519_input: bytes, mldsa65_input: bytes) -> tuple[bytes, bytes]:
        """Ed25519 signature (64 bytes) and ML-DSA-65 signature (3,309 bytes; hedged, so it differs
        each time).
        """
        return self._ed25519.sign(ed25519_input), self._mldsa65.sign(mldsa65_input)


class SealingKey:
    """A private X-Wing key, kept as its seed of 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        """Expands the seed as X-Wing does: SHAKE256 to 96 bytes, ML-KEM's two seeds first. Raises
        `Refused` E6.
        """
        if len(seed) != 32:
            raise Refused("E6", f"A sealing key's seed has 32 bytes; this one has {len(seed)}.")
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.seed = seed
        self.public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self._private = MLKEM768X25519PrivateKey(mlkem, x25519)

    @classmethod
    def generate(cls) -> SealingKey:
        """A new key from the system's randomness."""
        return cls(os.urandom(32))

    def open(self, info: object, sealed: bytes) -> bytes:
        """The plaintext of `enc || ciphertext`; `info` is an array. Raises `Refused` X5."""
        try:
            return _SUITE.decrypt(sealed, self._private, encode(info))
        except Exception:  # the library raises several kinds, and which one says nothing to us
            raise Refused(
                "X5", "A sealed message does not open with this key: altered, or not meant for it."
            ) from None


def seal_to(public: bytes, info: object, plaintext: bytes) -> bytes:
    """`enc (1120) || ciphertext` of HPKE base mode to an X-Wing key; `info` is an array. Raises
    `Refused` K5.
    """
    check_xwing(public)
    mlkem = MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC])
    x25519 = X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC:])
    return _SUITE.encrypt(plaintext, MLKEM768X25519PublicKey(mlkem, x25519), encode(info))


def check_xwing(public: bytes) -> bytes:
    """The key again if it may be sealed to: 1,216 bytes, ML-KEM-768's part first. Raises `Refused`
    K5.
    """
    if len(public) != XWING_PUBLIC:
        raise Refused("K5", f"An X-Wing key has {XWING_PUBLIC} bytes; this one has {len(public)}.")

    for at in range(0, 1152, 3):  # 768 coefficients of 12 bits, little-endian, two in three bytes
        pair = int.from_bytes(public[at : at + 3], "little")
        if pair & 0xFFF >= _MLKEM_MODULUS or pair >> 12 >= _MLKEM_MODULUS:
            raise Refused("K5", "An X-Wing key's ML-KEM half is out of range (FIPS 203, 7.2).")

    try:
        point = X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC:])
        X25519PrivateKey.from_private_bytes(bytes(32)).exchange(point)
    except ValueError:  # every scalar gives zero on a point of low order, so any scalar shows it
        raise Refused("K5", "An X-Wing key's X25519 half is a point of low order.") from None

    return public


def check_ed25519(public: bytes) -> bytes:
    """The key (32 bytes) again if its encoding is canonical and its point is not of low order.
    Raises `Refused` X6.
    """
    y = int.from_bytes(public, "little") & ((1 << 255) - 1)
    if len(public) != 32 or y >= _ED25519_PRIME or y in _ED25519_LOW_ORDER:
        raise Refused("X6", f"The key {public.hex()[:16]} is not canonical or has low order.")
    return public


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    """Returns if the signature (64 bytes) holds. Raises `Refused` X2, or X6 for a key that proves
    nothing.
    """
    check_ed25519(public)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Refused("X2", f"{public.hex()[:16]} did not sign this with Ed25519.") from None
