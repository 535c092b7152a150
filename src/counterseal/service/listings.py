"""Makes listings for the warrants that run, after every change of the ledger or of the periods."""

from __future__ import annotations

import asyncio
import logging

from counterseal.protocol.decision import VerifiedWarrant, decide
from counterseal.protocol.errors import CountersealError
from counterseal.service import clock
from counterseal.service.decisions import listings
from counterseal.service.ledger_fold import LedgerFold
from counterseal.service.publisher import LogPublisher
from counterseal.service.store.interface import Store

_EVERY = 10.0
_log = logging.getLogger("counterseal.service.listings")


class ListingRounds:
    """Looks for windows to be listed, again and again."""

    def __init__(self, domain: str, store: Store, fold: LedgerFold, ledger: LogPublisher) -> None:
        self._domain = domain
        self._store = store
        self._fold = fold
        self._ledger = ledger
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Says that a period was logged."""
        self._woken.set()

    async def run(self) -> None:
        """Looks whenever it is woken and every ten seconds, until cancelled."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                try:
                    await asyncio.wait_for(self._woken.wait(), _EVERY)
                except TimeoutError:
                    pass
                self._woken.clear()
                await self._look()
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            async with self._fold.changed:
                await self._fold.changed.wait()
            self._woken.set()

    async def _look(self) -> None:
        state = self._fold.state
        if state is None:
            return
        for digest in list(state.accesses):
            try:
                verified = decide(state, digest, clock.real())
            # not approved, or over: nothing is listed
            except CountersealError:
                continue
            await self._list(verified)

    async def _list(self, verified: VerifiedWarrant) -> None:
        published = self._ledger.published
        time = published.time if published is not None else 0
        made = await self._store.read(
            lambda snapshot: listings.plan(snapshot, self._domain, verified, time)
        )
        if made is None:
            return
        if made.row is not None or made.periods:
            await self._store.write("listing", lambda tables: listings.carry_out(tables, made))
        if made.used_up and made.row is None:
            _log.info("a warrant's units are used up; further windows in its scope are not listed")
