"""Notices: what tells this account, after the delay, that its messages were opened.

Every notice that anybody publishes is tried on this account's key: nobody else learns whom it was
about, and a service that keeps silent changes nothing, because the witnesses publish too. A notice
counts when the witness that it names signed it (N3), under a charter that this device has verified;
several witnesses tell of the same warrant, and each is kept as a proof.
"""

from __future__ import annotations

import time

import aiohttp
import msgspec

from counterseal.client.api import SMALL, bounded
from counterseal.client.policy import Need
from counterseal.client.session import Session
from counterseal.client.vault import Vault
from counterseal.protocol import cbor
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import CountersealError, Refused
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.notice import (
    Notice,
    SealedNotice,
    VerifiedNotice,
    open_notice,
    verify_notice,
)

_PAGE = 500
_ANSWER = _PAGE * (SealedNotice.limit + 16) + SMALL


class Told(msgspec.Struct, frozen=True):
    """A warrant that opened something of this account, with the witnesses that say so."""

    notice: Notice
    witnesses: tuple[str, ...]


async def fetch(session: Session) -> int:
    """Fetches from the service and from every witness, tries each notice, stores what is for this
    account; gives how many were new.

    A source that does not answer is passed over: the others have the same.
    """
    with session.vault() as vault:
        seed = vault.get("notice_seed")
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
        except (CountersealError, aiohttp.ClientError, TimeoutError, OSError):
            continue
    return found


async def _from(session: Session, key: SealingKey, source: str, url: str) -> int:
    found = 0
    while True:
        with session.vault() as vault:
            after = vault.get(f"notices:{source}") or 0
        page = (
            await session.service.notices(after)
            if not url
            else await _witness_page(session, url, after)
        )
        for _, sealed in page:
            found += await _try(session, key, sealed)
        if not page:
            return found
        last = max(index for index, _ in page)
        if last <= after:
            raise Refused("E6", f"{source} gives out notices in another order than by number.")
        with session.transaction() as vault:
            vault.put(f"notices:{source}", last)


async def _witness_page(session: Session, url: str, after: int) -> list[tuple[int, bytes]]:
    """`GET /notices?after=` of a witness: the same array as the service's."""
    async with session.service.session.get(
        f"{url.rstrip('/')}/notices?after={after}", allow_redirects=False
    ) as answer:
        if answer.status != 200:
            raise Refused("E6", f"The witness at {url} gives no notices (status {answer.status}).")
        data = await bounded(answer, _ANSWER)
    value = cbor.decode(data, _ANSWER)
    if type(value) is not tuple:
        raise Refused(
            "E6", f"The witness at {url} answered with something that is no list of notices."
        )
    page: list[tuple[int, bytes]] = []
    for one in value:
        match one:
            case (int() as index, bytes() as sealed):
                page.append((index, sealed))
            case _:
                raise Refused(
                    "E6",
                    f"The witness at {url} answered with something that is no list of notices.",
                )
    return page


async def _try(session: Session, key: SealingKey, sealed: bytes) -> int:
    """1 if the notice is for this account and new. One that is not for it, or a dummy, does not
    open; that is no fault.
    """
    try:
        statement = open_notice(key, SealedNotice.decode(sealed), session.home.pins.domain)
    except Refused:
        return 0
    try:
        verified = await _verified(session, statement)
    # sealed to this account by somebody who is no witness: proves nothing and is not kept
    except Refused:
        return 0
    with session.transaction() as vault:
        return _store(session, vault, verified)


async def _verified(session: Session, statement: bytes) -> VerifiedNotice:
    digest = Notice.decode(ReceivedSign.decode(statement, Notice.limit).payload).charter_digest
    for _ in range(2):
        try:
            with session.vault() as vault:
                return verify_notice(statement, session.directory.charter(vault, digest))
        except Need as need:
            missing = need
        await session.directory.learn(missing)
    raise Refused("N3", "The notice names a charter that is not in the log.")


def _store(session: Session, vault: Vault, verified: VerifiedNotice) -> int:
    notice = verified.notice
    if notice.account_id != session.me[0]:
        raise Refused("N4", "A notice for another account was sealed to this one.")
    witness = session.directory.charter(vault, notice.charter_digest).holder_name(notice.position)
    known = vault.one(
        "SELECT 1 FROM client_notice WHERE warrant = ? AND witness = ?",
        notice.warrant_digest,
        witness,
    )
    vault.execute(
        "INSERT OR IGNORE INTO client_notice (warrant, witness, statement, received) VALUES (?, ?, ?, ?)",
        notice.warrant_digest, witness, verified.statement, int(time.time()),
    )  # fmt: skip
    return 0 if known else 1


def told(vault: Vault) -> list[Told]:
    """What this account was told, one entry a warrant, oldest first."""
    by_warrant: dict[bytes, list[tuple[str, bytes]]] = {}
    for warrant, witness, statement in vault.execute(
        "SELECT warrant, witness, statement FROM client_notice ORDER BY received, rowid"
    ):
        by_warrant.setdefault(warrant, []).append((witness, statement))
    entries = []
    for rows in by_warrant.values():
        notice = Notice.decode(ReceivedSign.decode(rows[0][1], Notice.limit).payload)
        entries.append(Told(notice, tuple(sorted(witness for witness, _ in rows))))
    return entries


def statements(vault: Vault, warrant: bytes) -> list[bytes]:
    """The signed notice statements about a warrant: proofs that can be handed to anybody."""
    return [
        row[0]
        for row in vault.execute(
            "SELECT statement FROM client_notice WHERE warrant = ? ORDER BY witness", warrant
        )
    ]
