"""A warrant in words: what it asks for, and what a holder has to know before releasing anything."""

from __future__ import annotations

from counterseal.protocol.access_state import AccessState
from counterseal.protocol.charter import Charter
from counterseal.protocol.decision import VerifiedWarrant
from counterseal.protocol.release import opener_key_hash
from counterseal.protocol.warrant import Warrant

from .phrases import count, names, short, span, when


def describe_draft(order: Warrant, rules: Charter) -> list[str]:
    """A warrant as it is shown to whoever drafts, signs or approves it."""
    return [
        f"Warrant {order.digest().hex()}, {order.urgency}, on the ground {order.ground!r}.",
        *describe_terms(order, rules),
        f"It declares {count(order.units, 'unit')}.",
    ]


def describe_terms(order: Warrant, rules: Charter) -> list[str]:
    """The terms of a warrant, before anybody has judged it."""
    accounts = names([account.hex() for account in order.account_ids])
    kind = (
        "messages sent by"
        if order.direction == "sent"
        else "all messages of the conversations in which there is"
    )
    periods = (order.until - order.start) // rules.period_length
    where = (
        "all their conversations"
        if order.conversations is None
        else names([conversation.hex() for conversation in order.conversations])
    )
    return [
        f"It asks for {kind} {count(len(order.account_ids), 'account')}: {accounts}; in {where}.",
        (
            f"Period: from {when(order.start)} until {when(order.until)}, "
            f"{count(periods, 'period')} of {span(rules.period_length)}."
        ),
        f"It expires {when(order.expires)}.",
    ]


def describe_warrant(verified: VerifiedWarrant, state: AccessState, whole_until: int) -> list[str]:
    """What a holder is asked to open: who asks, on what ground, whose messages, which period, how
    much, until when, who is told. `whole_until` is the time (Unix seconds) of the checkpoint up to
    which the ledger was read.
    """
    order, access = verified.warrant, verified.access
    in_force = state.rulebook.in_force(state.time).charter
    allowed = in_force.caps.units_30_days
    left = max(allowed - state.committed(state.time), 0)
    lines = [
        (
            f"Warrant {verified.digest.hex()} of {order.domain}, "
            f"reference {order.reference or '(none)'}."
        ),
        _asked(verified),
        f"Ground: {order.ground}{_ground_words(in_force, order.ground)}.",
        *describe_terms(order, verified.charter.charter),
        (
            f"It may open at most {count(order.units, 'unit')}; of the charter's {allowed:,} in 30 "
            f"days, {left:,} are left."
        ),
        f"The shares are sealed to {_opener(verified)} and are of use to nobody else.",
        (
            f"Each account is told {span(in_force.notices.delay)} after the witnesses' release, "
            "unless that is extended by a logged order."
        ),
        (
            f"The ledger was read whole up to {when(whole_until)}; the warrant is neither "
            "cancelled nor expired there."
        ),
    ]

    released = sorted({one.release.position for one in access.releases})
    if released:
        holders = names([verified.charter.holder_name(position) for position in released])
        lines.append(f"Releases so far: {holders}.")
    return lines


def _asked(verified: VerifiedWarrant) -> str:
    access, requester, approver = verified.access, verified.requester, verified.approver
    asked = f"Requested by {requester.name} of {requester.body} on {when(access.requested_at)}"
    if approver is not None and access.approved_at is not None:
        then = when(access.approved_at)
        return f"{asked}, approved by {approver.name} of {approver.body} on {then}."
    by = when(access.ratify_by) if access.ratify_by is not None else "no time"
    return f"{asked} as URGENT: nobody has approved it; it lapses unless it is ratified by {by}."


def _ground_words(rules: Charter, ground: str) -> str:
    found = next((one.words for one in rules.grounds if one.name == ground), "")
    return f" ({found})" if found else ""


def _opener(verified: VerifiedWarrant) -> str:
    key = verified.warrant.opener_key
    found = next(
        (one.name for one in verified.charter.charter.openers if one.xwing == key),
        "an opener of the charter in force",
    )
    return f"{found} (key {short(opener_key_hash(key))})"
