"""The ledger: statements of institutions go in; checkpoints and chunks of the encrypted stream come
out.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.record import Bytes32, Part

from .body import KIB, MIB
from .endpoint import OCTETS, Authentication, Endpoint, ErrorCode, Raw
from .log import CHECKPOINT_TEXT, NO_FILE

STATEMENT_MAX = 4 * MIB
"""Bytes of a statement that the ledger takes."""
CHUNK_MAX = 16 * MIB


class PostStatement(Part, frozen=True):
    """A statement of an institution of the charter (COSE_Sign)."""

    statement: Annotated[bytes, Meta(min_length=1, max_length=STATEMENT_MAX)]


class StatementQueued(Part, frozen=True):
    """The digest of the statement's record: the name that others point to it by."""

    digest: Bytes32


LEDGER_CHECKPOINT: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/ledger/checkpoint",
    authentication=Authentication.ANYBODY,
    summary="The ledger's newest checkpoint.",
    answer=CHECKPOINT_TEXT,
    errors=(NO_FILE,),
    answer_max=MIB,
)
LEDGER_CHUNK: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/ledger/chunk/{chunk}",
    authentication=Authentication.ANYBODY,
    summary="One encrypted chunk of the ledger's stream, from 0; it never changes.",
    answer=Raw(OCTETS, "a chunk (docs/tlog.md)"),
    errors=(ErrorCode(404, "chunk", "the stream has no such chunk yet"),),
    answer_max=CHUNK_MAX,
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
