"""Statements that institutions sign: COSE_Sign with a pair of signatures each (section 1; RFC
9052).

A statement is `[protected, {}, payload, signatures]` without a CBOR tag. What was decoded is
`Received...`; only `verify` makes the payload something to act upon. Statements of devices and
accounts are in `sign1.py`.

| rule | refuses |
| --- | --- |
| X1 | a COSE structure with other headers, algorithms or order than specified; no signer, or over |
|    | 128 |
| X3 | an institution's Ed25519 signature without its ML-DSA-65 signature, or the reverse |
| X4 | a signer that the record does not admit, or the same signer twice |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from . import cbor
from .errors import Refused
from .keys import MLDSA65_SIGNATURE, InstitutionKey, InstitutionSigner
from .record import Part, decode_part

SIGNERS_MAX = 128
SIGNER_BYTES = 3_600
"""Bytes that one institution's two signatures add to a statement, rounded up."""
_SIGNATURES = 64 + SIGNERS_MAX * SIGNER_BYTES
"""Bytes that the signatures of all may add to a statement."""

_ED25519_HEADER = bytes.fromhex("a20132045820")
_MLDSA65_HEADER = bytes.fromhex("a2013830045820")


# Over 256 entries are too many signers (X1); the shape refuses (E6) only what would cost memory.
_ENTRIES_MAX = 8_192


class _Entry(Part, frozen=True):
    protected: bytes
    unprotected: dict[str, None]
    signature: Annotated[bytes, Meta(max_length=MLDSA65_SIGNATURE)]


class _Sign(Part, frozen=True):
    protected: bytes
    unprotected: dict[str, None]
    payload: bytes
    entries: Annotated[tuple[_Entry, ...], Meta(max_length=_ENTRIES_MAX)]


class SignaturePair(NamedTuple):
    """One institution's two signatures: Ed25519 (64 bytes) and ML-DSA-65 (3,309 bytes)."""

    kid: bytes
    ed25519: bytes
    mldsa65: bytes


class ReceivedSign(msgspec.Struct, frozen=True):
    """A COSE_Sign by institutions whose form is right and whose signatures nobody has checked."""

    payload: bytes
    pairs: tuple[SignaturePair, ...]

    @classmethod
    def decode(cls, data: bytes, limit: int) -> ReceivedSign:
        """Raises `Refused` E1 to E7, X1, X3 and X4. `limit` bounds the payload; the signatures have
        room beside it.
        """
        cose = decode_part(data, statement_max(limit), _Sign)
        if cose.protected:
            raise Refused("X1", "A COSE_Sign here has an empty protected header.")
        if len(cose.payload) > limit:
            raise Refused("E4", f"The payload has {len(cose.payload)} bytes, over {limit}.")
        return cls(cose.payload, _pairs(cose.entries))

    def encode(self) -> bytes:
        """The statement's bytes."""
        entries: list[Any] = []
        for pair in self.pairs:
            entries.append([_ED25519_HEADER + pair.kid, {}, pair.ed25519])
            entries.append([_MLDSA65_HEADER + pair.kid, {}, pair.mldsa65])
        return cbor.encode([b"", {}, self.payload, entries])

    @property
    def kids(self) -> tuple[bytes, ...]:
        """Who is said to have signed, in order; not yet verified."""
        return tuple(pair.kid for pair in self.pairs)

    def verify(self, allowed: Mapping[bytes, InstitutionKey]) -> tuple[bytes, ...]:
        """The kids that signed, all of them among `allowed` (kid to key). Raises `Refused` X2, X4,
        X6.
        """
        for pair in self.pairs:
            key = allowed.get(pair.kid)
            if key is None or key.kid != pair.kid:
                raise Refused("X4", f"The signer {pair.kid.hex()[:16]} is not admitted.")
            ed25519_input, mldsa65_input = _inputs(pair.kid, self.payload)
            key.verify(ed25519_input, pair.ed25519, mldsa65_input, pair.mldsa65)
        return self.kids


def statement_max(payload_max: int) -> int:
    """The bytes that a statement by institutions may have whose payload may have `payload_max`."""
    return payload_max + _SIGNATURES


def sign(signers: Sequence[InstitutionSigner], payload: bytes) -> bytes:
    """A COSE_Sign over `payload` by each of `signers` (at least one). Raises `Refused` X1 or X4."""
    pairs = tuple(sorted(_sign_pair(signer, payload) for signer in signers))
    return _checked(ReceivedSign(payload, pairs)).encode()


def add_signature(statement: bytes, signer: InstitutionSigner, limit: int) -> bytes:
    """The statement with one more signer's pair in its place: people sign in turn, handing a file
    on.

    Raises `Refused` X4 if this signer is in it already. Whoever signs looks at the payload first.
    """
    received = ReceivedSign.decode(statement, limit)
    pairs = tuple(sorted((*received.pairs, _sign_pair(signer, received.payload))))
    return _checked(ReceivedSign(received.payload, pairs)).encode()


def _sign_pair(signer: InstitutionSigner, payload: bytes) -> SignaturePair:
    return SignaturePair(signer.kid, *signer.sign(*_inputs(signer.kid, payload)))


def _inputs(kid: bytes, payload: bytes) -> tuple[bytes, bytes]:
    ed25519 = cbor.encode(["Signature", b"", _ED25519_HEADER + kid, b"", payload])
    return ed25519, cbor.encode(["Signature", b"", _MLDSA65_HEADER + kid, b"", payload])


def _pairs(entries: tuple[_Entry, ...]) -> tuple[SignaturePair, ...]:
    algorithms = [_algorithm(entry) for entry in entries]
    pairs: list[SignaturePair] = []
    at = 0
    while at < len(entries):
        classical, kid = algorithms[at]
        if not classical or at + 1 == len(entries) or algorithms[at + 1] != (False, kid):
            raise Refused("X3", f"{kid.hex()[:16]} gives only one of the two signatures.")
        pairs.append(SignaturePair(kid, entries[at].signature, entries[at + 1].signature))
        at += 2

    _checked(ReceivedSign(b"", tuple(pairs)))
    return tuple(pairs)


def _algorithm(entry: _Entry) -> tuple[bool, bytes]:
    """(is Ed25519, kid) of one entry."""
    for header, classical, size in (
        (_ED25519_HEADER, True, 64),
        (_MLDSA65_HEADER, False, MLDSA65_SIGNATURE),
    ):
        if entry.protected.startswith(header) and len(entry.protected) == len(header) + 32:
            if len(entry.signature) != size:
                raise Refused("E6", f"A signature has {len(entry.signature)} bytes, not {size}.")
            return classical, entry.protected[len(header) :]
    raise Refused("X1", "A signature's header is neither {1: -19, 4: kid} nor {1: -49, 4: kid}.")


def _checked(received: ReceivedSign) -> ReceivedSign:
    kids = received.kids
    if len(set(kids)) != len(kids):
        raise Refused("X4", "The same signer is in a statement twice.")
    if not 1 <= len(kids) <= SIGNERS_MAX or list(kids) != sorted(kids):
        raise Refused("X1", f"A statement has 1 to {SIGNERS_MAX} signers, in order of kid.")
    return received
