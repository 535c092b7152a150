"""Keys in words: an institution's new key, and the keys of a quarter."""

from __future__ import annotations

from counterseal.protocol.keyset import Keyset
from counterseal.protocol.verified_charter import VerifiedCharter

from .phrases import names, quarter_name


def describe_new_key(kid: bytes, whose: str = "The key") -> str:
    """What an institution does so that its fresh key gets into the charter and no other."""
    return f"{whose} is {kid.hex()}; read it out to them over another channel."


def describe_keyset(keyset: Keyset, charter: VerifiedCharter) -> list[str]:
    """What a keyset's signer signs, one sentence a line."""
    count, missing = len(keyset.holder_keys), absent_holders(keyset, charter)
    return [
        (
            f"Keyset of {quarter_name(keyset.quarter)} for {keyset.domain} under charter "
            f"{charter.charter.version}."
        ),
        f"It has sealing keys of {count - len(missing)} of {count} holders.",
        f"No key was delivered by {names(missing)}.",
        f"It starts a new ledger key, sealed to {len(keyset.ledger_key.sealed)} readers.",
    ]


def absent_holders(keyset: Keyset, charter: VerifiedCharter) -> list[str]:
    """The names of the holders whose keys are not in the keyset."""
    return [
        charter.holder_name(position)
        for position, statement in enumerate(keyset.holder_keys)
        if statement is None
    ]
