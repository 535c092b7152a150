"""The request by which a log asks a witness to cosign (C2SP tlog-witness v1.0.0).

| rule | refuses |
| --- | --- |
| T15 | an add-checkpoint request that is not of the form, or over 64 KiB (400) |
"""

import hashlib

import msgspec

from counterseal.protocol.errors import refuse_as
from counterseal.tlog.checkpoint import parse_checkpoint, parse_size
from counterseal.tlog.errors import TlogError
from counterseal.tlog.note import ReceivedNote, decode_base64, encode_base64, parse_note
from counterseal.tlog.proof import MAX_PATH
from counterseal.tlog.tree import HASH_SIZE

MAX_REQUEST = 64 * 1024


class AddCheckpoint(msgspec.Struct, frozen=True):
    """The body of an add-checkpoint request: the size to go on from, the consistency path, and a
    log's signed checkpoint.
    """

    old_size: int
    path: tuple[bytes, ...]
    note: ReceivedNote

    def format(self) -> bytes:
        """The request's bytes."""
        lines = "".join(encode_base64(node) + "\n" for node in self.path)
        return f"old {self.old_size}\n{lines}\n".encode() + self.note.format()


def parse_request(body: bytes) -> AddCheckpoint:
    """The add-checkpoint request in `body`, nothing in it verified. Raises `TlogError` T15."""
    head, separator, note = body.partition(b"\n\n")
    if not separator or len(body) > MAX_REQUEST or not head.isascii():
        raise TlogError("T15", f"A request is size, proof and checkpoint, at most {MAX_REQUEST} B.")

    first, *lines = head.decode().split("\n")
    if not first.startswith("old ") or len(lines) > MAX_PATH:
        raise TlogError("T15", "A request begins with the old size and at most 63 hashes.")

    path = tuple(decode_base64(line, "T15") for line in lines)
    if any(len(node) != HASH_SIZE for node in path):
        raise TlogError("T15", "A line of proof is one hash.")

    with refuse_as("T15", "The checkpoint cannot be read:", TlogError):
        received = parse_note(note)
        parse_checkpoint(received.text)

    return AddCheckpoint(parse_size(first[4:], "T15"), path, received)


def origin_digest(origin: str) -> str:
    """What names a log in a witness's monitoring path: SHA-256 of its origin in lower-case
    hex.
    """
    return hashlib.sha256(origin.encode()).hexdigest()


TEXT = "text/plain; charset=utf-8"

SIZE_TYPE = "text/x.tlog.size"
