"""The charters and keysets that this device has verified: one `TrustedRules`, filled from its
store.

Nothing is fetched here: what is not known raises `Need`, and the caller looks it up
(rule_updates.py).
"""

from __future__ import annotations

from counterseal.client.policy import Context, Need
from counterseal.client.store.device_store import DeviceStore
from counterseal.protocol.charter_use import check_valid
from counterseal.protocol.errors import Refused, Unavailable
from counterseal.protocol.quarters import newest_keyset, quarter_of
from counterseal.protocol.restored_rules import restore_charter, restore_keyset
from counterseal.protocol.trusted_rules import TrustedRules
from counterseal.protocol.verified_charter import VerifiedCharter

# A device goes by the service's word which charter is in force: that one is dated 0, others never.
_IN_FORCE = 0


class DeviceRules:
    """What the store has of charters and keysets, verified when it was stored."""

    def __init__(self, genesis: bytes) -> None:
        """`genesis` is the pinned first charter's digest, 32 bytes."""
        self._trusted = TrustedRules(genesis, "M7")

    def trusted(self, store: DeviceStore) -> TrustedRules:
        """Everything that is stored now: another process of this device may have added to it."""
        rules = self._trusted
        newest = rules.newest
        for charter in store.rules.charters_after(newest.charter.version if newest else 0):
            restore_charter(rules, charter.statement, charter.log_index, None)
        for keyset in store.rules.keysets_after(rules.keysets[-1].index if rules.keysets else -1):
            statement, keys = keyset.unpack()
            restore_keyset(rules, statement, keys, keyset.log_index)

        in_force = store.settings.charter_in_force
        if in_force is not None:
            rules.date(in_force, _IN_FORCE)
        return rules

    def charter(self, store: DeviceStore, digest: bytes) -> VerifiedCharter:
        """The charter with this digest (32 bytes). Raises `Need` when it is not known."""
        # a charter never changes, so what was read before need not be read again
        found = self._trusted.find_charter(digest) or self.trusted(store).find_charter(digest)
        if found is None:
            raise Need(charters=True)
        return found.charter

    def in_force(self, store: DeviceStore) -> VerifiedCharter:
        """The charter that new messages are sealed under. Raises `Need` when none is known."""
        try:
            return self.trusted(store).in_force(_IN_FORCE)
        except Refused:
            raise Need(charters=True) from None

    def period_length(self, store: DeviceStore, digest: bytes) -> int:
        """Seconds of a period under a charter. Raises `Need`."""
        return self.charter(store, digest).charter.period_length

    def context(self, store: DeviceStore, now: int) -> Context:
        """The context that a conversation should be in at `now` (Unix seconds): the charter in
        force and its newest keyset.

        Until the quarter's keyset is logged it is the one before. Raises `Unavailable` when there
        is no keyset, `Refused` C20, `Need`.
        """
        charter = self.in_force(store)
        check_valid(charter, now)
        keyset = newest_keyset(self._trusted, charter.digest, quarter_of(now))
        if keyset is None:
            raise Unavailable(
                "The holders' keyset for this quarter is not logged yet; try again when it is.",
                code="no-keyset",
            )
        return charter.digest, keyset.keyset.quarter, keyset.digest

    def is_behind(self, store: DeviceStore, now: int) -> bool:
        """Whether no keyset of the present quarter is known under the charter in force: there may
        be a new one.
        """
        trusted, in_force = self.trusted(store), store.settings.charter_in_force
        return not any(
            one.keyset.keyset.charter_digest == in_force
            and one.keyset.keyset.quarter >= quarter_of(now)
            for one in trusted.keysets
        )

    def charter_version(self, store: DeviceStore, context: Context) -> int | None:
        """The number of a context's charter, if the context is one that is stored."""
        digest, quarter, keyset_digest = context
        trusted = self.trusted(store)
        found = trusted.find_keyset(keyset_digest)
        if found is None:
            return None
        keyset = found.keyset.keyset
        if (keyset.charter_digest, keyset.quarter) != (digest, quarter):
            return None
        return trusted.charter(digest).charter.version
