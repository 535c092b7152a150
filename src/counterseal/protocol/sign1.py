"""Statements that a device or an account signs: COSE_Sign1 (section 1; RFC 9052)."""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import cbor
from .errors import Refused
from .keys import verify_ed25519
from .record import Part, Signature, decode_part

_SIGN1_HEADER = bytes.fromhex("a10132")


class _Sign1(Part, frozen=True):
    protected: bytes
    unprotected: dict[str, None]
    payload: bytes
    signature: Signature


class ReceivedSign1(msgspec.Struct, frozen=True):
    """A COSE_Sign1 whose form is right and whose signature nobody has checked."""

    payload: bytes
    signature: bytes

    @classmethod
    def decode(cls, data: bytes, limit: int) -> ReceivedSign1:
        """Raises `Refused` E1 to E7 and X1. `limit` bounds the whole statement in bytes."""
        cose = decode_part(data, limit, _Sign1)
        if cose.protected != _SIGN1_HEADER:
            raise Refused("X1", "A COSE_Sign1 here has the protected header {1: -19} and no other.")
        return cls(cose.payload, cose.signature)

    def encode(self) -> bytes:
        """The statement's bytes."""
        return cbor.encode([_SIGN1_HEADER, {}, self.payload, self.signature])

    def verify(self, public_key: bytes, external_aad: bytes = b"") -> bytes:
        """The payload, signed by `public_key` (Ed25519, 32 bytes) with `external_aad`. Raises
        `Refused` X2, X6.
        """
        verify_ed25519(public_key, self.signature, _sign1_input(self.payload, external_aad))
        return self.payload


def sign1(private: Ed25519PrivateKey, payload: bytes, external_aad: bytes = b"") -> bytes:
    """A COSE_Sign1 over `payload` by a device's or an account's key."""
    return ReceivedSign1(payload, private.sign(_sign1_input(payload, external_aad))).encode()


def _sign1_input(payload: bytes, external_aad: bytes) -> bytes:
    return cbor.encode(["Signature1", _SIGN1_HEADER, external_aad, payload])
