"""A new window, as the service and the members of its conversation check it (section 3).

| rule | refuses |
| --- | --- |
| S1 | a counterseal with another number of positions than the tree, or a null where the keyset |
|    | has a key (or the reverse) |
| L1 | a label of another domain, charter or keyset than the conversation's |
| L4 | an uploader that is not the label's device, or a device that is not in the roster |
| L5 | a serial that does not rise, or a restart beyond 16 in a period |
| L6 | a roster epoch that is not the conversation's |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .counterseal import Counterseal
from .errors import Refused
from .window import Label, Roster, RosterEntry, VerifiedWindow, check_period, check_roster

RESTARTS_MAX = 16
"""Windows that a device may open again in one period of a conversation with the same roster."""


class View(NamedTuple):
    """What whoever judges a label knows of the conversation by its own means."""

    domain: str
    charter_digest: bytes
    keyset_digest: bytes
    roster_epoch: int
    period_length: int


def check_window(label: Label, roster: Roster, view: View) -> VerifiedWindow:
    """The window, if label and roster fit the conversation. Raises `Refused` L1, L2, L3, L4 or
    L6.
    """
    check_context(label, view)
    check_period(label, view.period_length)
    check_roster(label, roster)
    check_roster_epoch(label, view.roster_epoch)
    if RosterEntry(label.account_id, label.device_key) not in roster.entries:
        raise Refused(
            "L4",
            "The label's device is not in the roster; a device opens windows only where it is a "
            "member.",
        )
    return VerifiedWindow(label.window_id, label, roster)


def check_context(label: Label, view: View) -> Label:
    """The label again. Raises `Refused` L1."""
    expected = (view.domain, view.charter_digest, view.keyset_digest)
    if (label.domain, label.charter_digest, label.keyset_digest) != expected:
        raise Refused(
            "L1",
            "The label names another domain, charter or keyset than its conversation; open a new "
            "window.",
        )
    return label


def check_uploader(label: Label, account_id: bytes, device_key: bytes) -> Label:
    """The label again, if it is the uploader's own. Raises `Refused` L4."""
    if (label.account_id, label.device_key) != (account_id, device_key):
        raise Refused(
            "L4", "A window is uploaded by the device that its label names, and by no other."
        )
    return label


def check_serial(label: Label, last: int | None, restarts: int) -> Label:
    """The label again. `last` is the device's newest serial in the conversation, `restarts` its
    restarts so far in the period. Raises `Refused` L5."""
    if last is not None and label.serial <= last:
        raise Refused(
            "L5", f"The serial {label.serial} does not rise above {last}; take a higher one."
        )
    if restarts >= RESTARTS_MAX:
        raise Refused(
            "L5",
            f"This device has opened {RESTARTS_MAX} windows again in this period; wait for the "
            "next.",
        )
    return label


def check_roster_epoch(label: Label, roster_epoch: int) -> Label:
    """The label again. Raises `Refused` L6."""
    if label.roster_epoch != roster_epoch:
        raise Refused(
            "L6",
            f"The label's roster epoch is {label.roster_epoch}, the conversation's {roster_epoch}.",
        )
    return label


def check_positions(counterseal: Counterseal, keys: Sequence[bytes | None]) -> Counterseal:
    """The counterseal again, if it has a share exactly where the keyset has a key. Raises `Refused`
    S1.
    """
    if [sealed is None for sealed in counterseal.sealed] != [key is None for key in keys]:
        raise Refused("S1", "The counterseal's positions are not those of the keyset.")
    return counterseal
