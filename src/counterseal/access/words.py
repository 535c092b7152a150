"""Charters, warrants and times in words, for the people who decide. Nothing here decides
anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from counterseal.protocol.access_state import AccessState
from counterseal.protocol.charter import Charter, VerifiedCharter
from counterseal.protocol.decision import VerifiedWarrant
from counterseal.protocol.keyset import Keyset
from counterseal.protocol.release import opener_key_hash
from counterseal.protocol.warrant import Warrant

from .holder import VerifiedListing

if TYPE_CHECKING:
    from .issuer import Status

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def when(seconds: int) -> str:
    """A moment in UTC, to the minute where that is exact."""
    then = datetime.fromtimestamp(seconds, UTC)
    return (
        then.strftime("%Y-%m-%d %H:%M UTC")
        if seconds % 60 == 0
        else then.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def span(seconds: int) -> str:
    """A length of time in the largest unit that is exact."""
    for size, unit in _UNITS:
        if seconds % size == 0 and seconds:
            return count(seconds // size, unit)
    return "no time"


def count(number: int, noun: str) -> str:
    """`1 window`, `2 windows`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") and not noun.endswith("ay") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def names(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return (
        items[0]
        if len(items) == 1
        else f"{', '.join(items[:-1])} and {items[-1]}"
        if items
        else "nobody"
    )


def quarter_name(quarter: int) -> str:
    """`2026Q4` for 4 * 2026 + 3."""
    return f"{quarter // 4}Q{quarter % 4 + 1}"


def charter(record: Charter, digest: bytes) -> list[str]:
    """What a charter says, one sentence a line, with what both quorums together could do."""
    lines = [
        f"Charter {record.version} of {record.domain}, digest {digest.hex()}.",
        f"It is valid from {when(record.valid_from)} until {when(record.valid_until)}.",
    ]
    if record.demonstration:
        lines.append("It is marked as a DEMONSTRATION: ordinary apps refuse to join it.")
    lines += (
        _quorums(record) + _issuers(record) + _limits(record) + _notices(record) + _logs(record)
    )
    lines.append(silent(record))
    return lines


def silent(record: Charter) -> str:
    """The honest sentence: who, together, could open without a trace."""
    bodies = names([body.name for body in record.custodians.bodies])
    witnesses = names([witness.name for witness in record.witnesses.members])
    return (
        f"What no rule prevents: {record.custodians.needed} of the custodian bodies {bodies}, together with {record.witnesses.w} "
        f"of the witnesses {witnesses}, could open messages silently. Neither of the two groups can do it alone."
    )


def _quorums(record: Charter) -> list[str]:
    lines = [
        f"{record.custodians.needed} of {count(len(record.custodians.bodies), 'custodian body')} must release:"
    ]
    for body in record.custodians.bodies:
        people = names([member.name for member in body.members])
        lines.append(
            f"  {body.name}: {body.threshold} of its {len(body.members)} members ({people});"
        )
    witnesses = record.witnesses
    lines.append(
        f"and {witnesses.w} of {count(len(witnesses.members), 'witness').replace('witnesss', 'witnesses')} "
        f"({names([witness.name for witness in witnesses.members])}); {witnesses.c} of them must cosign the log."
    )
    return lines


def _issuers(record: Charter) -> list[str]:
    lines = ["A warrant needs a requester and an approver of another body:"]
    lines += [
        f"  {issuer.name} of {issuer.body}: {names(issuer.roles)};" for issuer in record.issuers
    ]
    lines.append("on one of these grounds:")
    for ground in record.grounds:
        urgent = " (urgent: a requester may start alone)" if ground.urgent else ""
        lines.append(f"  {ground.name}{urgent}: {ground.words or 'no words given'};")
    lines.append(f"and it is opened by {names([opener.name for opener in record.openers])}.")
    return lines


def _limits(record: Charter) -> list[str]:
    caps, urgent = record.caps, record.urgent
    return [
        (
            f"Caps: {count(caps.units_30_days, 'unit')} in 30 days (one account in one period of {span(record.period_length)}), "
            f"{count(caps.accounts_per_warrant, 'account')} and {count(caps.days_per_warrant, 'day')} a warrant."
        ),
        (
            f"An urgent warrant reaches at most {span(urgent.max_period)} and lapses unless it is ratified within "
            f"{span(urgent.ratify_within)} by the calendar {urgent.calendar!r}."
        ),
        f"Messages can be opened for {span(record.retention)}; then the sealing keys are destroyed and nobody can open them.",
        f"A successor charter comes into force {span(record.activation_delay)} after it is logged.",
    ]


def _notices(record: Charter) -> list[str]:
    notices = record.notices
    lines = [
        (
            f"An account is told {span(notices.delay)} after its messages were released; that is put off at most "
            f"{count(notices.extensions_max, 'time')}, by {span(notices.extension)} each, by a logged extension."
        ),
        f"Each witness publishes {count(notices.per_cadence, 'notice')} every {span(notices.cadence)}, dummies among them.",
    ]
    lines += [f"Made public {rule.when}: {rule.field}." for rule in record.disclosure]
    return lines


def _logs(record: Charter) -> list[str]:
    ledger = record.ledger
    return [
        (
            f"The ledger takes {count(ledger.leaves, 'leaf').replace('leafs', 'leaves')} every {span(ledger.tick)}; a holder acts on a "
            f"checkpoint at most {span(ledger.fresh_online)} old online, {span(ledger.fresh_offline)} without a network."
        ),
        f"It is read by {names([reader.name for reader in record.readers])}.",
    ]


def signatures(verified: VerifiedCharter) -> str:
    """Who signed a charter."""
    positions = sorted(
        verified.positions[kid] for kid in verified.signers if kid in verified.positions
    )
    return f"Signed by {names([verified.holder_name(position) for position in positions])}."


def keyset(record: Keyset, verified: VerifiedCharter) -> list[str]:
    """What a keyset's signer signs."""
    missing = [
        verified.holder_name(i)
        for i, statement in enumerate(record.holder_keys)
        if statement is None
    ]
    return [
        f"Keyset of {quarter_name(record.quarter)} for {record.domain} under charter {verified.charter.version}.",
        f"It has sealing keys of {len(record.holder_keys) - len(missing)} of {len(record.holder_keys)} holders.",
        f"No key was delivered by {names(missing)}.",
        f"It starts a new ledger key, sealed to {len(record.ledger_key.sealed)} readers.",
    ]


def warrant(verified: VerifiedWarrant, state: AccessState, checkpoint_time: int) -> list[str]:
    """What a holder is asked to open: who asks, on what ground, whose messages, which period, how
    much, until when, who is told.
    """
    order, access, rules = verified.warrant, verified.access, verified.charter.charter
    in_force = state.rulebook.in_force(state.time).charter
    lines = [
        f"Warrant {verified.digest.hex()} of {order.domain}, reference {order.reference or '(none)'}.",
        _asked(verified),
        f"Ground: {order.ground}{_ground_words(in_force, order.ground)}.",
        *order_lines(order, rules),
        (
            f"It may open at most {count(order.units, 'unit')}; of the charter's {in_force.caps.units_30_days:,} in 30 days, "
            f"{max(in_force.caps.units_30_days - state.committed(state.time), 0):,} are left."
        ),
        f"The shares are sealed to {_opener(verified)} and are of use to nobody else.",
        f"Each account is told {span(in_force.notices.delay)} after the witnesses' release, unless that is extended by a logged order.",
        f"The ledger was read whole up to {when(checkpoint_time)}; the warrant is neither cancelled nor expired there.",
    ]
    released = sorted({one.release.position for one in access.releases})
    if released:
        lines.append(
            f"Releases so far: {names([verified.charter.holder_name(position) for position in released])}."
        )
    return lines


def order_lines(order: Warrant, rules: Charter) -> list[str]:
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
        else names([c.hex() for c in order.conversations])
    )
    return [
        f"It asks for {kind} {count(len(order.account_ids), 'account')}: {accounts}; in {where}.",
        f"Period: from {when(order.start)} until {when(order.until)}, {count(periods, 'period')} of {span(rules.period_length)}.",
        f"It expires {when(order.expires)}.",
    ]


def listing(verified: VerifiedListing) -> str:
    """What releasing one listing opens."""
    labels = [window.label for window in verified.windows]
    days = sorted({label.opens for label in labels})
    return (
        f"Listing {verified.listing.number}: {count(len(labels), 'window')} of "
        f"{count(len({label.account_id for label in labels}), 'account')} in "
        f"{count(len({label.conversation_id for label in labels}), 'conversation')}, between {when(days[0])} and "
        f"{when(max(label.closes for label in labels))}; {count(verified.units, 'unit')} so far of the warrant's "
        f"{verified.warrant.warrant.units:,}."
    )


def _asked(verified: VerifiedWarrant) -> str:
    access, requester = verified.access, verified.requester
    asked = f"Requested by {requester.name} of {requester.body} on {when(access.requested_at)}"
    if verified.approver is not None and access.approved_at is not None:
        return f"{asked}, approved by {verified.approver.name} of {verified.approver.body} on {when(access.approved_at)}."
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
    return f"{found} (key {opener_key_hash(key).hex()[:16]})"


def status(one: Status) -> list[str]:
    """What has become of a warrant."""
    lines = [
        f"Warrant {one.digest.hex()}: {one.state}. Requested {when(one.requested)}, expires {when(one.expires)}."
    ]
    if one.approved is not None:
        lines.append(f"Approved {when(one.approved)}.")
    elif one.ratify_by is not None:
        lines.append(f"Urgent; to be ratified by {when(one.ratify_by)}.")
    if one.listings:
        lines.append(f"Listed: {count(one.windows, 'window')} in {count(one.listings, 'listing')}.")
    lines.append(
        f"Newest listing released by {one.bodies[0]} of {one.bodies[1]} custodian bodies needed, "
        f"{one.witnesses[0]} of {one.witnesses[1]} witnesses needed; {one.units:,} of {one.units_allowed:,} units used."
    )
    if one.opened:
        lines.append(f"Opened: {count(one.opened, 'opening report')}.")
    if one.notice_due is not None:
        lines.append(f"The first notice is due {when(one.notice_due)}.")
    if one.destroyed is not None:
        lines.append(f"What was opened was destroyed {when(one.destroyed)}.")
    return lines
