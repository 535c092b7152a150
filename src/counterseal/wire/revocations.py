"""Revocations of issuers' keys."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.approval import Revocation
from counterseal.protocol.cose import statement_max
from counterseal.protocol.record import Part, Uint

from .body import MIB, Rows
from .endpoint import Authentication, Endpoint

REVOCATION_MAX = statement_max(Revocation.limit)
RevocationCose = Annotated[bytes, Meta(min_length=1, max_length=REVOCATION_MAX)]


class ShownRevocation(Part, frozen=True):
    """A signed revocation and its place in the log, as the service shows them."""

    statement: RevocationCose
    log_index: Uint


class ShownRevocations(Rows, frozen=True):
    """All revocations, in order."""

    rows: Annotated[tuple[ShownRevocation, ...], Meta(max_length=10_000)]


REVOCATIONS: Endpoint[None, ShownRevocations] = Endpoint(
    method="GET",
    path="/v1/revocations",
    authentication=Authentication.ANYBODY,
    summary="All revocations, in order.",
    answer=ShownRevocations,
    answer_max=64 * MIB,
)
