"""Charters, keysets, holders' keys and revocations, as they are logged once they are verified."""

from __future__ import annotations

from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import Conflict
from counterseal.protocol.keys import check_xwing
from counterseal.protocol.keyset import HolderKey, Keyset, VerifiedKeyset, check_holder_key
from counterseal.protocol.trusted_rules import VerifiedRevocation
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service.decisions import ledger_keys, log_entries
from counterseal.service.store.interface import Duplicate, Transaction
from counterseal.service.store.rows import (
    StoredCharter,
    StoredKeyset,
    StoredLedgerKey,
    StoredRevocation,
)


def log_charter(
    tables: Transaction, charter: VerifiedCharter, active_from: int, first: bool, now: int
) -> StoredCharter:
    """Logs a charter; a first one of a demonstration starts its window clock.

    Raises `Conflict` "charter-published".
    """
    index = log_entries.append(tables, charter.statement, "charter", now)
    row = StoredCharter(
        charter.charter.version, charter.digest, charter.statement, index, active_from
    )
    try:
        tables.trust.add_charter(row)
    except Duplicate:
        raise Conflict(
            "Another charter of this version came first.", code="charter-published"
        ) from None
    if first and charter.charter.demonstration:
        tables.periods.set_clock(charter.charter.valid_from)
    return row


def log_keyset(tables: Transaction, keyset: VerifiedKeyset, now: int) -> StoredKeyset:
    """Logs a keyset, and with it takes its ledger key into use.

    Raises `Conflict` "ledger-key", "keyset-published".
    """
    record = keyset.keyset
    commitment = ledger_keys.check_drawn(tables.trust.ledger_keys(), record)
    ledger_keys.check_first_chunk(record.ledger_key.first_chunk, tables.ledger.load().tick)

    index = log_entries.append(tables, keyset.statement, "keyset", now)
    row = StoredKeyset(
        record.charter_digest, record.quarter, keyset.digest, keyset.statement, index
    )
    try:
        tables.trust.add_keyset(row)
    except Duplicate:
        raise Conflict(
            "A keyset of this charter and quarter is logged already.", code="keyset-published"
        ) from None
    tables.trust.mark_ledger_key(commitment)
    return row


def log_revocation(
    tables: Transaction, revocation: VerifiedRevocation, statement: bytes, now: int
) -> StoredRevocation:
    """Logs a revocation."""
    index = log_entries.append(tables, statement, "revocation", now)
    record = revocation.revocation
    row = StoredRevocation(record.issuer, record.start, statement, index)
    tables.trust.add_revocation(row)
    return row


def check_delivered(statement: bytes, charter: VerifiedCharter) -> HolderKey:
    """A holder's key of a quarter, of the newest charter. Raises `Refused` K3, K5."""
    claimed = HolderKey.decode(ReceivedSign.decode(statement, HolderKey.limit).payload)
    key = check_holder_key(statement, charter, claimed.quarter, claimed.position)
    check_xwing(key.xwing)
    return key


def draft_keyset(
    charter: VerifiedCharter,
    quarter: int,
    previous: VerifiedKeyset | None,
    delivered: dict[int, bytes],
    drawn: StoredLedgerKey,
) -> Keyset:
    """The keyset of a quarter so far: the holders' keys delivered, the ledger key drawn."""
    keys = tuple(delivered.get(position) for position in range(len(charter.holder_keys)))
    return Keyset(
        domain=charter.charter.domain,
        charter_digest=charter.digest,
        quarter=quarter,
        previous=previous.digest if previous else None,
        holder_keys=keys,
        ledger_key=ledger_keys.read_part(drawn),
    )
