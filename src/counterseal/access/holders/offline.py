"""Releasing on a machine without a network: `custodian.review` and `release_offline` there,
`submit` on another machine, whoever carries the file.
"""

from __future__ import annotations

import re
import time
from typing import Annotated, ClassVar

from msgspec import Meta

from counterseal.access.common.institution_client import InstitutionClient, post_statement
from counterseal.protocol.cbor import tag
from counterseal.protocol.errors import Conflict, CountersealError, Refused
from counterseal.protocol.record import Part, Record
from counterseal.wire.ledger import LEDGER_POST
from counterseal.wire.shares import SHARES_POST

from .custodian import make_releases
from .holder import Holder, post_shares


class OutboxPost(Part, frozen=True):
    """A signed statement, and the path of the service that it is to be posted to."""

    path: Annotated[str, Meta(max_length=256)]
    statement: bytes


class Outbox(Record, frozen=True, tag=tag("outbox")):
    """What a machine without a network released, in the order in which it is to be sent."""

    limit: ClassVar[int] = 256 << 20
    posts: tuple[OutboxPost, ...]


def release_offline(holder: Holder, digest: bytes, *, standing: bool = False) -> bytes:
    """Releases and shares as one file, to be carried to a machine with a network. The shares are
    sealed to the opener's key.

    Raises `Refused` with the rule if a listing fails a check.
    """
    fresh = holder.sync()
    case = holder.case(fresh, digest)
    posts = [
        OutboxPost(LEDGER_POST.at(), statement)
        for statement in make_releases(holder, fresh, case, standing)
    ]
    for listing_digest in (*case.to_release, *case.to_hand_over):
        statement = holder.shares(case, holder.verify(fresh, case, listing_digest))
        posts.append(OutboxPost(SHARES_POST.at(warrant=digest), statement))
    return Outbox(tuple(posts)).encode()


def submit(service: InstitutionClient, outbox: bytes, patience: float = 60.0) -> int:
    """Sends what `release_offline` made: releases first, shares once the ledger has those. Returns
    the number of things sent. Raises `Refused` E5 or E6 for another file.
    """
    posts = Outbox.decode(outbox).posts
    for post in posts:
        _send(service, post, time.monotonic() + patience)
    return len(posts)


def _send(service: InstitutionClient, post: OutboxPost, deadline: float) -> None:
    if post.path == LEDGER_POST.at():
        post_statement(service, post.statement)
        return
    shares = re.fullmatch(SHARES_POST.path.replace("{warrant}", "([0-9a-f]{64})"), post.path)
    if shares is None:
        raise Refused("E6", "The outbox holds something that is neither a release nor shares.")
    _send_shares(service, bytes.fromhex(shares[1]), post.statement, deadline)


def _send_shares(
    service: InstitutionClient, warrant: bytes, sealed: bytes, deadline: float
) -> None:
    while True:
        try:
            post_shares(service, warrant, sealed)
            return
        except Conflict:
            return
        except CountersealError as error:
            if error.code != "R10" or time.monotonic() > deadline:
                raise
        time.sleep(0.2)  # the release is not in the ledger yet
