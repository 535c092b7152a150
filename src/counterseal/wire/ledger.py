"""The ledger: statements of institutions go in; checkpoints, tiles and chunks of the encrypted
stream come out.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.record import Bytes32, Part, Uint

from .body import KIB, MIB
from .endpoint import OCTETS, Authentication, Endpoint, ErrorCode, Query, Raw
from .log import (
    CHECKPOINT_TEXT,
    FROM,
    NO_CHECKPOINT,
    NO_FILE,
    NOT_YET,
    TILE_BYTES,
    TILE_MAX,
    TO,
    ConsistencyPath,
    EntryProof,
)

STATEMENT_MAX = 4 * MIB
"""Bytes of a statement that the ledger takes."""
CHUNK_MAX = 16 * MIB


class PostStatement(Part, frozen=True):
    """A statement of an institution of the charter (COSE_Sign)."""

    statement: Annotated[bytes, Meta(min_length=1, max_length=STATEMENT_MAX)]


class StatementQueued(Part, frozen=True):
    """The digest of the statement's record: the name that others point to it by."""

    digest: Bytes32


class LedgerStatus(Part, frozen=True):
    """The next tick, the numbers of leaves and of chunks, and how many statements wait."""

    next_tick: Uint
    leaves: Uint
    chunks: Uint
    backlog: Uint


LEDGER_CHECKPOINT: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/ledger/checkpoint",
    authentication=Authentication.ANYBODY,
    summary="The ledger's newest checkpoint.",
    answer=CHECKPOINT_TEXT,
    errors=(NO_FILE,),
    answer_max=MIB,
    repeatable=True,
)
LEDGER_CHUNK: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/ledger/chunk/{chunk}",
    authentication=Authentication.ANYBODY,
    summary="One encrypted chunk of the ledger's stream, from 0; it never changes.",
    answer=Raw(OCTETS, "a chunk (docs/tlog.md)"),
    errors=(ErrorCode(404, "chunk", "the stream has no such chunk yet"),),
    answer_max=CHUNK_MAX,
    repeatable=True,
)
LEDGER_FILE: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/ledger/{path}",
    authentication=Authentication.ANYBODY,
    summary="A tile or an entry bundle of the ledger; it never changes.",
    answer=TILE_BYTES,
    errors=(NO_FILE,),
    answer_max=TILE_MAX,
    repeatable=True,
)
LEDGER_PROOF: Endpoint[None, EntryProof] = Endpoint(
    method="GET",
    path="/v1/ledger/proof/{index}",
    authentication=Authentication.ANYBODY,
    summary="That an entry, by its index, is in the ledger.",
    answer=EntryProof,
    errors=(NOT_YET, NO_CHECKPOINT),
    query=(Query("size", "the tree's number of leaves; the newest checkpoint's without it"),),
    answer_max=MIB + 4 * KIB,
    repeatable=True,
)
LEDGER_CONSISTENCY: Endpoint[None, ConsistencyPath] = Endpoint(
    method="GET",
    path="/v1/ledger/consistency",
    authentication=Authentication.ANYBODY,
    summary="That one published tree of the ledger is the beginning of another.",
    answer=ConsistencyPath,
    errors=(NOT_YET, ErrorCode(422, "T11", "the sizes are in the wrong order")),
    query=(FROM, TO),
    repeatable=True,
)
LEDGER_POST: Endpoint[PostStatement, StatementQueued] = Endpoint(
    method="POST",
    path="/v1/ledger",
    authentication=Authentication.STATEMENT,
    summary="Queues a statement of an institution of the charter.",
    notes=(
        "The statement is durable when this is answered. What it means is judged when it has its "
        "leaf in the ledger."
    ),
    request=PostStatement,
    answer=StatementQueued,
    errors=(
        ErrorCode(422, "E5", "a record of another kind than institutions post"),
        ErrorCode(422, "X2, X4", "no institution of a charter signed it"),
        ErrorCode(503, "backlog", "too many statements wait"),
    ),
    request_max=STATEMENT_MAX + 64 * KIB,
    repeatable=True,
)
LEDGER_STATUS: Endpoint[None, LedgerStatus] = Endpoint(
    method="GET",
    path="/v1/ledger/status",
    authentication=Authentication.ANYBODY,
    summary="How far the ledger is.",
    answer=LedgerStatus,
    repeatable=True,
)
