"""Who is who: a look-aside of devices for every request, and the derived map whose root is logged
hourly and after changes.

The map (handle -> account id -> chain head) says nothing that the log's statements do not; its
roots let an app check what it was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import apsw
import msgspec

from counterseal.protocol.account import VerifiedChain
from counterseal.protocol.cbor import encode
from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.protocol.errors import NotAuthorised, Unavailable
from counterseal.service import clock
from counterseal.service.auth import DeviceCaller
from counterseal.service.store import accounts, log
from counterseal.service.store.accounts import ChainRow
from counterseal.service.store.database import Store, connect
from counterseal.tlog.directory import DirectoryMap, Entry, check_next_root

if TYPE_CHECKING:
    from counterseal.service.app import Service

_KEPT = 100_000


class LookUp(msgspec.Struct, frozen=True):
    """An answer about a handle: the account or None, and the proof of either under a logged
    root.
    """

    account: bytes | None
    proof: bytes
    record: bytes
    log_index: int


class _Published(msgspec.Struct, frozen=True):
    """The newest logged root with the whole map under it."""

    tree: DirectoryMap
    accounts: dict[str, bytes]
    root: DirectoryRoot
    record: bytes
    log_index: int


class Directory:
    """The domain's accounts, for the event loop."""

    def __init__(self, domain: str, store: Store, wake_log: Callable[[], None]) -> None:
        self._domain = domain
        self._store = store
        self._wake_log = wake_log
        self._devices: dict[bytes, tuple[bytes, bool]] = {}
        self._published: _Published | None = None
        self._dirty = asyncio.Event()
        self._db = connect(store.path, write=False)

    def require(self, caller: DeviceCaller) -> None:
        """Returns if the directory has the device, for this account, not revoked. Raises
        `NotAuthorised` "revoked" or "unknown-device".
        """
        known = self._device(caller.device)
        if known is None or known[0] != caller.account:
            raise NotAuthorised(
                "The directory does not have this device for this account.", code="unknown-device"
            )
        if known[1]:
            raise NotAuthorised("This device is revoked.", code="revoked")

    def account_of(self, device: bytes) -> bytes | None:
        """The account of a device that is not revoked, or None."""
        known = self._device(device)
        return known[0] if known is not None and not known[1] else None

    def chain(self, account: bytes) -> VerifiedChain:
        """The account's chain, replayed. Raises `NotFound` "account"."""
        accounts.get(self._store.reader, account)
        return VerifiedChain.replay(
            map(chain_statement, accounts.chain(self._store.reader, account)), self._domain
        )

    def changed(self) -> None:
        """Says that an account's chain has grown: a root is due soon."""
        self._dirty.set()
        self._wake_log()

    def forget(self, device: bytes) -> None:
        """Drops what is remembered of a device that was revoked."""
        self._devices.pop(device, None)

    def look_up(self, handle: str) -> LookUp:
        """Where a handle points under the newest logged root. Raises `Unavailable` "no-root"."""
        published = self._published
        if published is None:
            raise Unavailable("No directory root is logged yet; ask again.", code="no-root")
        proof = published.tree.prove(handle).encode()
        return LookUp(published.accounts.get(handle), proof, published.record, published.log_index)

    def load(self) -> None:
        """Has a fresh root made at the start: the map under the last one is not kept."""
        if accounts.last_directory_root(self._store.reader) is not None or log.size(
            self._store.reader
        ):
            self._dirty.set()

    async def run(self, service: Service) -> None:
        """Logs roots: hourly, and after changes, in batches at most one a second."""
        settings = service.settings.log
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._dirty.wait(), settings.directory_root_every)
            delay = settings.directory_root_delay
            if service.clock.demonstration:
                delay = settings.directory_root_delay_demonstration
            await asyncio.sleep(self._pause(delay))
            self._dirty.clear()
            if service.charters.charters:
                await self._log_root()

    def _pause(self, delay: float) -> float:
        """Seconds until a root may be made: the first at once; then changes gather, and each root
        is a second later than the last.
        """
        if self._published is None:
            return 0.0
        return max(delay, self._published.root.time + 1 - time.time())

    async def _log_root(self) -> None:
        entries, size = await asyncio.to_thread(self._snapshot)
        tree = await asyncio.to_thread(DirectoryMap, entries)
        last = accounts.last_directory_root(self._store.reader)
        before = DirectoryRoot.decode(last[2]) if last else None
        now = max(clock.real(), before.time + 1 if before else 0)
        root = DirectoryRoot(self._domain, size, now, tree.root)
        record = root.encode()

        def job(db: apsw.Connection) -> int:
            index = log.append(db, record, "directory-root", clock.real())
            check_next_root(before, root, index)
            accounts.add_directory_root(db, index, root.root, record)
            return index

        index = await self._store.write("directory-root", job)
        by_handle = {entry.handle: entry.account_id for entry in entries}
        self._published = _Published(tree, by_handle, root, record, index)
        self._wake_log()

    def _snapshot(self) -> tuple[list[Entry], int]:
        """All accounts, and the log's size at the same moment."""
        with self._db:  # one transaction: both see the same moment
            entries = [
                Entry(handle, account, head)
                for handle, account, head in accounts.everybody(self._db)
            ]
            size = log.size(self._db)
        return entries, size

    def _device(self, device: bytes) -> tuple[bytes, bool] | None:
        known = self._devices.get(device)
        if known is None:
            known = accounts.device(self._store.reader, device)
            if known is not None:
                if len(self._devices) >= _KEPT:
                    self._devices.clear()
                self._devices[device] = known
        return known


def chain_statement(row: ChainRow) -> bytes:
    """A chain statement as the chain and the log have it: with its possession where a key is
    new.
    """
    return row.statement if row.possession is None else encode([row.statement, row.possession])
