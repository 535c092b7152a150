"""The domain's charters."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.charter import Charter
from counterseal.protocol.cose import statement_max
from counterseal.protocol.record import Part, Uint

from .body import MIB, Rows
from .endpoint import Authentication, Endpoint

CHARTER_MAX = statement_max(Charter.limit)
CharterCose = Annotated[bytes, Meta(min_length=1, max_length=CHARTER_MAX)]


class ShownCharter(Part, frozen=True):
    """A signed charter and its place in the log, as the service shows them."""

    statement: CharterCose
    log_index: Uint


class ShownCharters(Rows, frozen=True):
    """All charters, the first one first."""

    rows: Annotated[tuple[ShownCharter, ...], Meta(max_length=1_000)]


CHARTERS: Endpoint[None, ShownCharters] = Endpoint(
    method="GET",
    path="/v1/charters",
    authentication=Authentication.ANYBODY,
    summary="All charters, in order.",
    answer=ShownCharters,
    answer_max=64 * MIB,
)
