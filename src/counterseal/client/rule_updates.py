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

from counterseal.client.api import Service
from counterseal.client.home import DeviceHome
from counterseal.client.log import LogFollower
from counterseal.client.policy import Need
from counterseal.client.rules import DeviceRules
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.store.rules import CharterRow, KeysetRow
from counterseal.protocol import cbor
from counterseal.protocol.errors import Refused
from counterseal.protocol.keyset import ReceivedKeyset
from counterseal.protocol.verified_charter import ReceivedCharter

EVERY = 60.0
"""Seconds of real time between looks at the lists."""


class RuleUpdates:
    """Keeps the store's charters and keysets up to date."""

    def __init__(
        self, home: DeviceHome, service: Service, rules: DeviceRules, log: LogFollower
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

        for statement, index in await self._service.charters():
            await self._take_charter(statement, index)
        in_force = ReceivedCharter.decode(await self._service.charter_in_force())
        digest = hashlib.sha256(in_force.cose.payload).digest()
        with self._home.store() as store:
            self._check_in_force(store, digest)
        await self._take_keysets()

        with self._home.store() as store, store.transaction():
            store.settings.charter_in_force = digest
        self._looked_at = time.monotonic()
        self.just_looked = True

    def _check_in_force(self, store: DeviceStore, digest: bytes) -> None:
        try:
            new = self._rules.charter(store, digest)
        except Need:
            raise Refused(
                "M7",
                "The service calls a charter in force that it does not list;"
                " nothing was taken from it.",
            ) from None
        before = store.settings.charter_in_force
        if before is None:
            return
        if self._rules.charter(store, before).charter.version > new.charter.version:
            raise Refused(
                "M3", "The service went back to an older charter; nothing is sent under it."
            )

    async def _take_charter(self, statement: bytes, index: int) -> None:
        received = ReceivedCharter.decode(statement)
        digest = hashlib.sha256(received.cose.payload).digest()
        version = received.charter.version
        with self._home.store() as store:
            known = store.rules.charter_of_version(version)
            newest = next(iter(self._rules.newest_charters(store, 1)), None)
        if known is not None:
            if known.digest != digest:
                raise Refused(
                    "M7",
                    f"The service shows another charter {version} than before;"
                    " keep both and report it.",
                )
            return
        if newest is None and digest.hex() != self._home.pins.genesis:
            raise Refused(
                "M7",
                "The service's first charter is not the one that this device pinned;"
                " nothing was taken from it.",
            )

        verified = received.check(newest)
        logged = await self._log.prove_statement(statement, index, verified)
        row = CharterRow(digest, version, statement, index, logged.time)
        with self._home.store() as store, store.transaction():
            store.rules.add_charter(row)

    async def _take_keysets(self) -> None:
        """Takes in the keysets that are new, in the log's order, each checked against the one
        before.
        """
        with self._home.store() as store:
            last = store.rules.newest_keyset()
            under = store.rules.charter(last.charter) if last else None
            charters = store.rules.charters_from(under.version if under else 0)
        for charter in charters:
            listed = await self._service.keysets(charter)
            for _, statement, index in sorted(listed, key=lambda row: row[2]):
                if last is None or index > last.log_index:
                    await self._take_keyset(charter, statement, index)

    async def _take_keyset(self, charter: bytes, statement: bytes, index: int) -> None:
        with self._home.store() as store:
            under = self._rules.charter(store, charter)
            previous = self._rules.newest_keyset(store)
        verified = ReceivedKeyset.decode(statement).check(under, previous)
        await self._log.prove_statement(statement, index)

        packed = cbor.encode([statement, list(verified.keys)])
        row = KeysetRow(verified.digest, charter, verified.keyset.quarter, packed, index)
        with self._home.store() as store, store.transaction():
            store.rules.add_keyset(row)
            # windows are sealed by the core, which needs the holders' tree and keys beside it
            store.device.register_keyset(
                under.charter.domain,
                charter,
                verified.digest,
                under.tree.encode(),
                list(verified.keys),
                under.charter.period_length,
            )
