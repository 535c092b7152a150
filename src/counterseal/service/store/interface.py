"""The store's interface: what the service asks of a database, whichever it is.

A `Store` runs jobs. A job is a function that is given a `Snapshot` or a `Transaction`, calls their
small methods and returns; what it decides is no business of the store. The tables know no rules:
they find rows, add rows and change rows.

A store lives in a folder of its own, `service/store/NAME/`, whose `open_store(directory, on_fatal)`
makes it; the setting `[store] kind` names the folder. What every store promises is tested by
tests/unit/test_service_store.py for each kind there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from counterseal.service.store.rows import (
    PlacedStatement,
    SenderStanding,
    StoredAccount,
    StoredBlob,
    StoredCharter,
    StoredConversation,
    StoredDevice,
    StoredDirectoryRoot,
    StoredEntry,
    StoredEvent,
    StoredGroup,
    StoredKeyPackage,
    StoredKeyset,
    StoredLedgerKey,
    StoredListing,
    StoredMembership,
    StoredNotice,
    StoredPeriod,
    StoredRevocation,
    StoredSeal,
    StoredShares,
    StoredStamp,
    StoredStatement,
    StoredWelcome,
    StoredWindow,
)
from counterseal.tlog.checkpoint_row import CheckpointRow
from counterseal.tlog.ledger_writer import Waiting, WriterState, WrittenTick

T = TypeVar("T")

SEQ_MAX = (1 << 24) - 1
"""The highest `seq` that a window's frame may have in a store."""


class ReadAccounts(Protocol):
    """Accounts, their chains of statements, their devices, and the directory's logged roots."""

    def find(self, account: bytes) -> StoredAccount | None:
        """The account with this id."""

    def by_handle(self, handle: str) -> bytes | None:
        """The id of the account with this handle."""

    def heads(self) -> Iterable[tuple[str, bytes, bytes]]:
        """(handle, id, digest of the last statement) of every account."""

    def chain(self, account: bytes) -> list[StoredStatement]:
        """The account's statements in order."""

    def device(self, device: bytes) -> StoredDevice | None:
        """Whose device a key is."""

    def last_root(self) -> StoredDirectoryRoot | None:
        """The directory root that was logged last."""


class WriteAccounts(ReadAccounts, Protocol):
    """The same, in a transaction."""

    def create(self, account: bytes, handle: str) -> None:
        """A new account without statements; neither id nor handle is known yet."""

    def extend(self, account: bytes, number: int, head: bytes, row: StoredStatement) -> None:
        """Adds statement `number` (0 is the first), whose digest becomes the chain's head."""

    def set_display(self, account: bytes, display: str) -> None:
        """Sets the name that an account shows."""

    def add_device(self, account: bytes, device: bytes) -> None:
        """A new device of the account."""

    def revoke_device(self, device: bytes) -> None:
        """Marks a device as revoked, and drops its key packages that nobody has claimed."""

    def add_root(self, row: StoredDirectoryRoot) -> None:
        """Stores a logged directory root."""


class ReadKeyPackages(Protocol):
    """Key packages."""

    def held(self, device: bytes) -> tuple[int, bool]:
        """(one-time packages that wait, whether there is a last resort)."""

    def owner(self, ref: bytes) -> bytes | None:
        """The device that uploaded the package with this KeyPackageRef."""

    def following(self, device: bytes) -> StoredKeyPackage | None:
        """The package to give out next: the oldest one-time one, else the last resort."""


class WriteKeyPackages(ReadKeyPackages, Protocol):
    """The same, in a transaction."""

    def add(self, device: bytes, row: StoredKeyPackage) -> None:
        """Stores a package. A last resort takes the place of the one before.

        The same one-time package again changes nothing: claimed, it stays claimed.
        """

    def claim(self, ref: bytes) -> None:
        """Marks a package as given out."""


class ReadConversations(Protocol):
    """Conversations, their groups' public state, who may read which events, and the events."""

    def find(self, conversation: bytes) -> StoredConversation | None:
        """The conversation with this id (16 bytes)."""

    def find_for_sender(self, conversation: bytes, device: bytes) -> SenderStanding | None:
        """The conversation and the device's standing, in one step: every frame asks."""

    def group_state(self, no: int) -> bytes:
        """The group's public MLS state."""

    def is_member(self, no: int, device: bytes) -> bool:
        """Whether the device is in the conversation now."""

    def memberships(self, no: int, device: bytes) -> list[StoredMembership]:
        """The ranges of events that the device may have, in order."""

    def of_device(self, device: bytes) -> list[StoredConversation]:
        """The conversations that the device is in now, oldest first."""

    def events(
        self, no: int, after: int, last: int, limit: int, limit_bytes: int
    ) -> Sequence[StoredEvent]:
        """The events with after < n <= last, in order.

        At most `limit` of them and about `limit_bytes`, at least one if there is one.
        """

    def inbox(self, device: bytes, after: int, limit: int) -> list[tuple[int, StoredWelcome]]:
        """(n, Welcome) of a device's inbox after an n, in order."""

    def inbox_last(self, device: bytes) -> int:
        """The newest inbox n, 0 for an empty one."""


class WriteConversations(ReadConversations, Protocol):
    """The same, in a transaction."""

    def create(self, conversation: bytes, group: StoredGroup) -> int:
        """A new conversation without members; returns its `no`."""

    def append(self, no: int, row: StoredEvent) -> None:
        """Stores an event; the caller counts, and calls `set_last_n` once at the end."""

    def set_last_n(self, no: int, last_n: int) -> None:
        """Stores the number of the last event."""

    def advance(self, no: int, n: int, group: StoredGroup) -> None:
        """After the handshake with number `n`: the group's new state, and `version` one more."""

    def add_member(self, no: int, device: bytes, n: int) -> None:
        """The device may read from event `n` on."""

    def end_member(self, no: int, device: bytes, n: int) -> None:
        """The device may read up to event `n`."""

    def deliver(self, devices: Iterable[bytes], row: StoredWelcome) -> list[tuple[bytes, int]]:
        """Puts a Welcome into each device's inbox; returns (device, inbox n)."""


class ReadWindows(Protocol):
    """Windows with their counterseals, and the stamps of their frames."""

    def find(self, window_id: bytes) -> StoredWindow | None:
        """The window with this id."""

    def find_open(self, window_id: bytes) -> tuple[StoredWindow, bool] | None:
        """The window, and whether its period's root is logged, in one step: every frame asks."""

    def seal(self, no: int) -> StoredSeal:
        """The records of a window."""

    def last_serial(self, conversation: int, device: bytes) -> int | None:
        """The device's newest serial in the conversation."""

    def count_same_place(
        self, conversation: int, device: bytes, opens: int, roster_digest: bytes, keyset: bytes
    ) -> int:
        """How many windows the device has for one period, roster and keyset."""

    def find_stamp(self, no: int, seq: int) -> StoredStamp | None:
        """A frame's stamp; None for a `seq` that no frame of this window has, however large."""

    def stamps(self, no: int) -> list[StoredStamp]:
        """The stamps of a window's frames, in order of `seq`."""

    def of_period(self, opens: int) -> list[StoredWindow]:
        """The period's windows that have frames, in order of id."""

    def unlogged_periods(self, closed_by: int) -> list[int]:
        """The periods with frames that closed by then and have no logged root, in order."""


class WriteWindows(ReadWindows, Protocol):
    """The same, in a transaction."""

    def add(self, window: StoredWindow, records: StoredSeal) -> None:
        """Stores a window; its `no` is given by the store, its `next_seq` is 0."""

    def add_stamp(self, no: int, seq: int, row: StoredStamp) -> None:
        """Stores a frame's stamp."""

    def set_next_seq(self, no: int, next_seq: int) -> None:
        """Stores how many frames a window has."""


class ReadPeriods(Protocol):
    """Logged period roots, and a demonstration's clock."""

    def find(self, opens: int) -> StoredPeriod | None:
        """The root of the period that opens then."""

    def before(self, log_index: int) -> StoredPeriod | None:
        """The root logged last before an index."""

    def after(self, log_index: int, limit: int) -> list[StoredPeriod]:
        """The roots logged after an index, in order."""

    def between(self, start: int, until: int) -> list[StoredPeriod]:
        """The roots of periods that open in `[start, until)`, in order of time."""

    def clock(self) -> int | None:
        """What a demonstration's window clock was stepped to."""


class WritePeriods(ReadPeriods, Protocol):
    """The same, in a transaction."""

    def add(self, row: StoredPeriod) -> None:
        """Stores a root."""

    def set_clock(self, now: int) -> None:
        """Stores a demonstration's window clock."""


class ReadTrust(Protocol):
    """Charters, keysets, holders' keys and revocations as they were logged; ledger keys."""

    def charters(self) -> list[StoredCharter]:
        """All charters, oldest first."""

    def keysets(self) -> list[StoredKeyset]:
        """All keysets in order of the log."""

    def revocations(self) -> list[StoredRevocation]:
        """All revocations of issuers' keys in order of the log."""

    def holder_keys(self, charter: bytes, quarter: int) -> dict[int, bytes]:
        """The holder-key statements delivered so far, by position."""

    def ledger_keys(self) -> list[StoredLedgerKey]:
        """All ledger keys that were drawn, oldest first."""


class WriteTrust(ReadTrust, Protocol):
    """The same, in a transaction."""

    def add_charter(self, row: StoredCharter) -> None:
        """Stores a charter. Raises `Duplicate` when its version or digest is taken."""

    def add_keyset(self, row: StoredKeyset) -> None:
        """Stores a keyset. Raises `Duplicate` when its charter and quarter have one."""

    def add_holder_key(self, charter: bytes, quarter: int, position: int, statement: bytes) -> None:
        """Stores a holder's key for a quarter; a later one takes an earlier one's place."""

    def add_revocation(self, row: StoredRevocation) -> None:
        """Stores a revocation; of two for one issuer the one with the earlier `since` stays."""

    def add_ledger_key(self, row: StoredLedgerKey) -> None:
        """Stores a fresh ledger key."""

    def drop_ledger_keys(self, commitments: Iterable[bytes]) -> None:
        """Deletes drafts that can never be logged."""

    def mark_ledger_key(self, commitment: bytes) -> None:
        """The keyset with this ledger key is logged."""


class ReadLog(Protocol):
    """The log's entries, from which its tiles are made, and the checkpoint rows of both logs."""

    def find(self, entry: bytes) -> StoredEntry | None:
        """The first entry with this hash."""

    def size(self) -> int:
        """How many entries there are."""

    def entries(self, first: int, limit: int) -> list[bytes]:
        """The entry hashes from index `first` on."""

    def row(self, origin: str) -> CheckpointRow | None:
        """The checkpoint row of a log."""


class WriteLog(ReadLog, Protocol):
    """The same, in a transaction."""

    def add(self, row: StoredEntry) -> None:
        """Stores the next entry."""

    def set_row(self, row: CheckpointRow) -> None:
        """Stores a log's checkpoint row in the place of the one before."""


class ReadLedger(Protocol):
    """The ledger's queue, leaves and chunks."""

    def load(self) -> WriterState:
        """The writer's state after the last tick."""

    def backlog(self) -> int:
        """How many statements wait."""

    def leaves(self, first: int, limit: int) -> list[bytes]:
        """The ledger's entries (32 bytes) from index `first` on."""

    def size(self) -> int:
        """How many leaves there are."""

    def chunk(self, number: int) -> bytes | None:
        """A chunk of the stream."""

    def placed(self, first: int, end: int) -> list[PlacedStatement]:
        """The statements that became leaves in `[first, end)`, in order."""

    def last_time(self, end: int) -> int:
        """The time of the last tick among the first `end` leaves, 0 for none."""


class WriteLedger(ReadLedger, Protocol):
    """The same, in a transaction: also tlog's `Backlog`."""

    def enqueue(self, digest: bytes, statement: bytes) -> None:
        """Puts a statement into the queue; the same digest again changes nothing."""

    def waiting(self) -> Sequence[Waiting]:
        """The first statements of the queue, oldest first."""

    def commit(self, tick: WrittenTick) -> None:
        """Stores a tick: state, chunk, leaves, and what leaves the queue."""


class ReadReleases(Protocol):
    """Listings, the periods they cover, the shares handed over, and notices."""

    def listings(self, warrant: bytes) -> list[StoredListing]:
        """A warrant's listings in order."""

    def listed_periods(self, warrant: bytes) -> set[int]:
        """The periods that need no further look for this warrant."""

    def shares(self, warrant: bytes) -> list[StoredShares]:
        """All shares handed over under a warrant."""

    def find_notice(self, digest: bytes) -> int | None:
        """The index of the notice with this digest."""

    def notices(self, after: int, limit: int) -> list[StoredNotice]:
        """The notices after an index."""


class WriteReleases(ReadReleases, Protocol):
    """The same, in a transaction."""

    def add_listing(self, row: StoredListing) -> None:
        """Stores a listing."""

    def mark_period(self, warrant: bytes, opens: int) -> None:
        """A period's windows in the warrant's scope are all listed."""

    def add_shares(self, warrant: bytes, row: StoredShares) -> None:
        """Stores sealed shares; a holder's later ones take the place of its earlier ones."""

    def add_notice(self, digest: bytes, sealed: bytes, position: int, now: int) -> int:
        """Stores a sealed notice; returns its index."""


class ReadBlobs(Protocol):
    """What was announced about blobs; the bytes themselves are files."""

    def find(self, digest: bytes) -> StoredBlob | None:
        """What was announced."""


class WriteBlobs(ReadBlobs, Protocol):
    """The same, in a transaction."""

    def announce(self, digest: bytes, size: int, uploader: bytes, now: int) -> None:
        """Remembers an upload: the first size stays, and whoever announces last goes on."""


class Snapshot(msgspec.Struct, frozen=True):
    """All tables as they were at one moment."""

    accounts: ReadAccounts
    key_packages: ReadKeyPackages
    conversations: ReadConversations
    windows: ReadWindows
    periods: ReadPeriods
    trust: ReadTrust
    log: ReadLog
    ledger: ReadLedger
    releases: ReadReleases
    blobs: ReadBlobs


class Transaction(msgspec.Struct, frozen=True):
    """All tables, to be changed by one job."""

    accounts: WriteAccounts
    key_packages: WriteKeyPackages
    conversations: WriteConversations
    windows: WriteWindows
    periods: WritePeriods
    trust: WriteTrust
    log: WriteLog
    ledger: WriteLedger
    releases: WriteReleases
    blobs: WriteBlobs


ReadJob = Callable[[Snapshot], T]
WriteJob = Callable[[Transaction], T]


class Duplicate(Exception):
    """A row with this key is stored already; raised inside of jobs, for the decision to word."""


class Store(Protocol):
    """A database with one writer's order.

    Every write job sees what all jobs before it did, and nothing comes between its reads and its
    writes: decisions may compare and then change. A job that raises changes nothing. Jobs run on
    the store's own thread or connection; they may share a commit with others. After an error of the
    disk the store writes nothing any more, and says so to `on_fatal`.
    """

    def start(self) -> None:
        """Begins to write; called on the event loop that `write` is awaited on."""

    async def read(self, job: ReadJob[T]) -> T:
        """The result of a short read."""

    def read_apart(self, job: ReadJob[T]) -> T:
        """The result of a long read; blocks: for worker threads, and before `start`."""

    async def write(
        self, name: str, job: WriteJob[T], after: Callable[[T], None] | None = None
    ) -> T:
        """The job's result, once all that it wrote is on disk. Raises what the job raises.

        `after` is run on the event loop once that is so, in the order of the commits, before this
        returns. `name` is the failpoint beside the durable write. Raises `Unavailable` "disk" after
        an error of the disk and "stopping" after `close`, `FatalError` "disk" when this write met
        the error.
        """

    def write_apart(self, name: str, job: WriteJob[T]) -> T:
        """`write` for worker threads: blocks until the result is on disk, and needs no event loop,
        which may be closing.
        """

    async def close(self) -> None:
        """Lets what is queued be written, then closes."""
