"""The ledger's queue: what institutions say goes in, and what the service itself lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from counterseal.protocol.errors import Refused, Unavailable
from counterseal.protocol.keys import InstitutionKey
from counterseal.protocol.ledger_statement import SIGNED, LedgerStatement
from counterseal.service.store.interface import Transaction

QUEUE_MAX = 10_000
"""Statements that may wait for their leaves."""


def check_posted(statement: bytes, institutions: Mapping[bytes, InstitutionKey]) -> bytes:
    """The digest of a statement's record, if an institution of a charter signed it.

    What it means is judged when it has its leaf. Raises `Refused` E5, X2, X4.
    """
    received = LedgerStatement.decode(statement)
    if not isinstance(received.record, SIGNED):
        raise Refused("E5", f"A {received.record.tag()} is not posted to the ledger.")
    received.signed.verify(institutions)
    return received.record.digest()


def enqueue(tables: Transaction, statement: bytes) -> None:
    """Puts a statement into the queue; the same bytes again change nothing.

    Raises `Unavailable` "backlog".
    """
    if tables.ledger.backlog() >= QUEUE_MAX:
        raise Unavailable("The ledger's queue is full; try again later.", code="backlog")
    tables.ledger.enqueue(hashlib.sha256(statement).digest(), statement)
