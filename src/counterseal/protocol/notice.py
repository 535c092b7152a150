"""The notice: a witness tells an account, after the delay, that its messages were opened (section
8).

| rule | refuses |
| --- | --- |
| N2 | a notice that is not padded as specified |
| N3 | a notice that the witness it names did not sign |
| N4 | a notice that does not say what its warrant says |
| N5 | a notice that is due later than the charter's delay after its issue |
| N6 | a notice that is published before it is due |
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from .access import Access, LoggedRelease
from .cbor import tag
from .charter import Charter
from .cose import ReceivedSign, sign
from .errors import Refused, refuse_as
from .keys import HPKE_OVERHEAD, InstitutionSigner, SealingKey, seal_to
from .record import Bytes32, Domain, Name, Record, Uint
from .verified_charter import VerifiedCharter
from .warrant import Reference, Warrant

PADDED = 8_192
"""Bytes of a padded notice statement: all notices look alike."""
SEALED = PADDED + HPKE_OVERHEAD


class Notice(Record, frozen=True, tag="counterseal/v1/notice"):
    """What the account is told. COSE_Sign by the witness at `position`; times are seconds."""

    limit: ClassVar[int] = 4_096
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    account_id: Bytes32
    start: Uint
    until: Uint
    direction: Literal["sent", "conversation"]
    ground: Name
    reference: Reference
    requester: Annotated[str, Meta(max_length=128)]
    approver: Annotated[str, Meta(max_length=128)]
    position: Uint
    issued: Uint
    due: Uint


class SealedNotice(Record, frozen=True, tag="counterseal/v1/sealed-notice"):
    """A padded notice statement sealed to the account's notice key. A release commits to its
    digest.
    """

    limit: ClassVar[int] = SEALED + 128
    sealed: Annotated[bytes, Meta(min_length=SEALED, max_length=SEALED)]


class VerifiedNotice(msgspec.Struct, frozen=True):
    """A notice that a witness of the charter signed for this account."""

    notice: Notice
    statement: bytes


def make_notice(
    warrant: Warrant,
    account_id: bytes,
    position: int,
    issued: int,
    charter: Charter,
    issuers: tuple[str, str],
) -> Notice:
    """The notice to an account. `charter` is the one in force, whose delay counts from `issued`;
    `issuers` are the names of requester and approver (an empty text: not ratified yet)."""
    return Notice(
        domain=warrant.domain,
        charter_digest=warrant.charter_digest,
        warrant_digest=warrant.digest(),
        account_id=account_id,
        start=warrant.start,
        until=warrant.until,
        direction=warrant.direction,
        ground=warrant.ground,
        reference=warrant.reference,
        requester=issuers[0],
        approver=issuers[1],
        position=position,
        issued=issued,
        due=issued + charter.notices.delay,
    )


def seal_notice(signer: InstitutionSigner, notice: Notice, notice_key: bytes) -> SealedNotice:
    """The notice, signed, padded and sealed. Raises `Refused` K5 for a bad key: seal to the
    charter's substitute then.
    """
    padded = pad_notice(sign([signer], notice.encode()))
    return SealedNotice(seal_to(notice_key, _info(notice.domain), padded))


def seal_dummy(domain: str) -> SealedNotice:
    """A notice to nobody: zeros, sealed to a key that is thrown away. Only who tries to open it can
    tell it from a real one.
    """
    return SealedNotice(seal_to(SealingKey.generate().public, _info(domain), bytes(PADDED)))


def pad_notice(statement: bytes) -> bytes:
    """Length (uint32, big-endian), the statement, zeros up to 8,192 bytes. Raises `Refused` N2 if
    it is longer.
    """
    if len(statement) > PADDED - 4:
        raise Refused("N2", f"A notice of {len(statement)} bytes does not fit into {PADDED}.")
    return len(statement).to_bytes(4, "big") + statement + bytes(PADDED - 4 - len(statement))


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
    return unpad_notice(private.open(_info(domain), sealed.sealed))


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


def _info(domain: str) -> list[object]:
    """HPKE's info for a notice, as an array."""
    return [tag("notice-seal"), domain]


def notice_due(access: Access, release: LoggedRelease, notices_delay: int, extension: int) -> int:
    """When (seconds) the notices of a witness's release are due: the charter's delay after it,
    later by `extension` for each extension that was logged before they were due. A warrant that
    lapsed has no extensions."""
    due = release.time + notices_delay
    for extended_at in () if access.lapsed_at is not None else access.extended_at:
        if extended_at < due:
            due += extension
    return due
