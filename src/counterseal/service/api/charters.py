"""Publishing charters, keysets and revocations. The service checks, logs and obeys them; it can
change none.
"""

from __future__ import annotations

from typing import Annotated

import apsw
import msgspec
from msgspec import Meta

from counterseal.protocol import cbor
from counterseal.protocol.approval import Revocation
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import Conflict
from counterseal.protocol.keys import check_xwing
from counterseal.protocol.keyset import (
    HolderKey,
    Keyset,
    LedgerKey,
    ReceivedKeyset,
    VerifiedKeyset,
    check_holder_key,
    ledger_key_commitment,
    make_ledger_key,
)
from counterseal.protocol.record import Part, convert
from counterseal.protocol.trusted_rules import verify_revocation
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service import clock
from counterseal.service.api.http import Answer, Call
from counterseal.service.app import Service
from counterseal.service.charters import LoggedCharter, LoggedKeyset, keyset_row
from counterseal.service.store import charters as table
from counterseal.service.store import log
from counterseal.service.store.charters import LedgerKeyRow, RevocationRow

LIMIT = 8 * 1024 * 1024


class Statement(Part, frozen=True):
    """`[COSE]`."""

    cose: Annotated[bytes, Meta(max_length=LIMIT)]


async def post_charter(call: Call) -> Answer:
    """`POST /v1/charters`: the first one, then its unique successors (C18, C19)."""
    service, statement = call.service, call.decode(Statement).cose
    known = _published(service, statement)
    if known is not None:
        return [known.verified.digest, known.log_index]
    logged = service.charters.check_successor(statement, clock.real())
    first = not service.charters.charters
    service.check_own_keys(logged.verified)

    def job(db: apsw.Connection) -> int:
        index = log.append(db, statement, "charter", clock.real())
        table.add_charter(
            db,
            logged.verified.charter.version,
            logged.verified.digest,
            service.charters.row(logged, index),
        )
        if first and logged.verified.charter.demonstration:
            table.set_meta(db, "clock", logged.verified.charter.valid_from)
        return index

    def after(index: int) -> None:
        service.charter_logged(msgspec.structs.replace(logged, log_index=index))

    try:
        index = await service.store.write("charter", job, after)
    except apsw.ConstraintError:
        raise Conflict(
            "Another charter of this version came first.", code="charter-published"
        ) from None
    return [logged.verified.digest, index]


def _published(service: Service, statement: bytes) -> LoggedCharter | None:
    return next(
        (one for one in service.charters.charters if one.verified.statement == statement), None
    )


async def draft(call: Call) -> Answer:
    """`GET /v1/keysets/draft/{quarter}`: for the newest charter; draws the ledger key when it is
    first asked for.
    """
    service, quarter = call.service, call.path_integer("quarter")
    charter = _newest(service)
    await _ledger_key(service, charter, quarter)
    return [(await _draft(service, charter, quarter)).encode()]


async def post_holder_key(call: Call) -> Answer:
    """`POST /v1/keysets/holder-keys`: a holder delivers its key of a quarter (K3, K5)."""
    service, statement = call.service, call.decode(Statement).cose
    charter = _newest(service)
    claimed = HolderKey.decode(ReceivedSign.decode(statement, HolderKey.limit).payload)
    key = check_holder_key(statement, charter, claimed.quarter, claimed.position)
    check_xwing(key.xwing)

    def job(db: apsw.Connection) -> None:
        table.add_holder_key(db, charter.digest, key.quarter, key.position, statement)

    await service.store.write("holder-key", job)
    return [key.position]


async def post_keyset(call: Call) -> Answer:
    """`POST /v1/keysets`: signed by the custodians' quorum and c witnesses (K1 to K8). The lowest
    log index wins.
    """
    service, statement = call.service, call.decode(Statement).cose
    known = next(
        (one for one in service.charters.keysets if one.verified.statement == statement), None
    )
    if known is not None:
        return [known.verified.digest, known.log_index]
    received = ReceivedKeyset.decode(statement)
    charter = service.charters.charter(received.keyset.charter_digest).verified
    verified = received.check(charter, service.charters.last_keyset)
    commitment = _check_ledger_key(service, verified)

    def job(db: apsw.Connection) -> int:
        service.ledger.check_first_chunk(db, verified.keyset.ledger_key.first_chunk)
        index = log.append(db, statement, "keyset", clock.real())
        table.add_keyset(db, verified.digest, keyset_row(verified, index))
        table.mark_ledger_key(db, commitment)
        return index

    try:
        index = await service.store.write(
            "keyset", job, lambda index: service.keyset_logged(LoggedKeyset(verified, index))
        )
    except apsw.ConstraintError:
        raise Conflict(
            "A keyset of this charter and quarter is logged already.", code="keyset-published"
        ) from None
    return [verified.digest, index]


async def post_revocation(call: Call) -> Answer:
    """`POST /v1/revocations`: the custodians' quorum revokes an issuer's key (W18)."""
    service, statement = call.service, call.decode(Statement).cose
    known = next((row for row in service.charters.revocations if row.statement == statement), None)
    if known is not None:
        return [known.log_index]
    verified = verify_revocation(statement, service.charters.in_force)
    revocation: Revocation = verified.revocation

    def job(db: apsw.Connection) -> RevocationRow:
        index = log.append(db, statement, "revocation", clock.real())
        row = RevocationRow(revocation.issuer, revocation.start, statement, index)
        table.add_revocation(db, row)
        return row

    return [(await service.store.write("revocation", job, service.revocation_logged)).log_index]


def _newest(service: Service) -> VerifiedCharter:
    return service.charters.newest or service.charters.in_force


async def _draft(service: Service, charter: VerifiedCharter, quarter: int) -> Keyset:
    delivered = table.holder_keys(service.store.reader, charter.digest, quarter)
    drawn = table.draft_ledger_key(service.store.reader, charter.digest, quarter)
    assert drawn is not None
    part = convert(cbor.decode(drawn.part, 1 << 20), LedgerKey)
    previous = service.charters.last_keyset
    keys = tuple(delivered.get(position) for position in range(len(charter.holder_keys)))
    return Keyset(
        domain=service.domain,
        charter_digest=charter.digest,
        quarter=quarter,
        previous=previous.digest if previous else None,
        holder_keys=keys,
        ledger_key=part,
    )


async def _ledger_key(service: Service, charter: VerifiedCharter, quarter: int) -> None:
    """Draws the ledger key of a keyset to come, unless there is one that still fits: its first
    chunk must lie ahead, its predecessor hold.
    """
    first_chunk, predecessor = service.ledger.next_key(charter)
    drawn = table.draft_ledger_key(service.store.reader, charter.digest, quarter)
    if drawn is not None and (drawn.logged or service.ledger.still_fits(drawn, predecessor)):
        return
    key = service.random(32)
    part = make_ledger_key(key, charter, quarter, first_chunk, predecessor)
    row = LedgerKeyRow(
        ledger_key_commitment(key), key, charter.digest, quarter, cbor.encode(part.plain()), False
    )
    await service.store.write("ledger-key", lambda db: table.add_ledger_key(db, row))


def _check_ledger_key(service: Service, verified: VerifiedKeyset) -> bytes:
    """The commitment, if the keyset carries a part that this sequencer made. Raises `Conflict`
    "ledger-key".
    """
    part = verified.keyset.ledger_key
    for row in table.ledger_keys(service.store.reader):
        if row.commitment == part.commitment and row.part == cbor.encode(part.plain()):
            return row.commitment
    raise Conflict(
        "The keyset's ledger key is not the draft's; fetch the draft again and sign that.",
        code="ledger-key",
    )
