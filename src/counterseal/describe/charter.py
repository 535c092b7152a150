"""A charter in words: what it rules, and who together could open silently."""

from __future__ import annotations

from counterseal.protocol.charter import Charter

from .phrases import count, names, short, span, when


def describe_charter(record: Charter, digest: bytes) -> list[str]:
    """What a charter says, one sentence a line, with what both quorums together could do."""
    lines = [
        f"Charter {record.version} of {record.domain}, digest {digest.hex()}.",
        f"It is valid from {when(record.valid_from)} until {when(record.valid_until)}.",
    ]
    if record.demonstration:
        lines.append("It is marked as a DEMONSTRATION: ordinary apps refuse to join it.")
    for part in (_quorums, _issuers, _limits, _notices, _logs):
        lines += part(record)
    lines.append(describe_silent_opening(record))
    return lines


def describe_silent_opening(record: Charter) -> str:
    """The honest sentence: who, together, could open without a trace."""
    bodies = names([body.name for body in record.custodians.bodies])
    witnesses = names([witness.name for witness in record.witnesses.members])
    return (
        f"What no rule prevents: {record.custodians.needed} of the custodian bodies {bodies}, "
        f"together with {record.witnesses.w} of the witnesses {witnesses}, could open messages "
        "silently. Neither of the two groups can do it alone."
    )


def summarise_charter(record: Charter, digest: bytes) -> str:
    """Who can open what is sent under a charter, in a sentence or two for members."""
    custodians, witnesses = record.custodians, record.witnesses
    bodies = ", ".join(body.name for body in custodians.bodies)
    people = ", ".join(witness.name for witness in witnesses.members)
    warning = "DEMONSTRATION, not for real messages. " if record.demonstration else ""
    return (
        f"{warning}Charter {record.version} of {record.domain} ({short(digest)}): a warrant that "
        f"two bodies sign can be opened when {custodians.needed} of {len(custodians.bodies)} "
        f"custodians ({bodies}) and {witnesses.w} of {len(witnesses.members)} witnesses "
        f"({people}) agree, and not otherwise."
    )


def _quorums(record: Charter) -> list[str]:
    custodians, witnesses = record.custodians, record.witnesses
    lines = [
        f"{custodians.needed} of {count(len(custodians.bodies), 'custodian body')} must release:"
    ]
    for body in custodians.bodies:
        people = names([member.name for member in body.members])
        lines.append(
            f"  {body.name}: {body.threshold} of its {len(body.members)} members ({people});"
        )
    people = names([witness.name for witness in witnesses.members])
    lines.append(
        f"and {witnesses.w} of {count(len(witnesses.members), 'witness')} ({people}); "
        f"{witnesses.c} of them must cosign the log."
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
            f"Caps: {count(caps.units_30_days, 'unit')} in 30 days (one account in one period of "
            f"{span(record.period_length)}), {count(caps.accounts_per_warrant, 'account')} and "
            f"{count(caps.days_per_warrant, 'day')} a warrant."
        ),
        (
            f"An urgent warrant reaches at most {span(urgent.max_period)} and lapses unless it is "
            f"ratified within {span(urgent.ratify_within)} by the calendar {urgent.calendar!r}."
        ),
        (
            f"Messages can be opened for {span(record.retention)}; then the sealing keys are "
            "destroyed and nobody can open them."
        ),
        f"A successor charter comes into force {span(record.activation_delay)} after it is logged.",
    ]


def _notices(record: Charter) -> list[str]:
    notices = record.notices
    lines = [
        (
            f"An account is told {span(notices.delay)} after its messages were released; that is "
            f"put off at most {count(notices.extensions_max, 'time')}, by "
            f"{span(notices.extension)} each, by a logged extension."
        ),
        (
            f"Each witness publishes {count(notices.per_cadence, 'notice')} every "
            f"{span(notices.cadence)}, dummies among them."
        ),
    ]
    lines += [f"Made public {rule.when}: {rule.field}." for rule in record.disclosure]
    return lines


def _logs(record: Charter) -> list[str]:
    ledger = record.ledger
    return [
        (
            f"The ledger takes {count(ledger.leaves, 'leaf')} every {span(ledger.tick)}; a "
            f"holder acts on a checkpoint at most {span(ledger.fresh_online)} old online, "
            f"{span(ledger.fresh_offline)} without a network."
        ),
        f"It is read by {names([reader.name for reader in record.readers])}.",
    ]
