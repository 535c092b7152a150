"""Charters: reading them, and publishing one."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.charter import Charter
from counterseal.protocol.cose import statement_max
from counterseal.protocol.record import Bytes32, Part, Uint

from .body import KIB, MIB, Rows
from .endpoint import Authentication, Endpoint, ErrorCode

CHARTER_MAX = statement_max(Charter.limit)
CharterCose = Annotated[bytes, Meta(min_length=1, max_length=CHARTER_MAX)]


class CharterStatement(Part, frozen=True):
    """A signed charter (COSE_Sign)."""

    statement: CharterCose


class ShownCharter(Part, frozen=True):
    """A signed charter and its place in the log, as the service shows them."""

    statement: CharterCose
    log_index: Uint


class ShownCharters(Rows, frozen=True):
    """All charters, the first one first."""

    rows: Annotated[tuple[ShownCharter, ...], Meta(max_length=1_000)]


class PostCharter(Part, frozen=True):
    """A signed charter to publish."""

    statement: CharterCose


class CharterPosted(Part, frozen=True):
    """The charter's digest, and its place in the log."""

    digest: Bytes32
    log_index: Uint


_NO_CHARTER = ErrorCode(404, "no-charter", "no charter is published yet")

CHARTER_IN_FORCE: Endpoint[None, CharterStatement] = Endpoint(
    method="GET",
    path="/v1/charter",
    authentication=Authentication.ANYBODY,
    summary="The charter in force.",
    answer=CharterStatement,
    errors=(_NO_CHARTER,),
    answer_max=CHARTER_MAX + KIB,
    repeatable=True,
)
CHARTER: Endpoint[None, CharterStatement] = Endpoint(
    method="GET",
    path="/v1/charters/{digest}",
    authentication=Authentication.ANYBODY,
    summary="The charter with a digest.",
    answer=CharterStatement,
    errors=(ErrorCode(404, "charter", "the domain has no such charter"),),
    answer_max=CHARTER_MAX + KIB,
    repeatable=True,
)
CHARTERS: Endpoint[None, ShownCharters] = Endpoint(
    method="GET",
    path="/v1/charters",
    authentication=Authentication.ANYBODY,
    summary="All charters, in order.",
    answer=ShownCharters,
    answer_max=64 * MIB,
    repeatable=True,
)
CHARTER_POST: Endpoint[PostCharter, CharterPosted] = Endpoint(
    method="POST",
    path="/v1/charters",
    authentication=Authentication.STATEMENT,
    summary="Publishes a charter: the first one once, then its successors (C18, C19).",
    request=PostCharter,
    answer=CharterPosted,
    errors=(
        ErrorCode(409, "charter-published", "another charter of this version came first"),
        ErrorCode(422, "C1 to C19", "the charter is refused"),
    ),
    request_max=CHARTER_MAX + KIB,
    repeatable=True,
)
