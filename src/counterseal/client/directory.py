"""What this device has verified of the domain: charters, keysets, accounts, and the log that holds
them together.

Nothing here is believed because the service says so. A charter has to follow the pinned first one
by its predecessor's two quorums, a keyset the one before it, an account's chain to replay from its
id; and every statement has to stand in the log, under a checkpoint that the charter's number of
witnesses cosigned and that goes on from the largest one this device has ever seen.

| rule | refuses |
| --- | --- |
| M7 | a first charter other than the pinned one, or a charter that this device knew and that is shown otherwise |
| M8 | an account's chain that is shorter than, or differs from, what this device has seen of it, or what the directory's root names |
| M9 | a directory root that is over 24 hours old |
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import msgspec

from counterseal.client.answers import AccountAnswer, ChainStatement, LogProof
from counterseal.client.api import Service
from counterseal.client.home import Home
from counterseal.client.lookup import check_handle
from counterseal.client.policy import Context, Need
from counterseal.client.vault import Vault
from counterseal.describe.charter import summarise_charter
from counterseal.protocol import cbor
from counterseal.protocol.account import Device, DeviceRevoked, ReceivedLink, VerifiedChain
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.charter import ReceivedCharter, VerifiedCharter
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import NotFound, Refused, Unavailable
from counterseal.protocol.keyset import Keyset, ReceivedKeyset, VerifiedKeyset, quarter_of
from counterseal.tlog.checkpoint import (
    Checkpoint,
    CosignedCheckpoint,
    follow,
    log_keys,
    verify_cosigned,
    witness_keys,
)
from counterseal.tlog.errors import TlogError
from counterseal.tlog.proof import verify_inclusion
from counterseal.tlog.tree import leaf_hash

T = TypeVar("T")
CHAIN_FRESH = 24 * 3600
"""Seconds for which what was looked up of an account holds (section 7)."""
_CHARTERS_EVERY = 60.0  # seconds of real time between looks at the list of charters and keysets
# the directory's root is logged hourly, so one's own account is looked at hourly
_OWN_EVERY = 3600.0
# quarters of a second to wait for a statement that was just made to come under a checkpoint
_NOT_YET = 40
_NAMELESS_FRESH = 60  # seconds, for an account so new that no root named it when it was looked up
_ROOT_TRIES = 8  # half seconds


class Directory:
    """One device's verified knowledge, kept in its database; what is missing is fetched, proved,
    and stored in one transaction.
    """

    def __init__(self, home: Home, service: Service) -> None:
        self.home = home
        self.service = service
        self._charters: dict[bytes, VerifiedCharter] = {}
        self._looked: set[bytes] = set()
        self._listed = -_CHARTERS_EVERY
        self._own = -_OWN_EVERY

    # reading what is known
    def charter(self, vault: Vault, digest: bytes) -> VerifiedCharter:
        """A charter that this device has verified. Raises `Need` when it does not know it."""
        known = self._charters.get(digest)
        if known is None:
            row = vault.one("SELECT statement FROM client_charter WHERE digest = ?", digest)
            if row is None:
                raise Need(charters=True)
            known = self._charters[digest] = _reread(row[0])
        return known

    def newest(self, vault: Vault) -> VerifiedCharter | None:
        """The newest charter that this device knows, in force or not."""
        row = vault.one("SELECT digest FROM client_charter ORDER BY version DESC LIMIT 1")
        return self.charter(vault, row[0]) if row else None

    def period_length(self, vault: Vault, digest: bytes) -> int:
        """Seconds of a period under a charter."""
        return self.charter(vault, digest).charter.period_length

    def charter_words(self, vault: Vault, digest: bytes) -> str:
        """Who can open what is sent under a charter, in a sentence or two for people."""
        verified = self.charter(vault, digest)
        return summarise_charter(verified.charter, digest)

    def context(self, vault: Vault, now: int) -> Context:
        """The context that a conversation should be in at `now`: the charter in force, and the
        newest keyset up to the quarter.

        Until the quarter's keyset is logged it is the one before. Errors: Unavailable when there is
        none, C20.
        """
        digest = vault.get("charter_in_force")
        if digest is None:
            raise Need(charters=True)
        self.charter(vault, digest).check_valid(now)
        row = vault.one(
            "SELECT quarter, digest FROM client_keyset WHERE charter = ? AND quarter <= ? ORDER BY quarter DESC LIMIT 1",
            digest, quarter_of(now),
        )  # fmt: skip
        if row is None:
            raise Unavailable(
                "The holders' keyset for this quarter is not logged yet; try again when it is.",
                code="no-keyset",
            )
        return digest, int(row[0]), row[1]

    def behind(self, vault: Vault, now: int) -> bool:
        """Whether this device knows no keyset of the present quarter under the charter in force:
        there may be a new one.
        """
        row = vault.one(
            "SELECT max(quarter) FROM client_keyset WHERE charter = ?",
            vault.get("charter_in_force"),
        )
        return row is None or row[0] is None or int(row[0]) < quarter_of(now)

    def knowledge(self, vault: Vault, at: int | None = None) -> Known:
        """What policy.py may ask; `at` is the time of what is judged, so that a later revocation
        does not undo it.

        In a demonstration that time is a file's and a revocation's is not, so revocations are left
        to the commits that follow them.
        """
        return Known(self, vault, 0 if at is not None and self.home.pins.demonstration else at)

    def begin_step(self) -> None:
        """A new decision begins: what was looked up for earlier ones may have changed since, and is
        looked up again if it does not do.
        """
        self._looked.clear()

    def just_looked(self, what: bytes) -> bool:
        """Whether this account (or the charters: empty bytes) was looked up for the present
        decision, so that once more would not help.
        """
        return what in self._looked

    # learning more
    async def refresh(self) -> None:
        """Looks at the list of charters and keysets (every minute), and at one's own account
        (hourly). Errors: those of the proofs.
        """
        await self.refresh_charters()
        if time.monotonic() - self._own < _OWN_EVERY:
            return
        with self.home.vault() as vault:
            account = vault.get("account")
        if account is not None:
            await self.learn_account(account)
            self._own = time.monotonic()

    async def learn(self, need: Need) -> None:
        """Looks up what a decision needed."""
        if need.charters:
            await self.refresh_charters(force=True)
        for account in sorted(need.accounts):
            await self.learn_account(account)

    async def refresh_charters(self, force: bool = False) -> None:
        """Verifies and stores new charters and keysets, and which charter is in force."""
        if not force and time.monotonic() - self._listed < _CHARTERS_EVERY:
            return
        for statement, index in await self.service.charters():
            await self._take_charter(statement, index)
        in_force = ReceivedCharter.decode(await self.service.charter_in_force())
        digest = hashlib.sha256(in_force.cose.payload).digest()
        with self.home.vault() as vault:
            self._check_in_force(vault, digest)
        await self._refresh_keysets()
        with self.home.vault() as vault, vault.transaction():
            vault.put("charter_in_force", digest)
        self._listed = time.monotonic()
        self._looked.add(b"")

    def _check_in_force(self, vault: Vault, digest: bytes) -> None:
        before = vault.get("charter_in_force")
        try:
            new = self.charter(vault, digest)
        except Need:
            raise Refused(
                "M7",
                "The service calls a charter in force that it does not list; nothing was taken from it.",
            ) from None
        if before is not None and self.charter(vault, before).charter.version > new.charter.version:
            raise Refused(
                "M3", "The service went back to an older charter; nothing is sent under it."
            )

    async def _take_charter(self, statement: bytes, index: int) -> None:
        received = ReceivedCharter.decode(statement)
        digest = hashlib.sha256(received.cose.payload).digest()
        with self.home.vault() as vault:
            known = vault.one(
                "SELECT digest FROM client_charter WHERE version = ?", received.charter.version
            )
            newest = self.newest(vault)
        if known is not None:
            if known[0] != digest:
                raise Refused(
                    "M7",
                    f"The service shows another charter {received.charter.version} than before; keep both and report it.",
                )
            return
        if newest is None and digest.hex() != self.home.pins.genesis:
            raise Refused(
                "M7",
                "The service's first charter is not the one that this device pinned; nothing was taken from it.",
            )
        verified = received.check(newest)
        logged = await self.prove_statement(statement, index, verified)
        with self.home.vault() as vault, vault.transaction():
            vault.execute(
                "INSERT OR IGNORE INTO client_charter (digest, version, statement, log_index, logged_at) VALUES (?, ?, ?, ?, ?)",
                digest, verified.charter.version, statement, index, logged.time,
            )  # fmt: skip

    async def _refresh_keysets(self) -> None:
        """Takes in the keysets that are new, in the log's order, each checked against the one
        before.
        """
        with self.home.vault() as vault:
            last = vault.one(
                "SELECT log_index, charter FROM client_keyset ORDER BY log_index DESC LIMIT 1"
            )
            since = (
                vault.one("SELECT version FROM client_charter WHERE digest = ?", last[1])
                if last
                else None
            )
            rows = vault.execute(
                "SELECT digest FROM client_charter WHERE version >= ? ORDER BY version",
                since[0] if since else 0,
            )
        for (charter,) in rows:
            listed = sorted(await self.service.keysets(charter), key=lambda row: row[2])
            for _, statement, index in listed:
                if last is None or index > last[0]:
                    await self._take_keyset(charter, statement, index)

    async def _take_keyset(self, charter_digest: bytes, statement: bytes, index: int) -> None:
        with self.home.vault() as vault:
            charter, previous = self.charter(vault, charter_digest), _last_keyset(vault)
        verified = ReceivedKeyset.decode(statement).check(charter, previous)
        await self.prove_statement(statement, index)
        with self.home.vault() as vault, vault.transaction():
            vault.execute(
                "INSERT INTO client_keyset (digest, charter, quarter, statement, log_index) VALUES (?, ?, ?, ?, ?)",
                verified.digest, charter_digest, verified.keyset.quarter, cbor.encode([statement, list(verified.keys)]), index,
            )  # fmt: skip
            domain, length, tree = (
                charter.charter.domain,
                charter.charter.period_length,
                charter.tree.encode(),
            )
            vault.device.register_keyset(
                domain, charter_digest, verified.digest, tree, list(verified.keys), length
            )

    async def learn_account(self, account: bytes) -> VerifiedChain:
        """Looks up an account: replays its chain, proves each statement's place in the log, and its
        handle in a root under 24 h old.
        """
        answer = await self.service.account(account)
        statements = [_statement_bytes(row) for row in answer.statements]
        chain = VerifiedChain.replay(statements, self.home.pins.domain)
        if chain.account_id != account:
            raise Refused(
                "M8",
                "The service answered with another account than it was asked for; nothing was taken from it.",
            )
        heads = _heads(statements)
        with self.home.vault() as vault:
            row = vault.one(
                "SELECT head, statements FROM client_account WHERE account = ?", account
            )
        proved = _check_prefix(heads, row)
        for statement, told in zip(statements[proved:], answer.statements[proved:], strict=True):
            await self.prove_statement(statement, told.log_index)
        handle = await self._proved_handle(answer, chain, heads)
        with self.home.vault() as vault, vault.transaction():
            _store_account(vault, chain, statements, handle, answer.name)
        self._looked.add(account)
        return chain

    async def _proved_handle(
        self, answer: AccountAnswer, chain: VerifiedChain, heads: list[bytes]
    ) -> str:
        """The handle, if the directory's newest root proves that it points to this account; empty
        when no root has it yet.
        """
        try:
            told = await self.service.handle(answer.handle)
        except (NotFound, Unavailable):
            return ""
        head, root = check_handle(answer.handle, told, self.home.pins.domain)
        if time.time() - root.time > CHAIN_FRESH:
            raise Refused(
                "M9",
                "The directory's newest root is over 24 hours old; nobody can be looked up until there is a new one.",
            )
        await self.prove_statement(told.root, told.log_index)
        if told.account != chain.account_id:
            with self.home.vault() as vault:
                if chain.account_id == vault.get("account"):
                    raise Refused(
                        "M8",
                        f"The directory gives your handle {answer.handle} to another account. Tell those who write to you.",
                    )
            return ""
        place = heads.index(head) if head in heads else -1
        if place < 0 or any(
            row.log_index < root.log_size for row in answer.statements[place + 1 :]
        ):
            raise Refused(
                "M8",
                "The service holds back the newest statements of an account, or shows one that its directory does not name.",
            )
        return answer.handle

    async def find(self, handle: str) -> bytes:
        """The account id that a handle points to, proved and looked up. Errors: NotFound, those of
        the proofs.

        In a demonstration roots follow changes within seconds, so a new handle is waited for.
        """
        for _ in range(_ROOT_TRIES if self.home.pins.demonstration else 0):
            try:
                return await self._find(handle)
            except NotFound:
                await asyncio.sleep(0.5)
        return await self._find(handle)

    async def _find(self, handle: str) -> bytes:
        try:
            told = await self.service.handle(handle)
        except (NotFound, Unavailable):
            raise NotFound(
                f"The directory of {self.home.pins.domain} does not name {handle} (a new account stands in the next hourly root).",
                code="no-handle",
            ) from None
        check_handle(handle, told, self.home.pins.domain)
        await self.learn_account(told.account)
        with self.home.vault() as vault:
            row = vault.one("SELECT handle FROM client_account WHERE account = ?", told.account)
        if row is None or row[0] != handle:
            raise Refused(
                "M8",
                f"The directory's proof for {handle} does not hold; the account was not taken.",
            )
        return told.account

    def devices(self, vault: Vault, account: bytes) -> list[bytes]:
        """The account's devices that are not revoked, as far as this device knows."""
        return [
            row[0]
            for row in vault.execute(
                "SELECT device FROM client_account_device WHERE account = ? AND revoked IS NULL ORDER BY number",
                account,
            )
        ]

    # the log
    async def prove_statement(
        self, statement: bytes, index: int, candidate: VerifiedCharter | None = None
    ) -> CosignedCheckpoint:
        """Returns when the statement stands in the log at `index` under a cosigned checkpoint that
        goes on from the largest seen.
        """
        return await self.prove_entry(H([tag("entry"), statement]), index, candidate)

    async def prove_entry(
        self, entry: bytes, index: int, candidate: VerifiedCharter | None = None
    ) -> CosignedCheckpoint:
        """See `prove_statement`; `candidate` is a charter whose own witnesses may have cosigned,
        for the first one there is.
        """
        proof = await self._log_proof(entry)
        if proof.index != index:
            raise Refused(
                "T9",
                f"The service says that a statement is entry {index} of the log and proves that it is entry {proof.index}.",
            )
        cosigned = self._cosigned(proof.note.encode(), candidate)
        verify_inclusion(
            leaf_hash(entry),
            proof.index,
            cosigned.checkpoint.size,
            cosigned.checkpoint.root,
            proof.path,
        )
        await self._remember(cosigned)
        return cosigned

    async def _log_proof(self, entry: bytes) -> LogProof:
        return await _soon(lambda: self.service.log_proof(entry))

    async def _consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        return await _soon(lambda: self.service.log_consistency(old, new))

    def _cosigned(self, note: bytes, candidate: VerifiedCharter | None) -> CosignedCheckpoint:
        """The checkpoint by the newest charter's witnesses; by the one's before, when it was
        cosigned before the change.
        """
        log = log_keys(self.home.pins.log)
        with self.home.vault() as vault:
            rows = vault.execute("SELECT digest FROM client_charter ORDER BY version DESC LIMIT 2")
            charters = [self.charter(vault, digest) for (digest,) in rows]
        last: TlogError | None = None
        for verified in [*charters, *([candidate] if candidate and not charters else [])]:
            witnesses = verified.charter.witnesses
            pairs = [witness_keys([w.vkeys.ed25519, w.vkeys.mldsa44]) for w in witnesses.members]
            try:
                return verify_cosigned(note, log, pairs, witnesses.c)
            except TlogError as refused:
                if refused.code != "T8":
                    raise
                last = last or refused
        raise last or Refused(
            "M7", "There is no charter yet whose witnesses could have cosigned the log."
        )

    async def _remember(self, cosigned: CosignedCheckpoint) -> None:
        """Follows the log: the largest checkpoint ever seen has to be a prefix of this one, or this
        one of it. Raises T10, T29.
        """
        with self.home.vault() as vault:
            seen = _seen(vault)
        new = cosigned.checkpoint
        # an answer that was overtaken: it has to be a prefix of what was seen
        if seen is not None and new.size < seen.size:
            follow(
                new,
                msgspec.structs.replace(cosigned, checkpoint=seen),
                await self._consistency(new.size, seen.size),
            )
            return
        path: Iterable[bytes] = ()
        if seen is not None and 0 < seen.size < new.size:
            path = await self._consistency(seen.size, new.size)
        follow(seen, cosigned, tuple(path))
        if seen is None or new.size > seen.size:
            with self.home.vault() as vault, vault.transaction():
                vault.put("checkpoint", cbor.encode([new.origin, new.size, new.root]))


class Known:
    """What policy.py asks (its `Knowledge`): answers from the database, `Need` for what is not
    there or too old.
    """

    def __init__(self, directory: Directory, vault: Vault, at: int | None) -> None:
        self._directory = directory
        self._vault = vault
        self._at = at

    def device(self, account: bytes, device: bytes) -> str:
        """ "active", "revoked" or "unknown"."""
        row = self._vault.one(
            "SELECT checked_at, handle FROM client_account WHERE account = ?", account
        )
        recent = self._directory.just_looked(account)
        if row is None or (
            time.time() - row[0] > (CHAIN_FRESH if row[1] else _NAMELESS_FRESH) and not recent
        ):
            raise Need([account])
        found = self._vault.one(
            "SELECT account, revoked FROM client_account_device WHERE device = ?", device
        )
        if found is None or found[0] != account:
            if not recent:
                raise Need([account])
            return "unknown"
        return (
            "active"
            if found[1] is None or (self._at is not None and found[1] > self._at)
            else "revoked"
        )

    def context(self, context: Context) -> tuple[int, int]:
        """`(charter version, quarter)`. Raises `Need`, or `Refused` M3."""
        digest, quarter, keyset = context
        row = self._vault.one(
            "SELECT c.version FROM client_keyset k JOIN client_charter c ON c.digest = k.charter "
            "WHERE k.digest = ? AND k.charter = ? AND k.quarter = ?", keyset, digest, quarter,
        )  # fmt: skip
        if row is not None:
            return int(row[0]), quarter
        if not self._directory.just_looked(b""):
            raise Need(charters=True)
        raise Refused("M3", "This conversation goes by a charter or keyset that is not in the log.")


async def _soon(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer about the log; what was just made stands under the next checkpoint, a moment
    later. Errors: NotFound in the end.
    """
    for _ in range(_NOT_YET):
        try:
            return await ask()
        except NotFound:
            await asyncio.sleep(0.25)
    return await ask()


def _reread(statement: bytes) -> VerifiedCharter:
    """A charter out of this device's own database, where only verified ones are put."""
    cose = ReceivedSign.decode(statement, 1 << 22)
    received = ReceivedCharter.decode(statement)
    return VerifiedCharter(
        received.charter, hashlib.sha256(cose.payload).digest(), statement, cose.kids
    )


def _last_keyset(vault: Vault) -> VerifiedKeyset | None:
    row = vault.one("SELECT digest, statement FROM client_keyset ORDER BY log_index DESC LIMIT 1")
    if row is None:
        return None
    stored: Any = cbor.decode(row[1], 1 << 24)
    received = ReceivedKeyset.decode(stored[0])
    keyset: Keyset = received.keyset
    return VerifiedKeyset(keyset, row[0], stored[1], stored[0])


def _statement_bytes(row: ChainStatement) -> bytes:
    """A chain statement as the log has it: with the possession where a key is new."""
    return row.cose if row.possession is None else cbor.encode([row.cose, row.possession])


def _heads(statements: list[bytes]) -> list[bytes]:
    """The digest of each statement's payload: what the next one names as its previous."""
    heads: list[bytes] = []
    for at, statement in enumerate(statements):
        cose: Any = cbor.decode(statement, 1 << 16)
        if at and len(cose) == 2:
            cose = cbor.decode(cose[0], 1 << 16)
        heads.append(hashlib.sha256(cose[2]).digest())
    return heads


def _check_prefix(heads: list[bytes], row: tuple[Any, ...] | None) -> int:
    """How many statements were proved before. Raises `Refused` M8 when the chain does not go on
    from them.
    """
    if row is None or not row[1]:
        return 0
    if len(heads) < row[1] or heads[row[1] - 1] != row[0]:
        raise Refused(
            "M8",
            "The service shows an account's chain otherwise than before; keep what it showed and report it.",
        )
    return int(row[1])


def _store_account(
    vault: Vault, chain: VerifiedChain, statements: list[bytes], handle: str, name: str
) -> None:
    vault.execute(
        "INSERT OR REPLACE INTO client_account (account, handle, name, notice_key, head, statements, checked_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        chain.account_id, handle, name, chain.notice_key, chain.head, len(statements), int(time.time()),
    )  # fmt: skip
    for number, statement in enumerate(statements[1:], 1):
        record = ReceivedLink.decode(statement).record
        if isinstance(record, DeviceRevoked):
            vault.execute(
                "UPDATE client_account_device SET revoked = ? WHERE device = ?",
                record.time,
                record.device_key,
            )
        elif isinstance(record, Device):
            vault.execute(
                "INSERT OR IGNORE INTO client_account_device (device, account, number, added) VALUES (?, ?, ?, ?)",
                record.device_key, chain.account_id, number, record.added,
            )  # fmt: skip


def _seen(vault: Vault) -> Checkpoint | None:
    data = vault.get("checkpoint")
    if data is None:
        return None
    origin, size, root = _triple(cbor.decode(data, 4096))
    return Checkpoint(origin, size, root)


def _triple(value: Any) -> tuple[str, int, bytes]:
    origin, size, root = value
    return origin, size, root
