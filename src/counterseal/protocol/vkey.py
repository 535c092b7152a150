"""Verifier keys of logs and witnesses, as signed notes write them: `NAME+HASH+BASE64(type || key)`
(C2SP signed-note).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from .errors import Refused

NOTE_MAX = 1_000_000
"""Bytes of a signed note, at most."""
LOG_ED25519 = 0x01
WITNESS_ED25519 = 0x04
MLDSA44 = 0x06

_SIZES = {LOG_ED25519: 32, WITNESS_ED25519: 32, MLDSA44: 1312}


class VerifierKey(msgspec.Struct, frozen=True):
    """A parsed verifier key: name, type byte, public key (32 or 1,312 bytes) and its hash (4
    bytes).
    """

    name: str
    kind: int
    key: bytes
    key_hash: bytes

    def text(self) -> str:
        """The one line that `parse_vkey` takes."""
        typed = base64.b64encode(bytes((self.kind,)) + self.key).decode()
        return f"{self.name}+{self.key_hash.hex()}+{typed}"


def make_vkey(name: str, kind: int, key: bytes) -> VerifierKey:
    """A verifier key from its parts; the hash begins SHA-256 over name, newline, type and key.
    Raises `Refused` C7.
    """
    if not name or any(c.isspace() or c == "+" for c in name) or len(name.encode()) > 255:
        raise Refused("C7", f"{name!r} is no name for a key.")
    if _SIZES.get(kind) != len(key):
        raise Refused("C7", f"The key of {name} has {len(key)} bytes, wrong for type {kind:#04x}.")
    digest = hashlib.sha256(name.encode() + b"\n" + bytes((kind,)) + key).digest()
    return VerifierKey(name, kind, key, digest[:4])


def parse_vkey(text: str, kinds: tuple[int, ...]) -> VerifierKey:
    """The key that `text` writes, of one of `kinds`. Raises `Refused` C7."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise Refused("C7", f"{text[:60]!r} is no verifier key; one reads NAME+HASH+BASE64.")

    try:
        data = base64.b64decode(parts[2], validate=True)
    except (binascii.Error, ValueError):
        raise Refused("C7", f"The verifier key of {parts[0]!r} is not in base64.") from None

    if not data or data[0] not in kinds:
        raise Refused("C7", f"The verifier key of {parts[0]!r} is of a type with no place here.")

    key = make_vkey(parts[0], data[0], data[1:])
    if key.text() != text:
        raise Refused("C7", f"The verifier key of {parts[0]!r} states another hash than it has.")

    return key
