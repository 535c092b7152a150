"""Publishing charters, keysets and revocations: the service checks, logs and obeys them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from counterseal.protocol.errors import NotFound, Unavailable
from counterseal.protocol.keyset import Keyset
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service import clock
from counterseal.service.clock import WindowClock
from counterseal.service.decisions import ledger_keys, rules
from counterseal.service.store.interface import Snapshot, Store, Transaction
from counterseal.service.store.rows import (
    StoredCharter,
    StoredKeyset,
    StoredLedgerKey,
    StoredRevocation,
)
from counterseal.service.trust import DomainRules

_DRAW_EVERY = 3_600.0
"""Seconds between two looks at whether the ledger keys of this and the next quarter are drawn."""


class PublicationHooks(msgspec.Struct, frozen=True):
    """Whom to tell on the event loop, once a change of the rules is durable."""

    wake_log: Callable[[], None]
    rules_changed: Callable[[], None]
    ledger_key_logged: Callable[[], None]


class RulePublication:
    """Takes charters, keysets, holders' keys, revocations. `random(n)` returns n secret bytes."""

    def __init__(
        self,
        store: Store,
        trust: DomainRules,
        window_clock: WindowClock,
        random: Callable[[int], bytes],
        hooks: PublicationHooks,
    ) -> None:
        self._store = store
        self._trust = trust
        self._clock = window_clock
        self._random = random
        self._hooks = hooks

    async def charter(self, statement: bytes) -> tuple[bytes, int]:
        """(digest, log index) of a charter: the first one, then its unique successors."""
        known = self._trust.published_charter(statement)
        if known is not None:
            return known.charter.digest, known.index
        verified = self._trust.check_charter(statement)
        active_from = self._trust.rules.active_from(verified, clock.real())
        first = not self._trust.rules.charters

        def job(tables: Transaction) -> StoredCharter:
            return rules.log_charter(tables, verified, active_from, first, clock.real())

        def after(row: StoredCharter) -> None:
            self._trust.add_charter(verified, row)
            if first and verified.charter.demonstration:
                self._clock.step(verified.charter.valid_from)
            self._hooks.wake_log()
            self._hooks.rules_changed()

        row = await self._store.write("charter", job, after)
        await self._draw_due()
        return verified.digest, row.log_index

    async def draft(self, quarter: int) -> Keyset:
        """The keyset of a quarter under the newest charter, as it is so far.

        Writes nothing: the ledger keys of this and the next quarter are drawn when the rules change
        and every hour. Raises `NotFound` "draft" for another quarter, `Unavailable` "draft".
        """
        charter = self._trust.newest
        # a demonstration goes through quarters as fast as its operator steps
        demonstration = charter.charter.demonstration
        if not demonstration and quarter not in ledger_keys.due(charter, self._clock.now()):
            raise NotFound(
                "A keyset is drafted for this quarter and the next one alone.", code="draft"
            )
        if demonstration:
            ledger_keys.check_in_validity(charter, quarter)
            await self._draw(charter, quarter)
        drawn = await self._drawn(charter, quarter)
        if drawn is None:
            raise Unavailable("The quarter's ledger key is being drawn; ask again.", code="draft")
        delivered = await self._store.read(
            lambda snapshot: snapshot.trust.holder_keys(charter.digest, quarter)
        )
        previous = self._trust.rules.last_keyset
        return rules.draft_keyset(charter, quarter, previous, delivered, drawn)

    async def holder_key(self, statement: bytes) -> int:
        """The position of a holder who delivers its key of a quarter."""
        charter = self._trust.newest
        key = rules.check_delivered(statement, charter)

        def job(tables: Transaction) -> None:
            tables.trust.add_holder_key(charter.digest, key.quarter, key.position, statement)

        await self._store.write("holder-key", job)
        return key.position

    async def keyset(self, statement: bytes) -> tuple[bytes, int]:
        """(digest, log index) of a keyset; the lowest log index wins."""
        known = self._trust.published_keyset(statement)
        if known is not None:
            return known.keyset.digest, known.index
        verified = self._trust.check_keyset(statement)

        def job(tables: Transaction) -> StoredKeyset:
            return rules.log_keyset(tables, verified, clock.real())

        def after(row: StoredKeyset) -> None:
            self._trust.add_keyset(verified, row)
            self._hooks.wake_log()
            self._hooks.ledger_key_logged()

        row = await self._store.write("keyset", job, after)
        await self._draw_due()
        return verified.digest, row.log_index

    async def revocation(self, statement: bytes) -> int:
        """The log index of a revocation of an issuer's key."""
        for known in self._trust.revocations:
            if known.statement == statement:
                return known.log_index
        verified = self._trust.check_revocation(statement)

        def job(tables: Transaction) -> StoredRevocation:
            return rules.log_revocation(tables, verified, statement, clock.real())

        def after(row: StoredRevocation) -> None:
            self._trust.add_revocation(verified, row)
            self._hooks.wake_log()
            self._hooks.rules_changed()

        return (await self._store.write("revocation", job, after)).log_index

    async def run(self) -> None:
        """Draws the ledger keys of keysets to come, every hour."""
        while True:
            with contextlib.suppress(Unavailable):
                await self._draw_due()
            await asyncio.sleep(_DRAW_EVERY)

    async def _draw_due(self) -> None:
        """Draws the ledger keys of this and the next quarter, unless they are drawn and fit."""
        charter = self._trust.rules.newest
        if charter is None or charter.charter.demonstration:
            return
        for quarter in ledger_keys.due(charter, self._clock.now()):
            await self._draw(charter, quarter)

    async def _drawn(self, charter: VerifiedCharter, quarter: int) -> StoredLedgerKey | None:
        """The ledger key of a keyset to come, if there is one that still fits."""
        rows, tick = await self._store.read(_keys_and_tick)
        used = ledger_keys.in_use(rows, [one.keyset for one in self._trust.rules.keysets])
        drawn = ledger_keys.newest_draft(rows, charter.digest, quarter)
        if drawn is None or drawn.logged or ledger_keys.still_fits(drawn, used, tick, charter):
            return drawn
        return None

    async def _draw(self, charter: VerifiedCharter, quarter: int) -> None:
        if await self._drawn(charter, quarter) is not None:
            return
        rows, tick = await self._store.read(_keys_and_tick)
        used = ledger_keys.in_use(rows, [one.keyset for one in self._trust.rules.keysets])
        fresh = ledger_keys.draw(self._random(32), used, tick, charter, quarter)

        def job(tables: Transaction) -> None:
            tables.trust.drop_ledger_keys(ledger_keys.gone(tables.trust.ledger_keys(), tick))
            tables.trust.add_ledger_key(fresh)

        await self._store.write("ledger-key", job)


def _keys_and_tick(snapshot: Snapshot) -> tuple[list[StoredLedgerKey], int]:
    return snapshot.trust.ledger_keys(), snapshot.ledger.load().tick
