"""Notices: sealed, all alike, published by witnesses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from counterseal.protocol.errors import NotAuthorised
from counterseal.protocol.notice import SealedNotice
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service.authentication import InstitutionCaller
from counterseal.service.store.interface import Transaction


def check_posted(
    sealed: bytes, position: int, caller: InstitutionCaller, charters: Iterable[VerifiedCharter]
) -> None:
    """Returns if this is a sealed notice by the witness at its position, in the charter in force or
    one before it, whose last notices are still due. Raises `NotAuthorised` "not-a-witness".
    """
    SealedNotice.decode(sealed)
    if not any(_is_witness(charter, caller.kid, position) for charter in charters):
        raise NotAuthorised(
            "Notices are published by the witness at the position named.", code="not-a-witness"
        )


def add(tables: Transaction, sealed: bytes, position: int, now: int) -> int:
    """Publishes a notice; returns its index from 1. The same again: the same index."""
    digest = hashlib.sha256(sealed).digest()
    known = tables.releases.find_notice(digest)
    if known is not None:
        return known
    return tables.releases.add_notice(digest, sealed, position, now)


def _is_witness(charter: VerifiedCharter, kid: bytes, position: int) -> bool:
    return position in charter.tree.witness_positions() and charter.holder_keys[position].kid == kid
