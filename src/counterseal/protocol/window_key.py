"""What comes from a window's key and its label: `prk`, and the commitment to it (section 3)."""

from __future__ import annotations

import hashlib
import hmac

from .cbor import encode, expand, tag
from .window import Label


def derive_prk(label: Label, key: bytes) -> bytes:
    """`prk` (32 bytes) of window key `key` (32 bytes). The label's last element, the commitment,
    plays no part in it.
    """
    salt = hashlib.sha256(encode(label.plain()[:-1])).digest()
    return hmac.digest(salt, key, "sha256")  # HKDF-Extract is one HMAC


def key_commitment(prk: bytes) -> bytes:
    """`expand(prk, [tag("commit")], 32)`: what the label says of its key."""
    return expand(prk, [tag("commit")], 32)
