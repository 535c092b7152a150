"""Looking up accounts: the chain replays from the account's id, each statement is proved to be
logged, and the handle is proved under a directory root that is new enough.

| rule | refuses |
| --- | --- |
| M8 | an account's chain that is shorter than, or differs from, what was seen of it or what the |
|    | directory's root names |
| M9 | a directory root over 24 hours old |
"""

from __future__ import annotations

import asyncio
import hashlib
import time

from counterseal.client.home import DeviceHome
from counterseal.client.log import LogFollower
from counterseal.client.service_client import ServiceClient
from counterseal.client.store.accounts import KnownAccount
from counterseal.client.store.device_store import DeviceStore
from counterseal.protocol import cbor
from counterseal.protocol.account import STATEMENT_MAX
from counterseal.protocol.account_chain import Device, DeviceRevoked, ReceivedLink, VerifiedChain
from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.protocol.errors import NotFound, Refused, Unavailable
from counterseal.protocol.sign1 import ReceivedSign1
from counterseal.tlog.directory import check_next_root, decode_directory_root, decode_lookup
from counterseal.wire.accounts import (
    ACCOUNT,
    HANDLE,
    HandleFound,
    ShownAccount,
    ShownChainStatement,
)

ROOT_MAX_AGE = 24 * 3600
"""Seconds that a directory root may be old (section 7)."""
_ROOT_TRIES = 8  # half seconds


class AccountLookup:
    """Looks accounts up, and stores what holds."""

    def __init__(self, home: DeviceHome, service: ServiceClient, log: LogFollower) -> None:
        self._home = home
        self._service = service
        self._log = log
        self.just_looked: set[bytes] = set()
        """Accounts that were looked up for the present decision."""

    async def learn(self, account: bytes) -> VerifiedChain:
        """Looks up an account by its id (32 bytes), stores it, and returns its chain.

        Raises `Refused` M8, M9, the rules of chains, the directory and the log; `NotFound`.
        """
        answer = await self._service.call(ACCOUNT, account=account)
        statements = [logged_bytes(row) for row in answer.chain]
        chain = VerifiedChain.replay(statements, self._home.pins.domain)
        if chain.account_id != account:
            raise Refused(
                "M8",
                "The service answered with another account than it was asked for;"
                " nothing was taken from it.",
            )

        heads = _heads(statements)
        with self._home.store() as store:
            proved = _count_proved(heads, store.accounts.account(account))
        for statement, shown in zip(statements[proved:], answer.chain[proved:], strict=True):
            await self._log.prove_statement(statement, shown.log_index)
        handle = await self._prove_handle(answer, chain, heads)

        with self._home.store() as store, store.transaction():
            _keep(store, chain, statements, handle, answer.display)
        self.just_looked.add(account)
        return chain

    async def find(self, handle: str) -> bytes:
        """The id of the account that a handle points to, proved and looked up.

        In a demonstration roots follow changes within seconds, so a new handle is waited for.
        Raises `NotFound`, and what `learn` raises.
        """
        for _ in range(_ROOT_TRIES if self._home.pins.demonstration else 0):
            try:
                return await self._find(handle)
            except NotFound:
                await asyncio.sleep(0.5)
        return await self._find(handle)

    async def _find(self, handle: str) -> bytes:
        domain = self._home.pins.domain
        try:
            shown = await self._service.call(HANDLE, handle=handle)
        except (NotFound, Unavailable):
            raise NotFound(
                f"The directory of {domain} does not name {handle}"
                " (a new account stands in the next hourly root).",
                code="no-handle",
            ) from None
        check_handle(handle, shown, domain)
        await self.learn(shown.account_id)
        with self._home.store() as store:
            proved = store.accounts.handle(shown.account_id)
        if proved != handle:
            raise Refused(
                "M8",
                f"The directory's proof for {handle} does not hold; the account was not taken.",
            )
        return shown.account_id

    async def _prove_handle(
        self, answer: ShownAccount, chain: VerifiedChain, heads: list[bytes]
    ) -> str:
        """The handle, if the directory's newest root proves that it points to this account; empty
        when no root has it yet.
        """
        try:
            shown = await self._service.call(HANDLE, handle=answer.handle)
        except (NotFound, Unavailable):
            return ""
        head, root = check_handle(answer.handle, shown, self._home.pins.domain)
        if time.time() - root.time > ROOT_MAX_AGE:
            raise Refused(
                "M9",
                "The directory's newest root is over 24 hours old;"
                " nobody can be looked up until there is a new one.",
            )
        await self._log.prove_statement(shown.root, shown.log_index)

        if shown.account_id != chain.account_id:
            with self._home.store() as store:
                mine = store.settings.account
            if chain.account_id == mine:
                raise Refused(
                    "M8",
                    f"The directory gives your handle {answer.handle} to another account."
                    " Tell those who write to you.",
                )
            return ""

        # The root names the chain's head as it was then. What was logged before the root and is not
        # under that head was held back from it, or from us.
        place = heads.index(head) if head in heads else -1
        later = answer.chain[place + 1 :]
        if place < 0 or any(row.log_index < root.log_size for row in later):
            raise Refused(
                "M8",
                "The service holds back the newest statements of an account,"
                " or shows one that its directory does not name.",
            )
        return answer.handle


def check_handle(handle: str, shown: HandleFound, domain: str) -> tuple[bytes, DirectoryRoot]:
    """The chain head (32 bytes) that the root has for the handle's account, and the root.

    That the root is in the log, and how old it may be, is the caller's to check. Raises `Refused`
    D1 to D5.
    """
    root = check_next_root(None, decode_directory_root(shown.root, domain), shown.log_index)
    return decode_lookup(shown.proof).verify(root.root, handle).expect(shown.account_id).head, root


def logged_bytes(row: ShownChainStatement) -> bytes:
    """A chain statement as the log has it: with the possession where a key is new."""
    if row.possession is None:
        return row.statement
    return cbor.encode([row.statement, row.possession])


def _heads(statements: list[bytes]) -> list[bytes]:
    """The digest of each statement's payload: what the next one names as its previous. Raises
    `Refused` E1 to E7, X1.
    """
    first, *links = statements
    payloads = [ReceivedSign1.decode(first, STATEMENT_MAX).payload]
    payloads += [ReceivedLink.decode(link).cose.payload for link in links]
    return [hashlib.sha256(payload).digest() for payload in payloads]


def _count_proved(heads: list[bytes], known: KnownAccount | None) -> int:
    """How many statements were proved before. Raises `Refused` M8 when the chain does not go on
    from them.
    """
    if known is None or not known.statements:
        return 0
    if len(heads) < known.statements or heads[known.statements - 1] != known.head:
        raise Refused(
            "M8",
            "The service shows an account's chain otherwise than before;"
            " keep what it showed and report it.",
        )
    return known.statements


def _keep(
    store: DeviceStore, chain: VerifiedChain, statements: list[bytes], handle: str, name: str
) -> None:
    store.accounts.put_account(
        KnownAccount(
            account=chain.account_id,
            handle=handle,
            name=name,
            notice_key=chain.notice_key,
            head=chain.head,
            statements=len(statements),
            checked_at=int(time.time()),
        )
    )
    for number, statement in enumerate(statements[1:], 1):
        record = ReceivedLink.decode(statement).record
        if isinstance(record, DeviceRevoked):
            store.accounts.revoke_device(record.device_key, record.time)
        elif isinstance(record, Device):
            store.accounts.add_device(record.device_key, chain.account_id, number, record.added)
