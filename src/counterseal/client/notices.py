"""Notices: what tells this account, after the delay, that its messages were opened.

Every notice that anybody publishes is tried on this account's key: nobody else learns whom it was
about, and a service that keeps silent changes nothing, because the witnesses publish too. A notice
counts when the witness that it names signed it (N3), under a charter that this device has verified;
several witnesses tell of the same warrant, and each is kept as a proof.
"""

from __future__ import annotations

import time

import msgspec

from counterseal.client.policy import Need
from counterseal.client.session import Session
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.store.notices import NoticeRow
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import CountersealError, Refused
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.notice import Notice, SealedNotice
from counterseal.protocol.received_notice import VerifiedNotice, open_notice, verify_notice
from counterseal.wire.notices import NOTICES
from counterseal.wire.witness import WITNESS_NOTICES


class WarrantNotice(msgspec.Struct, frozen=True):
    """A warrant that opened something of this account, with the witnesses that say so."""

    notice: Notice
    witnesses: tuple[str, ...]


async def fetch(session: Session) -> int:
    """Fetches from the service and from every witness, tries each notice, stores what is for this
    account; returns how many were new.

    A source that does not answer is passed over: the others have the same.
    """
    with session.store() as store:
        seed = store.settings.notice_seed
    if seed is None:
        return 0
    key = SealingKey(seed)
    found = 0
    for source, url in [
        ("service", ""),
        *((name, url) for name, url, _ in session.home.pins.witnesses if url),
    ]:
        try:
            found += await _from(session, key, source, url)
        except CountersealError:
            continue
    return found


async def _from(session: Session, key: SealingKey, source: str, url: str) -> int:
    found = 0
    while True:
        with session.store() as store:
            after = store.settings.notices_after(source)
        if url:
            page = await session.service.call_other(url, WITNESS_NOTICES, after=after)
        else:
            page = await session.service.call(NOTICES, after=after)
        for shown in page.rows:
            found += await _try(session, key, shown.sealed)
        if not page.rows:
            return found
        last = max(shown.index for shown in page.rows)
        if last <= after:
            raise Refused("E6", f"{source} gives out notices in another order than by number.")
        with session.transaction() as store:
            store.settings.set_notices_after(source, last)


async def _try(session: Session, key: SealingKey, sealed: bytes) -> bool:
    """Whether the notice is for this account and new. One that is not for it, or a dummy, does not
    open; that is no fault.
    """
    try:
        statement = open_notice(key, SealedNotice.decode(sealed), session.home.pins.domain)
    except Refused:
        return False
    try:
        verified = await _verified(session, statement)
        with session.transaction() as store:
            return _keep(session, store, verified)
    # sealed to this account by somebody who is no witness, or about another account: it proves
    # nothing, is not kept, and must not keep the notices after it from being tried
    except Refused:
        return False


async def _verified(session: Session, statement: bytes) -> VerifiedNotice:
    digest = _decode(statement).charter_digest
    for _ in range(2):
        try:
            with session.store() as store:
                charter = session.directory.rules.charter(store, digest)
            return verify_notice(statement, charter)
        except Need as need:
            missing = need
        await session.directory.learn(missing)
    raise Refused("N3", "The notice names a charter that is not in the log.")


def _keep(session: Session, store: DeviceStore, verified: VerifiedNotice) -> bool:
    """Keeps a verified notice; returns whether it is new. Raises `Refused` N4."""
    notice = verified.notice
    if notice.account_id != session.me[0]:
        raise Refused("N4", "A notice for another account was sealed to this one.")
    charter = session.directory.rules.charter(store, notice.charter_digest)
    witness = charter.holder_name(notice.position)
    return store.notices.add(
        NoticeRow(notice.warrant_digest, witness, verified.statement, int(time.time()))
    )


def received(store: DeviceStore) -> list[WarrantNotice]:
    """What this account was told, one entry a warrant, oldest first."""
    by_warrant: dict[bytes, list[NoticeRow]] = {}
    for row in store.notices.all():
        by_warrant.setdefault(row.warrant, []).append(row)
    return [
        WarrantNotice(_decode(rows[0].statement), tuple(sorted(row.witness for row in rows)))
        for rows in by_warrant.values()
    ]


def statements(store: DeviceStore, warrant: bytes) -> list[bytes]:
    """The signed notice statements about a warrant: proofs that can be handed to anybody."""
    return [row.statement for row in store.notices.of_warrant(warrant)]


def _decode(statement: bytes) -> Notice:
    return Notice.decode(ReceivedSign.decode(statement, Notice.limit).payload)
