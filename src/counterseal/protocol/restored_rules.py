"""Trusted rules out of a program's own store, where only verified ones are put: they are taken back
in their order, and their signatures are not verified again.
"""

from __future__ import annotations

import hashlib

from .entry import LoggedEntry
from .keyset import ReceivedKeyset, VerifiedKeyset
from .trusted_rules import TrustedCharter, TrustedKeyset, TrustedRules
from .verified_charter import ReceivedCharter, VerifiedCharter


def restore_charter(
    rules: TrustedRules, statement: bytes, index: int, active: int | None
) -> TrustedCharter:
    """Takes in a charter as `TrustedRules.add_charter` does. Raises `Refused` C19 (or M7), E1 to
    E7, X1, X3, X4.
    """
    received = ReceivedCharter.decode(statement)
    digest = hashlib.sha256(received.cose.payload).digest()
    charter = VerifiedCharter(received.charter, digest, statement, received.cose.kids)
    return rules.add_charter(charter, LoggedEntry.of(statement, index), active)


def restore_keyset(
    rules: TrustedRules, statement: bytes, keys: tuple[bytes | None, ...], index: int
) -> TrustedKeyset:
    """Takes in a keyset, with `keys` as `VerifiedKeyset` has them, as `TrustedRules.add_keyset`
    does. Raises `Refused` K1, E1 to E7, X1, X3, X4.
    """
    received = ReceivedKeyset.decode(statement)
    digest = hashlib.sha256(received.cose.payload).digest()
    keyset = VerifiedKeyset(received.keyset, digest, keys, statement)
    return rules.add_keyset(keyset, LoggedEntry.of(statement, index))
