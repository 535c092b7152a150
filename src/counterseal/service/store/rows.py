"""What the store keeps, a frozen struct a row. Times are Unix seconds, digests and keys 32 bytes.

Numbers called `no` are the store's own names for a conversation or a window: from 1, below 2^31,
never used again.
"""

from __future__ import annotations

import msgspec


class StoredAccount(msgspec.Struct, frozen=True):
    """An account: id, handle, display name, and how many statements follow its first."""

    id: bytes
    handle: str
    display: str
    statements: int


class StoredStatement(msgspec.Struct, frozen=True):
    """One statement of an account's chain, and its index in the log.

    `kind` is "account", "device", "device-revoked" or "account-key".
    """

    kind: str
    statement: bytes
    possession: bytes | None
    log_index: int


class StoredDevice(msgspec.Struct, frozen=True):
    """Whose device a key is, and whether it is revoked."""

    account: bytes
    revoked: bool


class StoredDirectoryRoot(msgspec.Struct, frozen=True):
    """A logged root of the directory's map."""

    log_index: int
    root: bytes
    record: bytes


class StoredKeyPackage(msgspec.Struct, frozen=True):
    """A key package as it was uploaded, with its KeyPackageRef."""

    ref: bytes
    package: bytes
    last_resort: bool


class StoredConversation(msgspec.Struct, frozen=True):
    """A conversation as the service knows it.

    `version` counts accepted handshakes: it is what compare-and-swap compares.
    """

    no: int
    id: bytes
    last_n: int
    epoch: int
    roster_epoch: int
    roster_digest: bytes
    charter: bytes
    quarter: int
    keyset: bytes
    version: int


class SenderStanding(msgspec.Struct, frozen=True):
    """A conversation, and whether a device may send to it: is in it now, and is not revoked."""

    conversation: StoredConversation
    member: bool
    active: bool


class StoredGroup(msgspec.Struct, frozen=True):
    """The public state of a conversation's group, and what the service reads from it."""

    state: bytes
    epoch: int
    roster_epoch: int
    roster_digest: bytes
    charter: bytes
    quarter: int
    keyset: bytes


class StoredMembership(msgspec.Struct, frozen=True):
    """The events that a device may have: from number `first` to `last` (None: no end)."""

    first: int
    last: int | None


class StoredEvent(msgspec.Struct, frozen=True):
    """One thing that happened in a conversation: its number from 1, kind, time, the MLS message."""

    n: int
    kind: int
    time: int
    data: bytes


class StoredWelcome(msgspec.Struct, frozen=True):
    """A Welcome with the ratchet tree, and the number of the commit that it belongs to."""

    conversation: bytes
    welcome: bytes
    tree: bytes
    commit_n: int


class StoredWindow(msgspec.Struct, frozen=True):
    """A window; `next_seq` is how many frames it has."""

    no: int
    id: bytes
    conversation: int
    account: bytes
    device: bytes
    charter: bytes
    keyset: bytes
    roster_epoch: int
    roster_digest: bytes
    opens: int
    closes: int
    serial: int
    seal_digest: bytes
    next_seq: int


class StoredSeal(msgspec.Struct, frozen=True):
    """The records of a window, as they were uploaded."""

    label: bytes
    roster: bytes
    counterseal: bytes


class StoredStamp(msgspec.Struct, frozen=True):
    """A frame's stamp: its number in the conversation, its message's digest, its time."""

    n: int
    digest: bytes
    time: int


class StoredPeriod(msgspec.Struct, frozen=True):
    """A period's root record and its index in the log; the period begins at `opens`."""

    opens: int
    record: bytes
    log_index: int


class StoredCharter(msgspec.Struct, frozen=True):
    """A logged charter; it comes into force at `active_from`."""

    version: int
    digest: bytes
    statement: bytes
    log_index: int
    active_from: int


class StoredKeyset(msgspec.Struct, frozen=True):
    """A logged keyset."""

    charter: bytes
    quarter: int
    digest: bytes
    statement: bytes
    log_index: int


class StoredRevocation(msgspec.Struct, frozen=True):
    """A logged revocation: the issuer's kid, and from when on its signatures are void."""

    issuer: bytes
    since: int
    statement: bytes
    log_index: int


class StoredLedgerKey(msgspec.Struct, frozen=True):
    """A ledger key that was drawn for a keyset: secret until the readers have it.

    `part` is the keyset's record of it.
    """

    commitment: bytes
    secret: bytes
    charter: bytes
    quarter: int
    part: bytes
    logged: bool


class StoredEntry(msgspec.Struct, frozen=True):
    """A log entry: its index, the 32 bytes in the log, the statement that they are the hash of."""

    index: int
    entry: bytes
    statement: bytes
    kind: str
    time: int


class PlacedStatement(msgspec.Struct, frozen=True):
    """A statement that became a leaf of the ledger, with its tick's time."""

    leaf: int
    time: int
    statement: bytes


class StoredListing(msgspec.Struct, frozen=True):
    """A listing as it went to the ledger, and its number of windows."""

    warrant: bytes
    number: int
    digest: bytes
    record: bytes
    windows: int


class StoredShares(msgspec.Struct, frozen=True):
    """One holder's sealed shares of one listing."""

    listing: bytes
    position: int
    sealed: bytes


class StoredNotice(msgspec.Struct, frozen=True):
    """A sealed notice under its index, from 1."""

    index: int
    sealed: bytes


class StoredBlob(msgspec.Struct, frozen=True):
    """An announced blob: its size in bytes, and the device that uploads it."""

    size: int
    uploader: bytes
