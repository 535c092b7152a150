"""The ledger: statements of institutions go in; chunks of the encrypted stream come out."""

from __future__ import annotations

from typing import Annotated

import apsw
from msgspec import Meta
from starlette.responses import Response

from counterseal.protocol.errors import NotFound, Refused
from counterseal.protocol.ledger_statement import SIGNED, LedgerStatement
from counterseal.protocol.record import Part
from counterseal.service.api.http import Answer, Call
from counterseal.service.store import ledger as table

STATEMENT_MAX = 4 << 20


class Posted(Part, frozen=True):
    """`[statement]`."""

    statement: Annotated[bytes, Meta(max_length=STATEMENT_MAX)]


async def post(call: Call) -> Answer:
    """`POST /v1/ledger`: of an institution of a charter. What it means is judged by the fold, when
    it has its leaf.
    """
    service, data = call.service, call.decode(Posted).statement
    received = LedgerStatement.decode(data)
    if not isinstance(received.record, SIGNED):
        raise Refused("E5", f"A {received.record.tag()} is not posted to the ledger.")
    received.signed.verify(service.charters.institutions)

    def job(db: apsw.Connection) -> None:
        table.enqueue(db, data)

    await service.store.write("ledger-statement", job)
    return [received.record.digest()]


async def status(call: Call) -> Answer:
    """`GET /v1/ledger/status`."""
    return call.service.ledger.status()


async def chunk(call: Call) -> Answer:
    """`GET /ledger/chunk/{n}`."""
    data = table.chunk(call.service.store.reader, call.path_integer("n"))
    if data is None:
        raise NotFound("The ledger's stream has no such chunk yet.", code="chunk")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(data, media_type="application/octet-stream", headers=headers)
