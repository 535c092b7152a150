"""Windows: label, roster and counterseal, checked by L1 to L6 and S1 before any frame may name
them.
"""

from __future__ import annotations

from typing import Annotated

import apsw
from msgspec import Meta

from counterseal.protocol.counterseal import Counterseal, check_positions
from counterseal.protocol.errors import NotAuthorised, Refused
from counterseal.protocol.record import Part
from counterseal.protocol.stamp import GRACE
from counterseal.protocol.window import Label, Roster, VerifiedWindow
from counterseal.protocol.window_checks import (
    RESTARTS_MAX,
    View,
    check_serial,
    check_uploader,
    check_window,
)
from counterseal.service.api.http import Answer, DeviceCall, respond
from counterseal.service.store import accounts, conversations, windows
from counterseal.service.store.conversations import Conversation
from counterseal.service.store.windows import Seal, Window

LIMIT = Label.limit + Roster.limit + Counterseal.limit + 64


class Posted(Part, frozen=True):
    """`[label, roster, counterseal]`, each in a byte string."""

    label: Annotated[bytes, Meta(max_length=Label.limit)]
    roster: Annotated[bytes, Meta(max_length=Roster.limit)]
    counterseal: Annotated[bytes, Meta(max_length=Counterseal.limit)]


async def post(call: DeviceCall) -> Answer:
    """`POST /v1/windows`. The header `Counterseal-Restarts-Left` says how often the device may
    still open one again this period.
    """
    service, posted = call.service, call.decode(Posted)
    label, roster = Label.decode(posted.label), Roster.decode(posted.roster)
    counterseal = Counterseal.decode(posted.counterseal)
    check_uploader(label, call.caller.account, call.caller.device)
    records = Seal(posted.label, posted.roster, posted.counterseal)

    def job(db: apsw.Connection) -> int:
        known = windows.find(db, label.window_id)
        if known is not None and windows.seal(db, known.no) == records:
            return -1
        seen = conversations.find(db, label.conversation_id)
        if seen is None or not conversations.is_member(db, seen.no, label.device_key):
            raise NotAuthorised(
                "This device is not in the label's conversation.", code="not-a-member"
            )
        if not accounts.is_active(db, label.device_key):
            raise NotAuthorised("This device is revoked.", code="revoked")
        verified = _judge(call, seen, label, roster, counterseal)
        place = (seen.no, label.device_key, label.opens, label.roster_digest, label.keyset_digest)
        before = windows.same_place(db, *place)  # all of a place but the first are restarts
        check_serial(label, windows.last_serial(db, seen.no, label.device_key), max(0, before - 1))
        _insert(db, seen, verified, counterseal, records)
        return RESTARTS_MAX - before

    left = await service.store.write("window", job)
    answer = respond([label.window_id])
    if left >= 0:
        answer.headers["Counterseal-Restarts-Left"] = str(left)
    return answer


def _judge(
    call: DeviceCall, seen: Conversation, label: Label, roster: Roster, counterseal: Counterseal
) -> VerifiedWindow:
    """L1 to L4, L6 and S1 against the conversation as it stands, and the period against the clock
    (L2).
    """
    service = call.service
    charter = service.charters.charter(seen.charter).verified
    keyset = service.charters.keyset(seen.keyset).verified
    length = charter.charter.period_length
    verified = check_window(
        label, roster, View(service.domain, seen.charter, seen.keyset, seen.roster_epoch, length)
    )
    if label.roster_digest != seen.roster_digest:
        raise Refused(
            "L3", "The roster is not the conversation's; process its commits and open a new window."
        )
    now = service.clock.now()
    if not label.opens <= now < label.closes + GRACE:
        raise Refused(
            "L2",
            f"The period [{label.opens}, {label.closes}) is not the present one; the clock stands at {now}.",
        )
    charter.check_valid(label.opens)
    check_positions(counterseal, keyset.keys)
    return verified


def _insert(
    db: apsw.Connection,
    seen: Conversation,
    verified: VerifiedWindow,
    counterseal: Counterseal,
    records: Seal,
) -> None:
    label = verified.label
    window = Window(
        0, verified.window_id, seen.no, label.account_id, label.device_key, label.charter_digest, label.keyset_digest,
        label.roster_epoch, label.opens, label.closes, label.serial, counterseal.seal_digest, 0,
    )  # fmt: skip
    windows.insert(db, window, label.roster_digest, records)
