"""Signing in turn: a charter or a keyset goes from hand to hand as a file, and each signer adds a
pair of signatures.

The file is the bare payload before the first signature and a COSE_Sign after it; the payload never
changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from counterseal.protocol import cbor
from counterseal.protocol.cose import ReceivedSign, add_signature, sign
from counterseal.protocol.errors import Refused
from counterseal.protocol.keys import InstitutionSigner


def payload_of(data: bytes, limit: int) -> bytes:
    """The payload in a file that is either the bare payload or a statement over it. Raises
    `Refused` E1 to E7, X1 to X4.
    """
    return data if _is_bare(data, limit) else ReceivedSign.decode(data, limit).payload


def signers_of(data: bytes, limit: int) -> tuple[bytes, ...]:
    """The kids that are said to have signed; none for a bare payload."""
    return () if _is_bare(data, limit) else ReceivedSign.decode(data, limit).kids


def add(data: bytes, signer: InstitutionSigner, limit: int) -> bytes:
    """The statement with this signer's pair in it; unchanged if it is there already."""
    if _is_bare(data, limit):
        return sign([signer], data)
    if signer.kid in ReceivedSign.decode(data, limit).kids:
        return data
    return add_signature(data, signer, limit)


def merge(files: Sequence[bytes], limit: int) -> bytes:
    """One statement with every file's signatures. Raises `Refused` X4 if the files are not over the
    same payload.
    """
    payload = payload_of(files[0], limit)
    if any(payload_of(data, limit) != payload for data in files):
        raise Refused(
            "X4",
            "The files to be joined are signatures over different records; take the same draft "
            "for all.",
        )
    signed = [ReceivedSign.decode(data, limit) for data in files if not _is_bare(data, limit)]
    pairs = {pair.kid: pair for statement in signed for pair in statement.pairs}
    if not pairs:
        return payload
    return ReceivedSign(payload, tuple(pairs[kid] for kid in sorted(pairs))).encode()


def _is_bare(data: bytes, limit: int) -> bool:
    value = cbor.decode(data, limit + (1 << 20))
    return type(value) is tuple and bool(value) and type(value[0]) is str
