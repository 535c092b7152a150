"""The keysets of a charter."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.cose import statement_max
from counterseal.protocol.keyset import Keyset
from counterseal.protocol.record import Part, Uint

from .body import MIB, Rows
from .endpoint import Authentication, Endpoint

KEYSET_MAX = statement_max(Keyset.limit)
KeysetCose = Annotated[bytes, Meta(min_length=1, max_length=KEYSET_MAX)]


class ShownKeyset(Part, frozen=True):
    """A signed keyset, its quarter (4 * year + 0 to 3) and its place in the log, as the service
    shows them.
    """

    quarter: Uint
    statement: KeysetCose
    log_index: Uint


class ShownKeysets(Rows, frozen=True):
    """A charter's logged keysets, in order."""

    rows: Annotated[tuple[ShownKeyset, ...], Meta(max_length=1_000)]


KEYSETS: Endpoint[None, ShownKeysets] = Endpoint(
    method="GET",
    path="/v1/keysets/{charter}",
    authentication=Authentication.ANYBODY,
    summary="A charter's logged keysets, in order.",
    answer=ShownKeysets,
    answer_max=64 * MIB,
)
