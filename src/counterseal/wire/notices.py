"""Sealed notices: all alike, published by witnesses; every app tries each with its own key."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.notice import SealedNotice
from counterseal.protocol.record import Part, Uint

from .body import KIB, Rows
from .endpoint import Authentication, Endpoint, ErrorCode, Query

NOTICES_PAGE = 500
"""Notices in an answer, at most."""
SealedNoticeBytes = Annotated[bytes, Meta(min_length=1, max_length=SealedNotice.limit)]


class ShownNotice(Part, frozen=True):
    """A published notice: its index, from 1, and the encoded sealed-notice record."""

    index: Uint
    sealed: SealedNoticeBytes


class ShownNotices(Rows, frozen=True):
    """Notices by rising index."""

    rows: Annotated[tuple[ShownNotice, ...], Meta(max_length=NOTICES_PAGE)]


class PostNotice(Part, frozen=True):
    """A sealed notice, due or dummy, and the position of the witness that publishes it."""

    sealed: SealedNoticeBytes
    position: Uint


class NoticePosted(Part, frozen=True):
    """The notice's index."""

    index: Uint


NOTICES: Endpoint[None, ShownNotices] = Endpoint(
    method="GET",
    path="/v1/notices",
    authentication=Authentication.ANYBODY,
    summary="The notices after an index, at most 500.",
    answer=ShownNotices,
    query=(Query("after", "the last index that is known", default=0),),
    answer_max=NOTICES_PAGE * (SealedNotice.limit + 16) + KIB,
)
NOTICE_POST: Endpoint[PostNotice, NoticePosted] = Endpoint(
    method="POST",
    path="/v1/notices",
    authentication=Authentication.INSTITUTION,
    summary="A witness publishes a notice.",
    notes=(
        "The witness may be of the charter in force or of one before it, whose last notices are "
        "still due. The request's own signature says who publishes."
    ),
    request=PostNotice,
    answer=NoticePosted,
    errors=(ErrorCode(403, "not-a-witness", "the caller is not the witness at that position"),),
    request_max=64 * KIB,
    repeatable=True,
)
