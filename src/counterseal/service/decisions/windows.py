"""Windows: label, roster and counterseal, judged by L1 to L6 and S1 before any frame may name
them.
"""

from __future__ import annotations

import msgspec

from counterseal.protocol.charter_use import check_valid
from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.errors import NotAuthorised, Refused
from counterseal.protocol.keyset import VerifiedKeyset
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.protocol.window import GRACE, Label, Roster
from counterseal.protocol.window_checks import (
    RESTARTS_MAX,
    View,
    check_positions,
    check_serial,
    check_uploader,
    check_window,
)
from counterseal.service.authentication import DeviceCaller
from counterseal.service.store.interface import Transaction
from counterseal.service.store.rows import StoredConversation, StoredSeal, StoredWindow
from counterseal.service.trust import DomainRules


class PostedWindow(msgspec.Struct, frozen=True):
    """The records of a window, decoded and as they came."""

    label: Label
    roster: Roster
    counterseal: Counterseal
    records: StoredSeal


def read(label: bytes, roster: bytes, counterseal: bytes, caller: DeviceCaller) -> PostedWindow:
    """The records of a window, which is the caller's own. Raises `Refused` L1 and the records'."""
    posted = PostedWindow(
        Label.decode(label),
        Roster.decode(roster),
        Counterseal.decode(counterseal),
        StoredSeal(label, roster, counterseal),
    )
    check_uploader(posted.label, caller.account, caller.device)
    return posted


def add(tables: Transaction, trust: DomainRules, posted: PostedWindow, now: int) -> int | None:
    """Stores a window; returns how often the device may still open one again this period.

    None when the same window is stored already. Raises `Refused` L1 to L6, S1, `NotAuthorised`
    "not-a-member", "revoked".
    """
    label = posted.label
    known = tables.windows.find(label.window_id)
    if known is not None and tables.windows.seal(known.no) == posted.records:
        return None

    seen = tables.conversations.find(label.conversation_id)
    if seen is None or not tables.conversations.is_member(seen.no, label.device_key):
        raise NotAuthorised("This device is not in the label's conversation.", code="not-a-member")
    device = tables.accounts.device(label.device_key)
    if device is None or device.revoked:
        raise NotAuthorised("This device is revoked.", code="revoked")
    row = judge(
        posted,
        seen,
        trust.domain,
        trust.charter(seen.charter),
        trust.keyset(seen.keyset),
        now,
    )

    # all of a place but the first are restarts
    place = (seen.no, label.device_key, label.opens, label.roster_digest, label.keyset_digest)
    before = tables.windows.count_same_place(*place)
    last = tables.windows.last_serial(seen.no, label.device_key)
    check_serial(label, last, max(0, before - 1))
    tables.windows.add(row, posted.records)
    return RESTARTS_MAX - before


def judge(
    posted: PostedWindow,
    seen: StoredConversation,
    domain: str,
    charter: VerifiedCharter,
    keyset: VerifiedKeyset,
    now: int,
) -> StoredWindow:
    """What the store keeps of a window, if it fits its conversation and the present period.

    `now` is by the window clock. Raises `Refused` L1 to L4, L6, S1.
    """
    label = posted.label
    view = View(domain, seen.charter, seen.keyset, seen.roster_epoch, charter.charter.period_length)
    verified = check_window(label, posted.roster, view)
    if label.roster_digest != seen.roster_digest:
        raise Refused(
            "L3", "The roster is not the conversation's; process its commits and open a new window."
        )
    if not label.opens <= now < label.closes + GRACE:
        raise Refused(
            "L2",
            f"The period [{label.opens}, {label.closes}) is not the present one; the clock is at"
            f" {now}.",
        )
    check_valid(charter, label.opens)
    check_positions(posted.counterseal, keyset.keys)
    return StoredWindow(
        no=0,
        id=verified.window_id,
        conversation=seen.no,
        account=label.account_id,
        device=label.device_key,
        charter=label.charter_digest,
        keyset=label.keyset_digest,
        roster_epoch=label.roster_epoch,
        roster_digest=label.roster_digest,
        opens=label.opens,
        closes=label.closes,
        serial=label.serial,
        seal_digest=posted.counterseal.seal_digest,
        next_seq=0,
    )
