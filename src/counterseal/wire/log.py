"""The domain's log: its checkpoint and tiles as they are, proofs, and logged statements."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.entry import ENTRY_MAX
from counterseal.protocol.period import PeriodRoot
from counterseal.protocol.record import Part, Uint

from .body import KIB, MIB, Hashes, NoteText
from .endpoint import OCTETS, TEXT, Authentication, Endpoint, ErrorCode, Query, Raw
from .keysets import KEYSET_MAX

TILE_MAX = 256 * (2 + ENTRY_MAX)
"""Bytes of the largest file in a log: a bundle of 256 entries."""
CHECKPOINT_TEXT = Raw(TEXT, "a signed note (docs/tlog.md)")
TILE_BYTES = Raw(OCTETS, "a tile or a bundle of entries (docs/tlog.md)")


class EntryProof(Part, frozen=True):
    """That an entry is at `index` of a tree of `size` leaves, and the checkpoint of that tree."""

    index: Uint
    size: Uint
    path: Hashes
    checkpoint: NoteText


class ConsistencyPath(Part, frozen=True):
    """The path from a smaller tree to a larger one."""

    path: Hashes


class LoggedStatement(Part, frozen=True):
    """The statement of a log entry, as it was hashed."""

    statement: Annotated[bytes, Meta(min_length=1, max_length=KEYSET_MAX)]


NO_FILE = ErrorCode(404, "tile", "the log has no such file")
NO_NAME = ErrorCode(422, "T14", "the path names no tile and no bundle")
NOT_YET = ErrorCode(404, "not-yet", "that size is not published yet; ask again")
NO_CHECKPOINT = ErrorCode(404, "checkpoint", "there is no checkpoint yet")
FROM = Query("from", "the smaller tree's number of leaves", required=True)
TO = Query("to", "the larger tree's number of leaves", required=True)

LOG_CHECKPOINT: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/log/checkpoint",
    authentication=Authentication.ANYBODY,
    summary="The log's newest checkpoint.",
    answer=CHECKPOINT_TEXT,
    errors=(NO_FILE,),
    answer_max=MIB,
)
LOG_FILE: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/log/{path}",
    authentication=Authentication.ANYBODY,
    summary="A tile or an entry bundle of the log; it never changes.",
    notes="Paths are those of tlog-tiles: `tile/0/x001/067`, `tile/entries/000.p/5`.",
    answer=TILE_BYTES,
    errors=(NO_FILE, NO_NAME),
    answer_max=TILE_MAX,
)
LOG_PROOF: Endpoint[None, EntryProof] = Endpoint(
    method="GET",
    path="/v1/log/proof/{entry}",
    authentication=Authentication.ANYBODY,
    summary="That an entry, by its hash, is in the log under the newest checkpoint.",
    answer=EntryProof,
    errors=(ErrorCode(404, "entry", "the log has no such entry"), NOT_YET, NO_CHECKPOINT),
    answer_max=MIB + 4 * KIB,
)
LOG_CONSISTENCY: Endpoint[None, ConsistencyPath] = Endpoint(
    method="GET",
    path="/v1/log/consistency",
    authentication=Authentication.ANYBODY,
    summary="That one published tree of the log is the beginning of another.",
    answer=ConsistencyPath,
    errors=(NOT_YET, ErrorCode(422, "T11", "the sizes are in the wrong order")),
    query=(FROM, TO),
)
STATEMENT: Endpoint[None, LoggedStatement] = Endpoint(
    method="GET",
    path="/v1/statements/{entry}",
    authentication=Authentication.MAYBE_DEVICE,
    summary="The statement of a log entry.",
    notes="An account's statements are for devices, which sign this request like any other.",
    answer=LoggedStatement,
    errors=(ErrorCode(404, "entry", "the log has no such entry"),),
    answer_max=KEYSET_MAX + KIB,
)


PeriodRootBytes = Annotated[bytes, Meta(min_length=1, max_length=PeriodRoot.limit)]
