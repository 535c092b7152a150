"""A notice in words: what an account's owner is told after an opening."""

from __future__ import annotations

from collections.abc import Sequence

from counterseal.protocol.notice import Notice

from .phrases import minute, short


def describe_notice(notice: Notice, witnesses: Sequence[str]) -> str:
    """What was opened, who asked for it and on what ground, and which witnesses say so."""
    sent = notice.direction == "sent"
    what = "messages you sent" if sent else "conversations you were in"
    approver = (
        f" and {notice.approver} approved" if notice.approver else ", without an approver so far,"
    )
    return (
        f"Warrant {short(notice.warrant_digest)} ({notice.reference}): {what} from "
        f"{minute(notice.start)} until {minute(notice.until)} were opened, on the ground "
        f"{notice.ground}. {notice.requester} asked{approver} for it. "
        f"So say, signed: {', '.join(witnesses)}."
    )
