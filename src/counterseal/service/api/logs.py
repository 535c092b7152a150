"""The log and the ledger: files as they are, proofs, statements by hash, and what is queued."""

from __future__ import annotations

from starlette.responses import Response

from counterseal.protocol.errors import NotFound
from counterseal.service.api.gate import (
    Call,
    Gate,
    InstitutionCall,
    MaybeDeviceCall,
    ServedEndpoint,
)
from counterseal.service.decisions import ledger_queue, log_entries
from counterseal.service.publisher import LogPublisher
from counterseal.service.store.interface import Snapshot, Store
from counterseal.service.trust import DomainRules
from counterseal.tlog.tile_store import CHECKPOINT
from counterseal.wire.endpoint import OCTETS, TEXT
from counterseal.wire.ledger import (
    LEDGER_CHECKPOINT,
    LEDGER_CHUNK,
    LEDGER_POST,
    PostStatement,
    StatementQueued,
)
from counterseal.wire.ledger_tree import (
    LEDGER_CONSISTENCY,
    LEDGER_FILE,
    LEDGER_PROOF,
    LEDGER_STATUS,
    LedgerStatus,
)
from counterseal.wire.log import (
    LOG_CHECKPOINT,
    LOG_CONSISTENCY,
    LOG_FILE,
    LOG_PROOF,
    STATEMENT,
    ConsistencyPath,
    EntryProof,
    LoggedStatement,
)

_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class LogRoutes:
    """Reading the log."""

    def __init__(self, store: Store, log: LogPublisher) -> None:
        self._store = store
        self._log = log

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.anybody(LOG_PROOF, self.proof),
            gate.anybody(LOG_CONSISTENCY, self.consistency),
            gate.maybe_device(STATEMENT, self.statement),
            gate.anybody(LOG_CHECKPOINT, self.file),
            gate.anybody(LOG_FILE, self.file),
        ]

    async def proof(self, call: Call[None]) -> EntryProof:
        """The proof of an entry, by its hash."""
        entry = call.parts["entry"]
        found = await self._store.read(lambda snapshot: log_entries.get(snapshot.log, entry))
        return self._log.inclusion(found.index)

    async def consistency(self, call: Call[None]) -> ConsistencyPath:
        """The path from one published size to another."""
        return self._log.consistency(call.number("from"), call.number("to"))

    async def statement(self, call: MaybeDeviceCall[None]) -> LoggedStatement:
        """The statement of an entry. An account's statements are for devices."""
        entry = call.parts["entry"]
        found = await self._store.read(lambda snapshot: log_entries.get(snapshot.log, entry))
        if found.kind in log_entries.ACCOUNT_KINDS:
            await call.require_device()
        return LoggedStatement(found.statement)

    async def file(self, call: Call[None]) -> Response:
        """A file of the tlog-tiles directory."""
        return _file(self._log, call.parts.get("path", CHECKPOINT))


class LedgerRoutes:
    """Queueing statements, and reading the ledger."""

    def __init__(self, store: Store, trust: DomainRules, ledger: LogPublisher) -> None:
        self._store = store
        self._trust = trust
        self._ledger = ledger

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.anybody(LEDGER_POST, self.post),
            gate.institution(LEDGER_STATUS, self.status),
            gate.anybody(LEDGER_PROOF, self.proof),
            gate.anybody(LEDGER_CONSISTENCY, self.consistency),
            gate.anybody(LEDGER_CHUNK, self.chunk),
            gate.anybody(LEDGER_CHECKPOINT, self.file),
            gate.anybody(LEDGER_FILE, self.file),
        ]

    async def post(self, call: Call[PostStatement]) -> StatementQueued:
        """A statement of an institution of a charter."""
        statement = call.request.statement
        digest = ledger_queue.check_posted(statement, self._trust.rules.institutions)
        await self._store.write(
            "ledger-statement", lambda tables: ledger_queue.enqueue(tables, statement)
        )
        return StatementQueued(digest)

    async def status(self, _: InstitutionCall[None]) -> LedgerStatus:
        """How far the ledger is: there is one chunk a tick."""

        def job(snapshot: Snapshot) -> LedgerStatus:
            tick = snapshot.ledger.load().tick
            return LedgerStatus(tick, snapshot.ledger.size(), tick, snapshot.ledger.backlog())

        return await self._store.read(job)

    async def proof(self, call: Call[None]) -> EntryProof:
        """The proof of a leaf, by its index."""
        return self._ledger.inclusion(call.parts["index"], call.query["size"])

    async def consistency(self, call: Call[None]) -> ConsistencyPath:
        """The path from one published size to another."""
        return self._ledger.consistency(call.number("from"), call.number("to"))

    async def chunk(self, call: Call[None]) -> Response:
        """A chunk of the stream."""
        number = call.parts["chunk"]
        data = await self._store.read(lambda snapshot: snapshot.ledger.chunk(number))
        if data is None:
            raise NotFound("The ledger's stream has no such chunk yet.", code="chunk")
        return Response(data, media_type=OCTETS, headers=_FOR_EVER)

    async def file(self, call: Call[None]) -> Response:
        """A file of the tlog-tiles directory."""
        return _file(self._ledger, call.parts.get("path", CHECKPOINT))


def _file(publisher: LogPublisher, path: str) -> Response:
    """Checkpoints change; tiles never do. Raises `NotFound` "tile"."""
    data = publisher.blobs.read(path)
    if data is None:
        raise NotFound("There is no such file in this log.", code="tile")
    if path == CHECKPOINT:
        return Response(data, media_type=TEXT, headers={"Cache-Control": "no-cache"})
    return Response(data, media_type=OCTETS, headers=_FOR_EVER)
