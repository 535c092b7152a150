"""What the ledger's leaves commit to, and how many bytes of the ledger's stream that takes (section
8). The stream itself is in docs/tlog.md.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from .cbor import H, tag
from .record import TIME_MAX, Bytes32, Record, Time, Uint

SALT = 32
"""Bytes of the salt that hides what a leaf commits to."""
ITEM_HEADER = 4
"""Bytes before each opening in the stream: one of kind, three of length."""
STATEMENT_MAX = 4 << 20
"""Bytes of a statement in the ledger, at most."""
LEAVES_MAX = 1_024
"""Leaves of a tick, at most."""
BATCH_MAX = 8 << 20
"""Bytes of openings that the stream carries in a tick, at most."""


class Opening(Record, frozen=True, tag="counterseal/v1/opening"):
    """What a leaf commits to: a salt (32 bytes) and a statement's bytes, or None for a dummy. Its
    encoding is what the stream carries.
    """

    limit: ClassVar[int] = STATEMENT_MAX + 128
    salt: Annotated[bytes, Meta(min_length=SALT, max_length=SALT)]
    statement: bytes | None

    def leaf(self) -> bytes:
        """The ledger's entry, 32 bytes, that this opens."""
        return H([tag("leaf"), self.salt, self.statement])


class TickRecord(Record, frozen=True, tag="counterseal/v1/tick"):
    """What the first leaf of each tick opens to: the tick's number, its time (Unix seconds),
    SHA-256 of the chunk before it, and how many entries the public log had. That size dates what
    is in the log, for everybody alike: by the first tick whose size is above its index.
    """

    limit: ClassVar[int] = 128
    number: Uint
    time: Time
    previous: Bytes32 | None
    log_size: Uint


DUMMY_ITEM = ITEM_HEADER + len(Opening(bytes(SALT), None).encode())
"""Bytes that a dummy takes in the stream: 63."""
_LONGEST_TICK = TickRecord((1 << 63) - 1, TIME_MAX, bytes(32), (1 << 63) - 1)
TICK_ITEM = ITEM_HEADER + len(Opening(bytes(SALT), _LONGEST_TICK.encode()).encode())
"""Bytes that a tick's own record takes in the stream, at most: 146."""


def least_batch(leaves: int) -> int:
    """The bytes a tick that its `leaves` leaves (at least 2) ask for: its record and its dummies
    take at most half of them, so that there is always room for statements.
    """
    return 2 * (TICK_ITEM + (leaves - 1) * DUMMY_ITEM)
