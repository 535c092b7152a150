"""The notice: a witness tells an account, after the delay, that its messages were opened (section
8).

| rule | refuses |
| --- | --- |
| N2 | a notice that is not padded as specified |
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from .access import Access, LoggedRelease
from .cbor import tag
from .charter import Charter
from .cose import sign
from .errors import Refused
from .keys import HPKE_OVERHEAD, InstitutionSigner, SealingKey, seal_to
from .record import Bytes32, Domain, Name, Record, Uint
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
    return SealedNotice(seal_to(notice_key, notice_info(notice.domain), padded))


def seal_dummy(domain: str) -> SealedNotice:
    """A notice to nobody: zeros, sealed to a key that is thrown away. Only who tries to open it can
    tell it from a real one.
    """
    return SealedNotice(seal_to(SealingKey.generate().public, notice_info(domain), bytes(PADDED)))


def pad_notice(statement: bytes) -> bytes:
    """Length (uint32, big-endian), the statement, zeros up to 8,192 bytes. Raises `Refused` N2 if
    it is longer.
    """
    if len(statement) > PADDED - 4:
        raise Refused("N2", f"A notice of {len(statement)} bytes does not fit into {PADDED}.")
    return len(statement).to_bytes(4, "big") + statement + bytes(PADDED - 4 - len(statement))


def notice_info(domain: str) -> list[object]:
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
