"""Revocations of issuers' keys."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.approval import Revocation
from counterseal.protocol.cose import statement_max
from counterseal.protocol.record import Part, Uint

from .body import KIB, MIB, Rows
from .endpoint import Authentication, Endpoint, ErrorCode

REVOCATION_MAX = statement_max(Revocation.limit)
RevocationCose = Annotated[bytes, Meta(min_length=1, max_length=REVOCATION_MAX)]


class ShownRevocation(Part, frozen=True):
    """A signed revocation and its place in the log, as the service shows them."""

    statement: RevocationCose
    log_index: Uint


class ShownRevocations(Rows, frozen=True):
    """All revocations, in order."""

    rows: Annotated[tuple[ShownRevocation, ...], Meta(max_length=10_000)]


class PostRevocation(Part, frozen=True):
    """A revocation signed by the custodians' quorum."""

    statement: RevocationCose


class RevocationPosted(Part, frozen=True):
    """The revocation's place in the log."""

    log_index: Uint


REVOCATIONS: Endpoint[None, ShownRevocations] = Endpoint(
    method="GET",
    path="/v1/revocations",
    authentication=Authentication.ANYBODY,
    summary="All revocations, in order.",
    answer=ShownRevocations,
    answer_max=64 * MIB,
    repeatable=True,
)
REVOCATION_POST: Endpoint[PostRevocation, RevocationPosted] = Endpoint(
    method="POST",
    path="/v1/revocations",
    authentication=Authentication.STATEMENT,
    summary="The custodians' quorum revokes an issuer's key (W18).",
    request=PostRevocation,
    answer=RevocationPosted,
    errors=(ErrorCode(422, "W18", "the revocation is refused"),),
    request_max=REVOCATION_MAX + KIB,
    repeatable=True,
)
