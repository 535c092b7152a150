"""The ledger's tiles and proofs, for who makes evidence, and how far it is."""

from __future__ import annotations

from counterseal.protocol.record import Part, Uint

from .body import KIB, MIB
from .endpoint import Authentication, Endpoint, ErrorCode, Query
from .log import (
    FROM,
    NO_CHECKPOINT,
    NO_FILE,
    NO_NAME,
    NOT_YET,
    TILE_BYTES,
    TILE_MAX,
    TO,
    ConsistencyPath,
    EntryProof,
)


class LedgerStatus(Part, frozen=True):
    """The next tick, the numbers of leaves and of chunks, and how many statements wait."""

    next_tick: Uint
    leaves: Uint
    chunks: Uint
    backlog: Uint


LEDGER_FILE: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/ledger/{path}",
    authentication=Authentication.ANYBODY,
    summary="A tile or an entry bundle of the ledger; it never changes.",
    answer=TILE_BYTES,
    errors=(NO_FILE, NO_NAME),
    answer_max=TILE_MAX,
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
)

LEDGER_CONSISTENCY: Endpoint[None, ConsistencyPath] = Endpoint(
    method="GET",
    path="/v1/ledger/consistency",
    authentication=Authentication.ANYBODY,
    summary="That one published tree of the ledger is the beginning of another.",
    answer=ConsistencyPath,
    errors=(NOT_YET, ErrorCode(422, "T11", "the sizes are in the wrong order")),
    query=(FROM, TO),
)

LEDGER_STATUS: Endpoint[None, LedgerStatus] = Endpoint(
    method="GET",
    path="/v1/ledger/status",
    authentication=Authentication.INSTITUTION,
    summary="How far the ledger is.",
    notes="For institutions: how many statements wait tells when somebody asks for access.",
    answer=LedgerStatus,
)
