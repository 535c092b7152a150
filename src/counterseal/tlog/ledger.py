"""The ledger's bytes: leaves, openings, and the encrypted stream that carries the openings, one
chunk a tick.

A leaf tells nothing to whoever has no ledger key. A tick always adds the same number of leaves and
always sends the same number of bytes, so that not even how much is going on can be seen. The writer
is in ledger_writer.py, the reader in ledger_reader.py.

A chunk's plaintext is `batch` bytes: items, then zeros. An item is one byte of kind, three bytes of
length, and that many bytes: a whole opening, a part of a long one with more to come, or its last
part. One long opening at a time is under way; whole ones may pass it. The openings that end in a
chunk are the tick's leaves, in order. The first of them is the tick's own record, so that its time,
and the bytes of the chunk before, are under the cosigned root like everything else: every reader
holds the ledger key, so what a chunk says about itself would bind nobody.

| rule | refuses |
| --- | --- |
| G1 | a leaf whose opening is missing or does not open it: a chunk that does not decrypt, an |
|    | opening that is not of the form, a root that is not the one computed |
| G6 | a chunk for which there is no ledger key |
| G7 | ledger keys that do not follow one another, or a key that is not the one committed to |
| G9 | a chunk out of turn, of the wrong length, without its tick's record, or with items that are |
|    | not of the form |
| G10 | leaves and batch that do not go together, or a statement over 4 MiB |
"""

import hashlib
import hmac
import itertools
from collections.abc import Iterable, Iterator

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from counterseal.protocol.cbor import encode, expand, tag
from counterseal.protocol.errors import refuse_as
from counterseal.protocol.keyset import ledger_key_commitment
from counterseal.protocol.ledger_leaf import BATCH_MAX, ITEM_HEADER, Opening, least_batch
from counterseal.tlog.errors import LedgerError

MAX_OPENING = Opening.limit
CHUNK_OVERHEAD = 16

PADDING, WHOLE, PART, LAST = range(4)


class Segment(msgspec.Struct, frozen=True):
    """A stretch of the stream under one ledger key (32 bytes): from chunk `first_chunk` on, with so
    many leaves and bytes a tick.
    """

    first_chunk: int
    key: bytes
    leaves: int
    batch: int


class Schedule:
    """The ledger's segments in order, from chunk 0. A chunk and the tick that it belongs to have
    one number.

    Raises `LedgerError` G7 unless the first begins at 0 and each begins after the one before, G10
    for a cadence that cannot work.
    """

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = tuple(segments)
        starts = [segment.first_chunk for segment in self.segments]
        if starts[:1] != [0] or any(a >= b for a, b in itertools.pairwise(starts)):
            raise LedgerError("G7", "The ledger's keys begin at chunk 0, each later than the last.")
        for segment in self.segments:
            check_cadence(segment.leaves, segment.batch)

    def segment(self, chunk: int) -> Segment:
        """The segment that a chunk lies in. Raises `LedgerError` G6."""
        for segment in reversed(self.segments):
            if segment.first_chunk <= chunk:
                return segment
        raise LedgerError("G6", f"There is no ledger key for chunk {chunk}.")

    def first_leaf(self, tick: int) -> int:
        """The index of a tick's first leaf, which is also the ledger's size before that tick."""
        total = 0
        for segment, after in zip(self.segments, (*self.segments[1:], None), strict=True):
            end = tick if after is None else min(tick, after.first_chunk)
            total += max(end - segment.first_chunk, 0) * segment.leaves
        return total


def check_cadence(leaves: int, batch: int) -> None:
    """Returns if a tick's record and its dummies take at most half of a chunk of `batch` bytes.
    Raises `LedgerError` G10. `leaves` is at least 2.
    """
    least = least_batch(leaves)
    if not (leaves >= 2 and least <= batch <= BATCH_MAX):
        raise LedgerError("G10", f"{leaves} leaves (at least 2) need {least} bytes to 8 MiB.")


def check_key(key: bytes, commitment: bytes) -> bytes:
    """The ledger key itself, if it is the one that its record commits to. Raises
    `LedgerError` G7.
    """
    if len(key) != 32 or not hmac.compare_digest(ledger_key_commitment(key), commitment):
        raise LedgerError("G7", "This is not the ledger key that the record commits to.")
    return key


def decode_opening(data: bytes) -> Opening:
    """The opening in `data`. Raises `LedgerError` G1."""
    with refuse_as("G1", "An opening cannot be read:", LedgerError):
        return Opening.decode(data)


def item(kind: int, data: bytes) -> bytes:
    """One item of a chunk."""
    return bytes([kind]) + len(data).to_bytes(3, "big") + data


def parse_chunk(plaintext: bytes) -> tuple[tuple[int, bytes], ...]:
    """The items `(kind, data)` of a chunk. Raises `LedgerError` G9."""
    return tuple(_items(plaintext))


def chunk_digest(chunk: bytes) -> bytes:
    """What the next tick's record names a sealed chunk by: SHA-256, 32 bytes."""
    return hashlib.sha256(chunk).digest()


def _items(plaintext: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + ITEM_HEADER <= len(plaintext) and plaintext[at] != PADDING:
        kind, start = plaintext[at], at + ITEM_HEADER
        at = start + int.from_bytes(plaintext[at + 1 : start], "big")
        if kind > LAST or at > len(plaintext) or at == start:
            raise LedgerError("G9", "A chunk holds an item that is not of the form.")
        yield kind, plaintext[start:at]
    if any(plaintext[at:]):  # anything else would be a place to hide words in
        raise LedgerError("G9", "A chunk does not end in zeros.")


def open_chunk(segment: Segment, origin: str, number: int, chunk: bytes) -> bytes:
    """The chunk's plaintext. Raises `LedgerError` G9 for a wrong length, G1 if it does
    not decrypt.
    """
    if len(chunk) != segment.batch + CHUNK_OVERHEAD:
        raise LedgerError("G9", f"Chunk {number} has {len(chunk)} bytes, another length.")

    key = expand(segment.key, [tag("ledger-chunk"), number], 32)
    try:
        return ChaCha20Poly1305(key).decrypt(
            bytes(12), chunk, encode([tag("ledger-chunk"), origin, number])
        )
    except InvalidTag as error:
        raise LedgerError(
            "G1", f"Chunk {number} does not open under the ledger key: fetch it again."
        ) from error
