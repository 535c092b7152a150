"""What this device has verified of its domain: charters and keysets, accounts, and the log that
contains them all.
"""

from __future__ import annotations

import time

from counterseal.client.home import DeviceHome
from counterseal.client.log import LogFollower
from counterseal.client.lookup import ROOT_MAX_AGE, AccountLookup
from counterseal.client.policy import Context, Need, Standing
from counterseal.client.rule_updates import RuleUpdates
from counterseal.client.rules import DeviceRules
from counterseal.client.service_client import ServiceClient
from counterseal.client.store.device_store import DeviceStore
from counterseal.protocol.errors import Refused

# the directory's root is logged hourly, so one's own account is looked at hourly
_OWN_EVERY = 3600.0
_NAMELESS_FRESH = 60  # seconds, for an account so new that no root named it when it was looked up


class DeviceDirectory:
    """The parts that look up, prove and read, and what a decision may ask of them."""

    def __init__(self, home: DeviceHome, service: ServiceClient) -> None:
        self.home = home
        self.rules = DeviceRules(bytes.fromhex(home.pins.genesis))
        self.log = LogFollower(home, service, self.rules)
        self.updates = RuleUpdates(home, service, self.rules, self.log)
        self.accounts = AccountLookup(home, service, self.log)
        self._own_looked_at = -_OWN_EVERY

    def knowledge(self, store: DeviceStore, at: int | None = None) -> StoredKnowledge:
        """What policy.py may ask. `at` (Unix seconds) is the time of what is judged, so that a
        later revocation does not undo it.

        In a demonstration that time is a file's and a revocation's is not, so revocations are left
        to the commits that follow them.
        """
        return StoredKnowledge(
            self, store, 0 if at is not None and self.home.pins.demonstration else at
        )

    def begin_step(self) -> None:
        """A new decision begins: what was looked up for earlier ones may have changed since, and is
        looked up again if it does not do.
        """
        self.accounts.just_looked.clear()
        self.updates.just_looked = False

    def expire(self) -> None:
        """Has the next `refresh` look at everything again."""
        self.updates.expire()
        self._own_looked_at = -_OWN_EVERY

    async def refresh(self) -> None:
        """Looks at the list of charters and keysets every minute, and at one's own account hourly.

        Raises what `RuleUpdates.refresh` and `AccountLookup.learn` raise.
        """
        await self.updates.refresh()
        if time.monotonic() - self._own_looked_at < _OWN_EVERY:
            return
        with self.home.store() as store:
            account = store.settings.account
        if account is not None:
            await self.accounts.learn(account)
            self._own_looked_at = time.monotonic()

    async def learn(self, need: Need) -> None:
        """Looks up what a decision needed."""
        if need.charters:
            await self.updates.refresh(force=True)
        for account in sorted(need.accounts):
            await self.accounts.learn(account)


class StoredKnowledge:
    """policy.py's `Knowledge`: answers from the store, `Need` for what is not there or too old."""

    def __init__(self, directory: DeviceDirectory, store: DeviceStore, at: int | None) -> None:
        self._directory = directory
        self._store = store
        self._at = at

    def device(self, account: bytes, device: bytes) -> Standing:
        """The device's standing in its account's chain. Raises `Need`."""
        recent = account in self._directory.accounts.just_looked
        known = self._store.accounts.account(account)
        if known is None:
            raise Need([account])
        fresh = ROOT_MAX_AGE if known.handle else _NAMELESS_FRESH
        if time.time() - known.checked_at > fresh and not recent:
            raise Need([account])

        found = self._store.accounts.device(device)
        if found is None or found.account != account:
            if not recent:
                raise Need([account])
            return Standing.UNKNOWN
        if found.revoked is None or (self._at is not None and found.revoked > self._at):
            return Standing.ACTIVE
        return Standing.REVOKED

    def context(self, context: Context) -> tuple[int, int]:
        """`(charter version, quarter)` of a logged context. Raises `Need`, `Refused` M3."""
        version = self._directory.rules.charter_version(self._store, context)
        if version is not None:
            return version, context[1]
        if not self._directory.updates.just_looked:
            raise Need(charters=True)
        raise Refused("M3", "This conversation goes by a charter or keyset that is not in the log.")
