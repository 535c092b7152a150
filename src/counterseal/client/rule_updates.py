"""Taking in new charters and keysets: each is verified, proved to be logged, and stored in one
transaction.

Nothing is believed because the service says so: a charter follows the pinned first one by its
predecessor's two quorums, a keyset the one before it.

| rule | refuses |
| --- | --- |
| M7 | a first charter other than the pinned one, or a known charter shown otherwise |
"""

from __future__ import annotations

import hashlib
import time

from counterseal.client.home import DeviceHome
from counterseal.client.log import LogFollower
from counterseal.client.rules import DeviceRules
from counterseal.client.service_client import ServiceClient
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.store.rules import KnownCharter, KnownKeyset
from counterseal.protocol import cbor
from counterseal.protocol.errors import Refused
from counterseal.protocol.verified_charter import ReceivedCharter, VerifiedCharter
from counterseal.wire.charter import CHARTER_IN_FORCE
from counterseal.wire.charters import CHARTERS
from counterseal.wire.keysets import KEYSETS, ShownKeyset

EVERY = 60.0
"""Seconds of real time between looks at the lists."""


class RuleUpdates:
    """Keeps the store's charters and keysets up to date."""

    def __init__(
        self, home: DeviceHome, service: ServiceClient, rules: DeviceRules, log: LogFollower
    ) -> None:
        self._home = home
        self._service = service
        self._rules = rules
        self._log = log
        self._looked_at = -EVERY
        self.just_looked = False
        """Whether the lists were looked at for the present decision."""

    def expire(self) -> None:
        """Has the next `refresh` look again."""
        self._looked_at = -EVERY

    async def refresh(self, force: bool = False) -> None:
        """Verifies and stores new charters and keysets, and which charter is in force.

        Raises `Refused` M3, M7, the rules of charters, keysets and the log.
        """
        if not force and time.monotonic() - self._looked_at < EVERY:
            return

        for shown in (await self._service.call(CHARTERS)).rows:
            await self._take_charter(shown.statement, shown.log_index)
        answer = await self._service.call(CHARTER_IN_FORCE)
        in_force = ReceivedCharter.decode(answer.statement)
        digest = hashlib.sha256(in_force.cose.payload).digest()
        with self._home.store() as store:
            self._check_in_force(store, digest)
        await self._take_keysets()

        with self._home.store() as store, store.transaction():
            store.settings.charter_in_force = digest
        self._looked_at = time.monotonic()
        self.just_looked = True

    def _check_in_force(self, store: DeviceStore, digest: bytes) -> None:
        trusted = self._rules.trusted(store)
        new = trusted.find_charter(digest)
        if new is None:
            raise Refused(
                "M7",
                "The service calls a charter in force that it does not list;"
                " nothing was taken from it.",
            )
        before = trusted.find_charter(store.settings.charter_in_force or b"")
        if before is None:
            return
        if before.charter.charter.version > new.charter.charter.version:
            raise Refused(
                "M3", "The service went back to an older charter; nothing is sent under it."
            )

    async def _take_charter(self, statement: bytes, index: int) -> None:
        with self._home.store() as store:
            trusted = self._rules.trusted(store)
        verified = trusted.check_charter(statement)
        if trusted.find_charter(verified.digest) is not None:
            return

        logged = await self._log.prove_statement(statement, index, verified)
        version = verified.charter.version
        row = KnownCharter(verified.digest, version, statement, index, logged.time)
        with self._home.store() as store, store.transaction():
            store.rules.add_charter(row)

    async def _take_keysets(self) -> None:
        """Takes in the keysets that are new, in the log's order, each checked against the one
        before.
        """
        with self._home.store() as store:
            trusted = self._rules.trusted(store)
        last = trusted.keysets[-1] if trusted.keysets else None
        since = 0
        if last is not None:
            since = trusted.charter(last.keyset.keyset.charter_digest).charter.version

        for known in trusted.charters:
            if known.charter.charter.version < since:
                continue
            answer = await self._service.call(KEYSETS, charter=known.charter.digest)
            for shown in sorted(answer.rows, key=lambda row: row.log_index):
                if last is None or shown.log_index > last.index:
                    await self._take_keyset(known.charter, shown)

    async def _take_keyset(self, under: VerifiedCharter, shown: ShownKeyset) -> None:
        with self._home.store() as store:
            trusted = self._rules.trusted(store)
        verified = trusted.check_keyset(shown.statement, under.digest)
        await self._log.prove_statement(shown.statement, shown.log_index)

        keys = list(verified.keys)
        row = KnownKeyset(
            digest=verified.digest,
            charter=under.digest,
            quarter=verified.keyset.quarter,
            packed=cbor.encode([shown.statement, keys]),
            log_index=shown.log_index,
        )
        with self._home.store() as store, store.transaction():
            store.rules.add_keyset(row)
            # windows are sealed by the core, which needs the holders' tree and keys beside it
            store.device.register_keyset(
                under.charter.domain,
                under.digest,
                verified.digest,
                under.tree.encode(),
                keys,
                under.charter.period_length,
            )
