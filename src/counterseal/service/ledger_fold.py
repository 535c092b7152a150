"""What the ledger says: protocol's fold over the statements whose leaves are cosigned.

A statement has an effect only when its leaf is under a cosigned checkpoint and the fold admits it.
"""

from __future__ import annotations

import asyncio
import logging

from counterseal.protocol.access_state import AccessState, Outcome
from counterseal.service.publisher import LogPublisher
from counterseal.service.store.interface import Snapshot, Store
from counterseal.service.store.rows import PlacedStatement
from counterseal.service.trust import DomainRules

_log = logging.getLogger("counterseal.service.ledger")


class LedgerFold:
    """Follows the ledger; `changed` is notified whenever the fold has moved on."""

    def __init__(self, store: Store, trust: DomainRules, publisher: LogPublisher) -> None:
        self._store = store
        self._trust = trust
        self._publisher = publisher
        self._applied = 0
        self._applying = asyncio.Lock()
        self.state: AccessState | None = None
        self.changed = asyncio.Condition()

    async def run(self) -> None:
        """Applies what is under cosigned checkpoints, in order, as they come."""
        while True:
            checkpoint = await self._publisher.reach(self._applied + 1)
            await self._apply(checkpoint.checkpoint.size)
            async with self.changed:
                self.changed.notify_all()

    def rules_changed(self) -> None:
        """A charter or a revocation is logged: the fold judges by it from now on."""
        if self.state is not None:
            self.state.rulebook = self._trust.rules.rulebook()

    async def current(self) -> AccessState | None:
        """The fold of all that the checkpoint on disk covers.

        Who has read that checkpoint must not find us behind it.
        """
        size = self._publisher.size_on_disk()
        await self._publisher.reach(size)
        await self._apply(size)
        return self.state

    async def _apply(self, size: int) -> None:
        async with self._applying:
            if self._applied >= size:
                return
            first = self._applied

            def job(snapshot: Snapshot) -> tuple[list[PlacedStatement], int]:
                return snapshot.ledger.placed(first, size), snapshot.ledger.last_time(size)

            statements, end = await self._store.read(job)
            if self.state is None:
                self.state = AccessState(self._trust.rules.rulebook())
            for row in statements:
                _report(self.state.apply(row.time, row.statement))
            if end:
                self.state.advance(max(end, self.state.time))
            self._applied = size


def _report(outcome: Outcome) -> None:
    if outcome.rule is not None:
        _log.info("a %s in the ledger has no effect: %s", outcome.kind or "statement", outcome.rule)
