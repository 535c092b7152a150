"""A notice as it comes: opened, verified, compared with the warrant that it tells of (section 8).

| rule | refuses |
| --- | --- |
| N3 | a notice that the witness it names did not sign |
| N4 | a notice that does not say what its warrant says |
| N5 | a notice that is due later than the charter's delay after its issue |
| N6 | a notice that is published before it is due |
"""

from __future__ import annotations

import msgspec

from .cose import ReceivedSign
from .errors import Refused, refuse_as
from .keys import SealingKey
from .notice import PADDED, Notice, SealedNotice, notice_info, pad_notice
from .verified_charter import VerifiedCharter
from .warrant import Warrant


class VerifiedNotice(msgspec.Struct, frozen=True):
    """A notice that a witness of the charter signed for this account."""

    notice: Notice
    statement: bytes


def unpad_notice(padded: bytes) -> bytes:
    """The statement inside. Raises `Refused` N2."""
    statement = padded[4 : 4 + int.from_bytes(padded[:4], "big")]
    if len(padded) != PADDED or pad_notice(statement) != padded:
        raise Refused("N2", "The notice is not padded as specified.")
    return statement


def open_notice(private: SealingKey, sealed: SealedNotice, domain: str) -> bytes:
    """The notice statement, if it is for this key. Raises `Refused` X5 (for somebody else, or a
    dummy) or N2.
    """
    return unpad_notice(private.open(notice_info(domain), sealed.sealed))


def verify_notice(statement: bytes, charter: VerifiedCharter) -> VerifiedNotice:
    """The notice, signed by the witness that it names, under the charter that it names. Raises
    `Refused` N3.
    """
    with refuse_as("N3", "The notice is not its witness's:"):
        cose = ReceivedSign.decode(statement, Notice.limit)
        notice = Notice.decode(cose.payload)
        witness = charter.check_holder(notice.position)
        cose.verify({witness.kid: witness})

    if (
        notice.position not in charter.tree.witness_positions()
        or notice.charter_digest != charter.digest
    ):
        raise Refused("N3", "The notice comes from no witness of its charter.")

    return VerifiedNotice(notice, statement)


def check_notice(notice: Notice, warrant: Warrant, delay: int) -> Notice:
    """The notice again, if it says what its warrant says and is due `delay` seconds after its
    issue. Raises `Refused` N4, N5.
    """
    said = (notice.domain, notice.charter_digest, notice.warrant_digest, notice.start, notice.until)
    said_too = (notice.direction, notice.ground, notice.reference)
    if said != (
        warrant.domain,
        warrant.charter_digest,
        warrant.digest(),
        warrant.start,
        warrant.until,
    ):
        raise Refused("N4", "The notice names another warrant, or another span.")
    if said_too != (warrant.direction, warrant.ground, warrant.reference):
        raise Refused("N4", "The notice names another direction, ground or reference.")
    if notice.due > notice.issued + delay:
        raise Refused("N5", f"The notice is due more than {delay} s after its issue.")

    return notice


def check_due(due: int, now: int) -> int:
    """`due` again, if it is past. Raises `Refused` N6."""
    if now < due:
        raise Refused("N6", f"The notice is due at {due}; until then its witness keeps it.")
    return due
