"""The sequencer's part of a keyset: a new ledger key, sealed to every reader of the charter."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .cbor import tag
from .keys import seal_to
from .keyset import LedgerKey, ledger_key_commitment, predecessor_aad, predecessor_key
from .verified_charter import VerifiedCharter


def make_ledger_key(
    key: bytes, charter: VerifiedCharter, quarter: int, first_chunk: int, predecessor: bytes | None
) -> LedgerKey:
    """The keyset's part that hands ledger key `key` (32 bytes, drawn by the sequencer) to every
    reader.
    """
    info = [tag("ledger-key-seal"), charter.charter.domain, charter.digest, quarter]
    sealed = tuple(
        seal_to(reader.xwing, [*info, i], key) for i, reader in enumerate(charter.charter.readers)
    )
    commitment = ledger_key_commitment(key)
    under = None
    if predecessor is not None:
        under = ChaCha20Poly1305(predecessor_key(key)).encrypt(
            bytes(12), predecessor, predecessor_aad(commitment)
        )
    return LedgerKey(commitment, first_chunk, sealed, under)
