"""The bag's own files in canonical CBOR (docs/reference/evidence.md). Form only: whether any of it
is true is `verify`'s business.

A `path` is an inclusion proof, leaf to root, in the tree of the checkpoint that lies beside the
file.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from counterseal.protocol.frame import BODY_MAX
from counterseal.protocol.record import Bytes32, Part, Positive, Record, Uint

Path = Annotated[tuple[Bytes32, ...], Meta(max_length=63)]


class ProvedStatement(Part, frozen=True):
    """A statement of the log, and its place there."""

    statement: bytes
    index: Uint
    path: Path


class PlacedCharter(Part, frozen=True):
    """A charter, its place in the log, and from when (Unix seconds) the opener has held it to be in
    force; 0 for the first.
    """

    statement: bytes
    index: Uint
    path: Path
    active: Uint


class AccountChain(Part, frozen=True):
    """An account's statements in order, each as the log has it (a new key's together with its
    possession).
    """

    account_id: Bytes32
    links: Annotated[tuple[ProvedStatement, ...], Meta(min_length=1, max_length=1_025)]


class LedgerEvent(Part, frozen=True):
    """A leaf of the ledger, opened: a statement about the warrant, or the record of the tick that
    statements are in.
    """

    index: Uint
    salt: Bytes32
    statement: bytes
    path: Path


class PlacedWindow(Part, frozen=True):
    """A window's place in its period's tree: `frames` is their number, `root` that of the tree of
    their stamps.
    """

    frames: Positive
    root: Bytes32
    index: Uint
    size: Positive
    path: Path


class BagFrame(Part, frozen=True):
    """A PrivateMessage as the service stamped it: its number in the conversation, and the time
    (Unix seconds).
    """

    number: Uint
    time: Uint
    message: Annotated[bytes, Meta(max_length=BODY_MAX)]


class BagCharters(Record, frozen=True, tag="counterseal/v1/evidence-charters"):
    """`data/log/charters.cbor`: version 1 first, each the successor of the one before."""

    limit: ClassVar[int] = 256 << 20
    charters: Annotated[tuple[PlacedCharter, ...], Meta(min_length=1)]


class BagKeysets(Record, frozen=True, tag="counterseal/v1/evidence-keysets"):
    """`data/log/keysets.cbor`: all of the domain's, in order, so that each can be checked against
    the one before.
    """

    limit: ClassVar[int] = 1 << 30
    keysets: Annotated[tuple[ProvedStatement, ...], Meta(min_length=1)]


class BagAccounts(Record, frozen=True, tag="counterseal/v1/evidence-accounts"):
    """`data/log/accounts.cbor`: the chain of every account that sent in the windows, in order of
    id.
    """

    limit: ClassVar[int] = 1 << 30
    accounts: tuple[AccountChain, ...]


class BagPeriods(Record, frozen=True, tag="counterseal/v1/evidence-periods"):
    """`data/log/periods.cbor`: the period roots that the windows lie under, in order of index."""

    limit: ClassVar[int] = 256 << 20
    roots: tuple[ProvedStatement, ...]


class BagEvents(Record, frozen=True, tag="counterseal/v1/evidence-events"):
    """`data/ledger/events.cbor`: all that the ledger has about the warrant, with the ticks'
    records, in order of index.
    """

    limit: ClassVar[int] = 1 << 30
    events: tuple[LedgerEvent, ...]


class WindowFile(Record, frozen=True, tag="counterseal/v1/evidence-window"):
    """`data/windows/OPENS/WINDOW.cbor`: one window. `period` is the log index of its period root;
    frames are in order of `seq`.
    """

    limit: ClassVar[int] = 1 << 30
    label: bytes
    roster: bytes
    counterseal: bytes
    proof: PlacedWindow
    period: Uint
    frames: tuple[BagFrame, ...]
