"""A window: its label and its roster (section 3).

| rule | refuses |
| --- | --- |
| L2 | a period that is not `[p * length, (p + 1) * length)` |
| L3 | a roster whose digest is not the label's, unsorted, or with a device twice |
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from .errors import Refused
from .record import Bytes16, Bytes32, Domain, Part, Record, Uint

GRACE = 300
"""Seconds after a window closes in which the service still takes its frames (V3)."""


class RosterEntry(Part, frozen=True):
    """One device of one account."""

    account_id: Bytes32
    device_key: Bytes32


class Roster(Record, frozen=True, tag="counterseal/v1/roster"):
    """Every device in a conversation, sorted, each once: at most 5,000."""

    limit: ClassVar[int] = 400_000
    entries: Annotated[tuple[RosterEntry, ...], Meta(min_length=1, max_length=5_000)]

    @classmethod
    def of(cls, devices: list[tuple[bytes, bytes]]) -> Roster:
        """The roster of these (account_id, device_key) pairs, in any order. Raises `Refused` L3 for
        a device twice.
        """
        return cls(
            tuple(RosterEntry(account, device) for account, device in sorted(devices))
        ).check()

    def check(self) -> Roster:
        """The roster again if it is sorted and has each device once. Raises `Refused` L3."""
        pairs = [(entry.account_id, entry.device_key) for entry in self.entries]
        if pairs != sorted(pairs) or len({device for _, device in pairs}) != len(pairs):
            raise Refused("L3", "The roster is not sorted, or has a device twice.")
        return self

    @property
    def accounts(self) -> frozenset[bytes]:
        """The account ids in it."""
        return frozenset(entry.account_id for entry in self.entries)


class Label(Record, frozen=True, tag="counterseal/v1/window"):
    """What a window is, in full. Its digest is the window id; times are seconds UTC."""

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    keyset_digest: Bytes32
    conversation_id: Bytes16
    account_id: Bytes32
    device_key: Bytes32
    roster_epoch: Uint
    opens: Uint
    closes: Uint
    serial: Uint
    roster_digest: Bytes32
    key_commitment: Bytes32

    @property
    def window_id(self) -> bytes:
        """`H(label)`, 32 bytes."""
        return self.digest()


class VerifiedWindow(msgspec.Struct, frozen=True):
    """A label and roster that fit the conversation and one another (L1 to L4, L6)."""

    window_id: bytes
    label: Label
    roster: Roster


def check_period(label: Label, length: int) -> Label:
    """The label again; `length` is the charter's period in seconds. Raises `Refused` L2."""
    if label.opens % length or label.closes != label.opens + length:
        raise Refused("L2", f"[{label.opens}, {label.closes}) is no period of {length} seconds.")
    return label


def check_roster(label: Label, roster: Roster) -> Roster:
    """The roster again, if the label's digest is its. Raises `Refused` L3."""
    if roster.check().digest() != label.roster_digest:
        raise Refused("L3", "The roster is not the one whose digest the label holds.")
    return roster
