"""Checkpoints and cosignatures (C2SP tlog-checkpoint v1.0.0, tlog-cosignature v1.1.0-rc.1).

A log signs a checkpoint with Ed25519 (0x01) and ML-DSA-44 (0x06); a witness cosigns it with Ed25519
(0x04) and ML-DSA-44 (0x06). Both of a pair are needed, always: one still holds if the
other's mathematics should fall.

| rule | refuses |
| --- | --- |
| T2 | two verifier keys that are no pair (a key that is none at all is C7) |
| T3 | a checkpoint text that is not origin, size and root, or has extension lines |
| T4 | a signature by a known key that does not verify |
| T5 | a checkpoint without both of its log's signatures |
| T6 | a checkpoint of another log |
| T7 | a cosignature without a time, or of the wrong length |
| T8 | fewer cosigning witnesses than needed |
| T29 | a checkpoint smaller than one already seen, or of the same size with another root |
| T30 | a checkpoint older than allowed |
"""

import hmac
import struct
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from counterseal.protocol.entry import LoggedEntry
from counterseal.protocol.vkey import LOG_ED25519, MLDSA44, WITNESS_ED25519, VerifierKey, parse_vkey
from counterseal.tlog.errors import TlogError
from counterseal.tlog.note import (
    MAX_NAME,
    ReceivedNote,
    SignatureLine,
    decode_base64,
    encode_base64,
    parse_note,
)
from counterseal.tlog.proof import verify_consistency, verify_inclusion
from counterseal.tlog.tree import HASH_SIZE, MAX_SIZE, leaf_hash

_SUBTREE_LABEL = b"subtree/v1\n\0"
_SIGNATURE_SIZES = {LOG_ED25519: 64, WITNESS_ED25519: 8 + 64, MLDSA44: 8 + 2420}


class Checkpoint(msgspec.Struct, frozen=True):
    """What a log says about itself: its origin (1 to 255 bytes), its size in leaves and its root
    (32 bytes).
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text: three lines, each ended by a newline."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


class VerifiedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint that bears both of its log's signatures. `note` is its bytes as they came."""

    checkpoint: Checkpoint
    note: bytes


class CosignedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint with its log's signatures and enough witnesses. `time` is the earliest of the c
    latest cosignature times.

    `witnesses` are the names and times (Unix seconds) of those that cosigned with both keys, latest
    first.
    """

    checkpoint: Checkpoint
    time: int
    witnesses: tuple[tuple[str, int], ...]
    note: bytes


class KeyPair(msgspec.Struct, frozen=True):
    """The two verifier keys of a log (kinds 0x01 and 0x06) or of a witness (kinds 0x04 and 0x06),
    under one name.
    """

    ed25519: VerifierKey
    mldsa44: VerifierKey

    @property
    def name(self) -> str:
        """The name in both keys: for a log, its origin."""
        return self.ed25519.name

    def texts(self) -> tuple[str, str]:
        """The two keys as text, as the charter holds them."""
        return self.ed25519.text(), self.mldsa44.text()


def log_keys(texts: Sequence[str]) -> KeyPair:
    """A log's pair of verifier keys out of `[ed25519, mldsa44]`. Raises `TlogError` T2 or C7."""
    return _pair(texts, LOG_ED25519)


def witness_keys(texts: Sequence[str]) -> KeyPair:
    """A witness's pair of verifier keys out of `[ed25519, mldsa44]`. Raises `TlogError`
    T2 or C7.
    """
    return _pair(texts, WITNESS_ED25519)


def cosignature_message(checkpoint: Checkpoint, time: int) -> bytes:
    """What an Ed25519 cosignature (0x04) signs."""
    return f"cosignature/v1\ntime {time}\n{checkpoint.text()}".encode()


def subtree_message(
    cosigner: str, time: int, origin: str, start: int, end: int, root: bytes
) -> bytes:
    """What an ML-DSA-44 cosignature (0x06) signs, over the subtree of leaves `[start, end)`; a
    checkpoint starts at 0.
    """
    name, log = cosigner.encode(), origin.encode()
    signer = bytes([len(name)]) + name + struct.pack(">Q", time)
    subtree = bytes([len(log)]) + log + struct.pack(">QQ", start, end) + root
    return _SUBTREE_LABEL + signer + subtree


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text. Raises `TlogError` T3."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise TlogError("T3", "A checkpoint is three lines: origin, size and root.")
    origin, digits, root = lines[0], lines[1], decode_base64(lines[2], "T3")
    if not origin or len(origin.encode()) > MAX_NAME:
        raise TlogError("T3", "An origin is 1 to 255 bytes.")
    if len(root) != HASH_SIZE:
        raise TlogError("T3", "A root is 32 bytes.")
    return Checkpoint(origin, parse_size(digits, "T3"), root)


def parse_size(digits: str, rule: str) -> int:
    """A tree size in decimal without leading zeroes, at most 2**63 - 1; raises `rule`."""
    if (
        not (digits.isascii() and digits.isdigit())
        or len(digits) > 19
        or digits != str(int(digits))
    ):
        raise TlogError(rule, "A size is decimal digits without leading zeroes.")
    size = int(digits)
    if size > MAX_SIZE:
        raise TlogError(rule, "A size is at most 2**63 - 1.")
    return size


def verify_line(checkpoint: Checkpoint, key: VerifierKey, line: SignatureLine) -> int:
    """The time (Unix seconds, 0 if it states none, as kind 0x01 never does) of one signature that
    verifies. Raises `TlogError` T4 or T7.
    """
    if len(line.signature) != _SIGNATURE_SIZES[key.kind]:
        raise TlogError("T7", f"The signature of {key.name!r} is of the wrong length.")

    try:
        if key.kind == LOG_ED25519:
            Ed25519PublicKey.from_public_bytes(key.key).verify(
                line.signature, checkpoint.text().encode()
            )
            return 0
        time = int.from_bytes(line.signature[:8], "big")
        if time > MAX_SIZE:
            raise TlogError("T7", f"The time of {key.name!r} is over 2**63 - 1.")
        if key.kind == WITNESS_ED25519:
            message = cosignature_message(checkpoint, time)
            Ed25519PublicKey.from_public_bytes(key.key).verify(line.signature[8:], message)
        else:
            message = subtree_message(
                key.name, time, checkpoint.origin, 0, checkpoint.size, checkpoint.root
            )
            MLDSA44PublicKey.from_public_bytes(key.key).verify(line.signature[8:], message)
    except (InvalidSignature, ValueError) as error:  # ValueError: bytes that are no public key
        raise TlogError("T4", f"A signature by the key {key.name!r} does not verify.") from error

    return time


def verify_checkpoint(
    data: bytes | ReceivedNote, log: KeyPair, origin: str | None = None
) -> VerifiedCheckpoint:
    """The checkpoint that `data` holds, signed by both of the log's keys. Raises `TlogError` T1, T3
    to T7.

    `origin` is the log's name unless given.
    """
    note = parse_note(data) if isinstance(data, bytes) else data
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != (log.name if origin is None else origin):
        raise TlogError("T6", f"This is a checkpoint of {checkpoint.origin!r}, another log.")
    if pair_time(note, checkpoint, log) is None:
        raise TlogError("T5", f"One of the two signatures of {checkpoint.origin!r} is missing.")
    return VerifiedCheckpoint(checkpoint, note.format())


def verify_cosigned(
    data: bytes | ReceivedNote, log: KeyPair, witnesses: Sequence[KeyPair], needed: int
) -> CosignedCheckpoint:
    """The checkpoint that `data` holds, signed by the log and by at least `needed` of `witnesses`.
    Raises `TlogError` T1, T3 to T8.
    """
    note = parse_note(data) if isinstance(data, bytes) else data
    verified = verify_checkpoint(note, log)
    cosigned: dict[str, int] = {}
    for pair in witnesses:
        time = pair_time(note, verified.checkpoint, pair)
        if time is not None:
            cosigned[pair.name] = time

    if needed < 1 or len(cosigned) < needed:
        raise TlogError("T8", f"{len(cosigned)} witnesses cosigned, {needed} are needed.")

    latest_first = sorted(cosigned.items(), key=lambda item: (-item[1], item[0]))
    return CosignedCheckpoint(
        verified.checkpoint, latest_first[needed - 1][1], tuple(latest_first), verified.note
    )


def pair_time(note: ReceivedNote, checkpoint: Checkpoint, pair: KeyPair) -> int | None:
    """The earlier time of the pair's two signatures on the note, or None if one is missing. Raises
    `TlogError` T4 or T7 if one is bad.

    A log's Ed25519 signature carries no time, so its pair's time is its ML-DSA signature's.
    """
    times: list[int] = []
    for key in (pair.ed25519, pair.mldsa44):
        line = note.line_of(key)
        if line is None:
            return None
        times.append(verify_line(checkpoint, key, line))
    if pair.ed25519.kind != WITNESS_ED25519:
        return times[1]
    # a log may sign without a time; a witness says that this was its largest tree, and when
    if min(times) == 0:
        raise TlogError("T7", f"The cosignature of {pair.name!r} has no time.")
    return min(times)


def follow(
    seen: Checkpoint | None, received: CosignedCheckpoint, path: Sequence[bytes] = ()
) -> CosignedCheckpoint:
    """The received checkpoint, if the last one seen is a prefix of it by the consistency `path`.
    Raises `TlogError` T6, T10, T11 or T29.
    """
    new = received.checkpoint
    if seen is None:
        return received
    if seen.origin != new.origin:
        raise TlogError("T6", f"This is a checkpoint of {new.origin!r}, not of {seen.origin!r}.")
    if new.size < seen.size or (
        new.size == seen.size and not hmac.compare_digest(new.root, seen.root)
    ):
        raise TlogError("T29", f"Size {new.size} after size {seen.size} is a fork: keep both.")

    verify_consistency(seen.size, seen.root, new.size, new.root, path)
    return received


def verify_logged(
    entry: bytes, index: int, path: Sequence[bytes], checkpoint: Checkpoint
) -> LoggedEntry:
    """The entry's proved place in the public log under this checkpoint. Raises `TlogError` T9 or
    T11.
    """
    verify_inclusion(leaf_hash(entry), index, checkpoint.size, checkpoint.root, path)
    return LoggedEntry(entry, index)


def check_fresh(received: CosignedCheckpoint, now: int, limit: int) -> CosignedCheckpoint:
    """The checkpoint itself, if its time is at most `limit` seconds before `now`. Raises
    `TlogError` T30.
    """
    if now - received.time > limit:
        raise TlogError(
            "T30", f"The checkpoint is {now - received.time} s old, over {limit} s; fetch another."
        )
    return received


def _pair(texts: Sequence[str], kind: int) -> KeyPair:
    if len(texts) != 2:
        raise TlogError("T2", "A pair of keys is one Ed25519 and one ML-DSA-44 verifier key.")
    first, second = parse_vkey(texts[0], (kind,)), parse_vkey(texts[1], (MLDSA44,))
    if first.name != second.name:
        raise TlogError("T2", f"The keys of {first.name!r} and {second.name!r} are no pair.")
    return KeyPair(first, second)
