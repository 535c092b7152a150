"""What anybody may ask a witness's own server, beside the service.

A witness also answers the tlog-witness interface: `POST /add-checkpoint` and
`GET /HASH/checkpoint` (docs/tlog.md).
"""

from __future__ import annotations

from .body import KIB
from .endpoint import TEXT, Authentication, Endpoint, ErrorCode, Query, Raw
from .keyset_draft import HolderKeyPosted, PostHolderKey, PostKeyset
from .keysets import KEYSET_MAX
from .notices import NOTICES, ShownNotices

WITNESS_REQUEST_MAX = 64 * KIB

WITNESS_HEALTH: Endpoint[None, bytes] = Endpoint(
    method="GET",
    path="/health",
    authentication=Authentication.ANYBODY,
    summary="`ok`, or status 503 and a sentence.",
    answer=Raw(TEXT, "a line"),
)
WITNESS_NOTICES: Endpoint[None, ShownNotices] = Endpoint(
    method="GET",
    path="/notices",
    authentication=Authentication.ANYBODY,
    summary="The notices that this witness published, after a number, at most 500.",
    answer=ShownNotices,
    query=(Query("after", "the last number that is known", default=-1, least=-1),),
    answer_max=NOTICES.answer_max,
)
WITNESS_HOLDER_KEY: Endpoint[PostHolderKey, HolderKeyPosted] = Endpoint(
    method="POST",
    path="/holder-keys",
    authentication=Authentication.STATEMENT,
    summary="A holder's key for a quarter, so that the service cannot keep it from the keyset.",
    request=PostHolderKey,
    answer=HolderKeyPosted,
    request_max=WITNESS_REQUEST_MAX,
    repeatable=True,
)
WITNESS_KEYSET: Endpoint[None, PostKeyset] = Endpoint(
    method="GET",
    path="/keysets/{charter}/{quarter}",
    authentication=Authentication.ANYBODY,
    summary="The keyset of a quarter as this witness signed it.",
    answer=PostKeyset,
    errors=(ErrorCode(404, "not-found", "it has signed none yet"),),
    answer_max=KEYSET_MAX + KIB,
)
