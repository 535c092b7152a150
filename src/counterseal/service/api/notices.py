"""Notices: sealed, all alike, published by witnesses; every app tries each on its own key."""

from __future__ import annotations

import hashlib
from typing import Annotated

import apsw
from msgspec import Meta

from counterseal.protocol.errors import NotAuthorised
from counterseal.protocol.notice import SealedNotice
from counterseal.protocol.record import Part, Uint
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service import clock
from counterseal.service.api.http import Answer, Call, InstitutionCall
from counterseal.service.store import access as table

_PAGE = 500


class Posted(Part, frozen=True):
    """`[sealed-notice, position]`, or a third element that plays no part: the request's own
    signature says who publishes.
    """

    sealed: Annotated[bytes, Meta(max_length=SealedNotice.limit)]
    position: Uint
    signature: bytes | None = None


async def after(call: Call) -> Answer:
    """`GET /v1/notices?after=INDEX`: indices count from 1."""
    return [
        list(row)
        for row in table.notices(call.service.store.reader, call.integer("after", 0), _PAGE)
    ]


async def post(call: InstitutionCall) -> Answer:
    """`POST /v1/notices`: by a witness of the charter in force or of one before it, whose last
    notices are still due.
    """
    service, posted = call.service, call.decode(Posted)
    SealedNotice.decode(posted.sealed)
    if not any(
        _is_witness(one.verified, call.caller.kid, posted.position)
        for one in service.charters.charters
    ):
        raise NotAuthorised(
            "Notices are published by the witness at the position named.", code="not-a-witness"
        )
    digest = hashlib.sha256(posted.sealed).digest()

    def job(db: apsw.Connection) -> int:
        return table.add_notice(db, digest, posted.sealed, posted.position, clock.real())

    index = await service.store.write(
        "notice", job, lambda index: service.hub.notify_all(["notice", index])
    )
    return [index]


def _is_witness(charter: VerifiedCharter, kid: bytes, position: int) -> bool:
    return position in charter.tree.witness_positions() and charter.holder_keys[position].kid == kid
