"""The directory's map (handle -> account id -> chain head), whose root is logged hourly and after
changes.

The map says nothing that the log's statements do not; its roots let an app check what it was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import msgspec

from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.protocol.errors import Unavailable
from counterseal.service import clock
from counterseal.service.clock import WindowClock
from counterseal.service.decisions import log_entries
from counterseal.service.settings import LogSettings
from counterseal.service.store.interface import Snapshot, Store, Transaction
from counterseal.service.store.rows import StoredDirectoryRoot
from counterseal.service.trust import DomainRules
from counterseal.tlog.directory import DirectoryEntry, DirectoryMap, check_next_root


class LookUp(msgspec.Struct, frozen=True):
    """An answer about a handle: the account or None, and the proof of either under a logged
    root.
    """

    account: bytes | None
    proof: bytes
    record: bytes
    log_index: int


class _PublishedMap(msgspec.Struct, frozen=True):
    """The newest logged root with the whole map under it."""

    tree: DirectoryMap
    accounts: dict[str, bytes]
    root: DirectoryRoot
    record: bytes
    log_index: int


class DirectoryRoots:
    """Logs the map's roots, and proves handles under the newest one."""

    def __init__(
        self,
        store: Store,
        rules: DomainRules,
        window_clock: WindowClock,
        settings: LogSettings,
        wake_log: Callable[[], None],
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = window_clock
        self._settings = settings
        self._wake_log = wake_log
        self._published: _PublishedMap | None = None
        self._dirty = asyncio.Event()

    def changed(self) -> None:
        """Says that an account's chain has grown: a root is due soon."""
        self._dirty.set()
        self._wake_log()

    def look_up(self, handle: str) -> LookUp:
        """Where a handle points under the newest logged root. Raises `Unavailable` "no-root"."""
        published = self._published
        if published is None:
            raise Unavailable("No directory root is logged yet; ask again.", code="no-root")
        proof = published.tree.prove(handle).encode()
        return LookUp(published.accounts.get(handle), proof, published.record, published.log_index)

    async def run(self) -> None:
        """Logs roots: hourly, and after changes, in batches at most one a second."""
        # the map under the last root is not kept, so a start makes a fresh one
        if await self._store.read(_any_logged):
            self._dirty.set()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._dirty.wait(), self._settings.directory_root_every)
            await asyncio.sleep(self._pause())
            self._dirty.clear()
            if self._rules.rules.charters:
                await self._log_root()

    def _pause(self) -> float:
        """Seconds until a root may be made.

        The first at once; then changes gather, and each root is a second later than the last.
        """
        if self._published is None:
            return 0.0
        delay = self._settings.directory_root_delay
        if self._clock.demonstration:
            delay = self._settings.directory_root_delay_demonstration
        return max(delay, self._published.root.time + 1 - time.time())

    async def _log_root(self) -> None:
        entries, size = await asyncio.to_thread(self._store.read_apart, _snapshot)
        tree = await asyncio.to_thread(DirectoryMap, entries)
        last = await self._store.read(lambda snapshot: snapshot.accounts.last_root())
        before = DirectoryRoot.decode(last.record) if last else None
        now = max(clock.real(), before.time + 1 if before else 0)
        root = DirectoryRoot(self._rules.domain, size, now, tree.root)
        record = root.encode()

        def job(tables: Transaction) -> int:
            index = log_entries.append(tables, record, "directory-root", clock.real())
            check_next_root(before, root, index)
            tables.accounts.add_root(StoredDirectoryRoot(index, root.root, record))
            return index

        index = await self._store.write("directory-root", job)
        by_handle = {entry.handle: entry.account_id for entry in entries}
        self._published = _PublishedMap(tree, by_handle, root, record, index)
        self._wake_log()


def _any_logged(snapshot: Snapshot) -> bool:
    return snapshot.accounts.last_root() is not None or snapshot.log.size() > 0


def _snapshot(snapshot: Snapshot) -> tuple[list[DirectoryEntry], int]:
    """All accounts, and the log's size at the same moment."""
    return [DirectoryEntry(*row) for row in snapshot.accounts.heads()], snapshot.log.size()
