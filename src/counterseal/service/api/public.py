"""What anybody may read: who the service is, charters, keysets, the clock, both logs and their
proofs, statements by hash.
"""

from __future__ import annotations

from starlette.responses import Response

from counterseal.protocol.errors import NotFound, Unavailable
from counterseal.service.api.http import Answer, Call, hex_bytes
from counterseal.service.auth import Request
from counterseal.service.log import Publisher
from counterseal.service.store import log
from counterseal.tlog.tile_store import CHECKPOINT

_ACCOUNT_KINDS = frozenset({"account", "device", "device-revoked", "account-key"})
_TEXT = "text/plain; charset=utf-8"


async def health(call: Call) -> Answer:
    """`GET /v1/health`."""
    wrong = call.service.wrong()
    if wrong is not None:
        raise Unavailable(wrong, code="unhealthy")
    return ["ok"]


async def identity(call: Call) -> Answer:
    """`GET /v1/identity`."""
    return call.service.identity.public()


async def clock_now(call: Call) -> Answer:
    """`GET /v1/clock`."""
    return [call.service.clock.now(), call.service.clock.demonstration]


async def charter(call: Call) -> Answer:
    """`GET /v1/charter`: the one in force."""
    return [call.service.charters.in_force.statement]


async def charter_by_digest(call: Call) -> Answer:
    """`GET /v1/charters/{digest}`."""
    return [call.service.charters.charter(call.hex("digest")).verified.statement]


async def charters(call: Call) -> Answer:
    """`GET /v1/charters`."""
    return [
        [logged.verified.statement, logged.log_index] for logged in call.service.charters.charters
    ]


async def keysets(call: Call) -> Answer:
    """`GET /v1/keysets/{charter_digest}`."""
    digest = call.hex("charter_digest")
    return [
        [logged.verified.keyset.quarter, logged.verified.statement, logged.log_index]
        for logged in call.service.charters.keysets
        if logged.verified.keyset.charter_digest == digest
    ]


async def revocations(call: Call) -> Answer:
    """`GET /v1/revocations`."""
    return [[row.statement, row.log_index] for row in call.service.charters.revocations]


async def log_file(call: Call) -> Answer:
    """`GET /log/...`: a tlog-tiles directory."""
    return _tlog_file(call.service.log, call.params["path"])


async def ledger_file(call: Call) -> Answer:
    """`GET /ledger/...`: a tlog-tiles directory."""
    return _tlog_file(call.service.ledger_log, call.params["path"])


def _tlog_file(publisher: Publisher, path: str) -> Response:
    """Checkpoints change; tiles never do."""
    data = publisher.blobs.read(path)
    if data is None:
        raise NotFound("There is no such file in this log.", code="tile")
    if path == CHECKPOINT:
        return Response(data, media_type=_TEXT, headers={"Cache-Control": "no-cache"})
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(data, media_type="application/octet-stream", headers=headers)


async def log_proof(call: Call) -> Answer:
    """`GET /v1/log/proof/{entry}`."""
    found = log.find(call.service.store.reader, call.hex("entry"))
    if found is None:
        raise NotFound("The log has no such entry.", code="entry")
    return call.service.log.inclusion(found.index)


async def ledger_proof(call: Call) -> Answer:
    """`GET /v1/ledger/proof/{index}?size=`."""
    size = call.integer("size") if "size" in call.query else None
    return call.service.ledger_log.inclusion(call.path_integer("index"), size)


async def consistency(call: Call) -> Answer:
    """`GET /v1/log/consistency?from=A&to=B`, likewise for the ledger."""
    publisher: Publisher = call.service.publisher(call.params["name"])
    return publisher.consistency(call.integer("from"), call.integer("to"))


async def statement(call: Call) -> Answer:
    """`GET /v1/statements/{entry}`. An account's statements are for devices, which sign this
    request like any other.
    """
    found = log.find(call.service.store.reader, hex_bytes(call.params["entry"], 32))
    if found is None:
        raise NotFound("The log has no such entry.", code="entry")
    if found.kind in _ACCOUNT_KINDS:
        header = call.http.headers.get("authorization", "")
        service = call.service
        service.directory.require(
            service.auth.device(header, Request("GET", call.http.url.path, b""))
        )
    return [found.statement]
