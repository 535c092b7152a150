"""Handing an account's chain to whoever has its account key and no device left."""

from __future__ import annotations

from counterseal.protocol.account_recovery import check_recovery
from counterseal.protocol.errors import BadInput
from counterseal.service import clock
from counterseal.service.api.gate import Call, Gate, ServedEndpoint
from counterseal.service.decisions import accounts
from counterseal.service.store.interface import Snapshot, Store
from counterseal.wire.account_recovery import RECOVERY, AskRecovery
from counterseal.wire.accounts import ShownAccount


class RecoveryRoutes:
    """One route. The account key's signature is the whole authentication."""

    def __init__(self, domain: str, store: Store) -> None:
        self._domain = domain
        self._store = store

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [gate.anybody(RECOVERY, self.recover)]

    async def recover(self, call: Call[AskRecovery]) -> ShownAccount:
        """The account's chain. Raises `Refused` A10 alone, whatever is wrong with the asking."""
        asked = call.request
        try:
            handle = accounts.local_handle(asked.handle, self._domain)
        except BadInput:
            handle = ""

        def job(snapshot: Snapshot) -> ShownAccount:
            account = snapshot.accounts.by_handle(handle) if handle else None
            key = None
            if account is not None:
                key = accounts.get_account_key(snapshot.accounts, account)
            check_recovery(asked.request, self._domain, handle, key, clock.real())
            assert account is not None  # without a key nothing was signed by it
            return accounts.show(snapshot.accounts, account)

        return await self._store.read(job)
