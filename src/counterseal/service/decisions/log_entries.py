"""An entry of the log gets its index in the transaction of the change that it records."""

from __future__ import annotations

from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import NotFound
from counterseal.service.store.interface import ReadLog, Transaction
from counterseal.service.store.rows import StoredEntry

ACCOUNT_KINDS = frozenset({"account", "device", "device-revoked", "account-key"})
"""The kinds of entries that only devices may read."""


def append(tables: Transaction, statement: bytes, kind: str, now: int) -> int:
    """Puts a statement into the log; returns its index, which is final once the job's write is."""
    index = tables.log.size()
    tables.log.add(StoredEntry(index, entry_hash(statement), statement, kind, now))
    return index


def get(log: ReadLog, entry: bytes) -> StoredEntry:
    """The first entry with this hash. Raises `NotFound` "entry"."""
    found = log.find(entry)
    if found is None:
        raise NotFound("The log has no such entry.", code="entry")
    return found
