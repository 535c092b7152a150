"""What the log holds of a statement, and what it means that the log holds it."""

from __future__ import annotations

import msgspec

from .cbor import H, tag

ENTRY_MAX = 65_535
"""Bytes of an entry of a log, at most: its length is two bytes in a bundle. The entries here have
32."""


def entry_hash(statement: bytes) -> bytes:
    """`H([tag("entry"), statement])`, 32 bytes: the log's entry of a statement, and the name by
    which the statement is fetched.
    """
    return H([tag("entry"), statement])


class LoggedEntry(msgspec.Struct, frozen=True):
    """An entry (32 bytes) that is at `index` of the log.

    `tlog.checkpoint.verify_logged` makes one of a proof under a checkpoint. The service, which
    writes the log, makes one of what it wrote; a program that reads its own store, of what it
    proved before it was stored.
    """

    entry: bytes
    index: int

    @classmethod
    def of(cls, statement: bytes, index: int) -> LoggedEntry:
        """The entry of a statement of which the caller knows that it is at `index`."""
        return cls(entry_hash(statement), index)
