"""The private keys of a log and of a witness, and what they sign.

| rule | refuses |
| --- | --- |
| T23 | a witness's answer without its two cosignatures |
"""

import struct
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from counterseal.protocol.vkey import (
    LOG_ED25519,
    MLDSA44,
    WITNESS_ED25519,
    make_vkey,
)
from counterseal.tlog.checkpoint import (
    Checkpoint,
    KeyPair,
    cosignature_message,
    pair_time,
    subtree_message,
)
from counterseal.tlog.errors import TlogError
from counterseal.tlog.note import (
    ReceivedNote,
    SignatureLine,
)


class LogSigner:
    """A log's two private keys. Whoever holds one signs only what the sequencer's row says."""

    def __init__(self, origin: str, ed25519: Ed25519PrivateKey, mldsa44: MLDSA44PrivateKey) -> None:
        self._ed25519, self._mldsa44 = ed25519, mldsa44
        self.keys = _public_pair(origin, LOG_ED25519, ed25519, mldsa44)

    def sign(self, checkpoint: Checkpoint, time: int) -> ReceivedNote:
        """The checkpoint as a note with both signatures. `time` (Unix seconds, over 0) goes into
        the second.
        """
        first = self._ed25519.sign(checkpoint.text().encode())
        second = _mldsa44_signature(self._mldsa44, self.keys.name, checkpoint, time)
        return ReceivedNote(checkpoint.text(), _lines(self.keys, first, second))


class WitnessSigner:
    """A witness's two private keys. What it may cosign is decided in witness.py."""

    def __init__(self, name: str, ed25519: Ed25519PrivateKey, mldsa44: MLDSA44PrivateKey) -> None:
        self._ed25519, self._mldsa44 = ed25519, mldsa44
        self.keys = _public_pair(name, WITNESS_ED25519, ed25519, mldsa44)

    def sign(self, checkpoint: Checkpoint, time: int) -> tuple[SignatureLine, SignatureLine]:
        """Both cosignatures of the checkpoint, made at `time` (Unix seconds, over 0)."""
        first = struct.pack(">Q", time) + self._ed25519.sign(cosignature_message(checkpoint, time))
        second = _mldsa44_signature(self._mldsa44, self.keys.name, checkpoint, time)
        return _lines(self.keys, first, second)


def _public_pair(
    name: str, kind: int, ed25519: Ed25519PrivateKey, mldsa44: MLDSA44PrivateKey
) -> KeyPair:
    return KeyPair(
        make_vkey(name, kind, ed25519.public_key().public_bytes_raw()),
        make_vkey(name, MLDSA44, mldsa44.public_key().public_bytes_raw()),
    )


def _lines(keys: KeyPair, first: bytes, second: bytes) -> tuple[SignatureLine, SignatureLine]:
    return (
        SignatureLine(keys.name, keys.ed25519.key_hash, first),
        SignatureLine(keys.name, keys.mldsa44.key_hash, second),
    )


def _mldsa44_signature(
    key: MLDSA44PrivateKey, name: str, checkpoint: Checkpoint, time: int
) -> bytes:
    message = subtree_message(name, time, checkpoint.origin, 0, checkpoint.size, checkpoint.root)
    return struct.pack(">Q", time) + key.sign(message)


def add_signatures(note: ReceivedNote, lines: Iterable[SignatureLine]) -> ReceivedNote:
    """The note with more signature lines; a line whose key signed it already is left out."""
    merged = list(note.signatures)
    seen = {(line.name, line.key_id) for line in merged}
    for line in lines:
        if (line.name, line.key_id) not in seen:
            merged.append(line)
            seen.add((line.name, line.key_id))
    return ReceivedNote(note.text, tuple(merged))


def cosign_note(
    note: ReceivedNote, checkpoint: Checkpoint, witness: KeyPair, lines: Sequence[SignatureLine]
) -> ReceivedNote:
    """The note with a witness's two cosignatures out of its answer. Raises `TlogError` T4, T7, or
    T23 if one is missing.
    """
    answer = ReceivedNote(note.text, tuple(lines))
    if pair_time(answer, checkpoint, witness) is None:
        raise TlogError("T23", f"The answer of {witness.name!r} lacks one of its two cosignatures.")
    own = [
        line
        for key in (witness.ed25519, witness.mldsa44)
        if (line := answer.line_of(key)) is not None
    ]
    stale = {(line.name, line.key_id) for line in own}
    kept = tuple(line for line in note.signatures if (line.name, line.key_id) not in stale)
    return add_signatures(ReceivedNote(note.text, kept), own)
