"""One charter: the one in force, or the one with a digest."""

from __future__ import annotations

from counterseal.protocol.record import Part

from .body import KIB
from .charters import CHARTER_MAX, CharterCose
from .endpoint import Authentication, Endpoint, ErrorCode


class CharterStatement(Part, frozen=True):
    """A signed charter (COSE_Sign)."""

    statement: CharterCose


_NO_CHARTER = ErrorCode(404, "no-charter", "no charter is published yet")

CHARTER_IN_FORCE: Endpoint[None, CharterStatement] = Endpoint(
    method="GET",
    path="/v1/charter",
    authentication=Authentication.ANYBODY,
    summary="The charter in force.",
    answer=CharterStatement,
    errors=(_NO_CHARTER,),
    answer_max=CHARTER_MAX + KIB,
)

CHARTER: Endpoint[None, CharterStatement] = Endpoint(
    method="GET",
    path="/v1/charters/{digest}",
    authentication=Authentication.ANYBODY,
    summary="The charter with a digest.",
    answer=CharterStatement,
    errors=(ErrorCode(404, "charter", "the domain has no such charter"),),
    answer_max=CHARTER_MAX + KIB,
)
