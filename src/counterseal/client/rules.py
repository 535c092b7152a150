"""The charters and keysets that this device has verified, read from its store.

Nothing is fetched here: what is not known raises `Need`, and the caller looks it up
(rule_updates.py).
"""

from __future__ import annotations

import hashlib

from counterseal.client.policy import Context, Need
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.store.rules import KeysetRow
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import Unavailable
from counterseal.protocol.keyset import ReceivedKeyset, VerifiedKeyset, quarter_of
from counterseal.protocol.verified_charter import ReceivedCharter, VerifiedCharter

_STATEMENT_MAX = 1 << 22


class DeviceRules:
    """Reads charters and keysets; remembers the decoded charters, which never change."""

    def __init__(self) -> None:
        self._charters: dict[bytes, VerifiedCharter] = {}

    def charter(self, store: DeviceStore, digest: bytes) -> VerifiedCharter:
        """The charter with this digest (32 bytes). Raises `Need` when it is not known."""
        known = self._charters.get(digest)
        if known is None:
            row = store.rules.charter(digest)
            if row is None:
                raise Need(charters=True)
            known = self._charters[digest] = _restore_charter(row.statement)
        return known

    def newest_charters(self, store: DeviceStore, count: int) -> list[VerifiedCharter]:
        """At most `count` charters, the newest first, in force or not."""
        return [self.charter(store, row.digest) for row in store.rules.newest_charters(count)]

    def newest_keyset(self, store: DeviceStore) -> VerifiedKeyset | None:
        """The keyset that was logged last."""
        row = store.rules.newest_keyset()
        return _restore_keyset(row) if row else None

    def period_length(self, store: DeviceStore, digest: bytes) -> int:
        """Seconds of a period under a charter."""
        return self.charter(store, digest).charter.period_length

    def context(self, store: DeviceStore, now: int) -> Context:
        """The context that a conversation should be in at `now` (Unix seconds): the charter in
        force and its newest keyset.

        Until the quarter's keyset is logged it is the one before. Raises `Unavailable` when there
        is no keyset, `Refused` C20, `Need`.
        """
        digest = store.settings.charter_in_force
        if digest is None:
            raise Need(charters=True)
        self.charter(store, digest).check_valid(now)
        keyset = store.rules.keyset_up_to(digest, quarter_of(now))
        if keyset is None:
            raise Unavailable(
                "The holders' keyset for this quarter is not logged yet; try again when it is.",
                code="no-keyset",
            )
        return digest, keyset.quarter, keyset.digest

    def is_behind(self, store: DeviceStore, now: int) -> bool:
        """Whether no keyset of the present quarter is known under the charter in force: there may
        be a new one.
        """
        newest = store.rules.newest_quarter(store.settings.charter_in_force)
        return newest is None or newest < quarter_of(now)


def _restore_charter(statement: bytes) -> VerifiedCharter:
    """A charter out of this device's own store, where only verified ones are put."""
    cose = ReceivedSign.decode(statement, _STATEMENT_MAX)
    received = ReceivedCharter.decode(statement)
    digest = hashlib.sha256(cose.payload).digest()
    return VerifiedCharter(received.charter, digest, statement, cose.kids)


def _restore_keyset(row: KeysetRow) -> VerifiedKeyset:
    statement, keys = row.unpack()
    return VerifiedKeyset(ReceivedKeyset.decode(statement).keyset, row.digest, keys, statement)
