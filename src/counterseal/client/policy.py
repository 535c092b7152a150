"""What a member's own app asks of membership, beyond what MLS asks: decisions without I/O.

What the directory knows is asked of `Knowledge`, which raises `Need` for what was not looked up
yet: the caller rolls back, looks it up with the proofs, and asks again.

| rule | refuses |
| --- | --- |
| M1 | a handshake by somebody who is not in the conversation; an external commit that does |
|    | anything but replace its own leaf |
| M2 | an added device that is not in the directory's chain of its account, or is revoked |
| M3 | a context that is not a logged charter and keyset, or that goes back |
| M4 | an invitation into a conversation whose roster or context M2 or M3 would refuse, or in |
|    | which one's own device is not |
| M5 | a proposal to do anything but remove oneself |
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import msgspec

from counterseal.protocol.errors import Refused

Leaf = tuple[bytes, bytes]
"""A device in a group: (account id, device key), 32 bytes each."""
Context = tuple[bytes, int, bytes]
"""What a group is sealed under: (charter digest, quarter, keyset digest)."""


class Standing(StrEnum):
    """What an account's chain says of a device."""

    ACTIVE = "active"
    """The chain has it, and has not revoked it by the time that is asked about."""
    REVOKED = "revoked"
    """The chain has it and has revoked it."""
    UNKNOWN = "unknown"
    """The chain, looked up just now, does not have it."""


class HandshakeKind(StrEnum):
    """What a staged handshake message is."""

    COMMIT = "commit"
    """It begins a new epoch."""
    PROPOSAL = "proposal"
    """It asks for something that another member's commit does."""


class Need(Exception):
    """What has to be looked up before a decision: accounts by id, or the list of charters and
    keysets. No error: it never leaves sync.
    """

    def __init__(self, accounts: Iterable[bytes] = (), charters: bool = False) -> None:
        super().__init__()
        self.accounts = frozenset(accounts)
        self.charters = charters


class Knowledge(Protocol):
    """What this device has verified of the directory and the log."""

    def device(self, account: bytes, device: bytes) -> Standing:
        """The device's standing. Raises `Need` when the account was never looked up, or too long
        ago to say.
        """

    def context(self, context: Context) -> tuple[int, int]:
        """`(charter version, quarter)` of a logged context. Raises `Need`, or `Refused` M3 when it
        was looked up and is not there.
        """


class Handshake(msgspec.Struct, frozen=True):
    """What a staged handshake would do: (account id, device key) pairs, and the new context if it
    changes.
    """

    kind: HandshakeKind
    committer: Leaf
    added: tuple[Leaf, ...]
    removed: tuple[Leaf, ...]
    context: Context | None


def judge(
    handshake: Handshake, roster: Iterable[Leaf], present: Context, knowledge: Knowledge
) -> Handshake:
    """The handshake again, if this member may follow it. Raises `Refused` M1, M2, M3 or M5, and
    `Need`.
    """
    members = set(roster)
    if handshake.committer not in members:
        raise Refused(
            "M1",
            f"A device that is not in this conversation ({short(handshake.committer)})"
            " tried to change it.",
        )
    if handshake.kind != HandshakeKind.COMMIT:
        return _judge_proposal(handshake)
    check_devices(handshake.added, knowledge)
    if handshake.context is not None and handshake.context != present:
        check_forward(present, handshake.context, knowledge)
    return handshake


def _judge_proposal(handshake: Handshake) -> Handshake:
    if (
        handshake.added
        or handshake.context
        or any(r != handshake.committer for r in handshake.removed)
    ):
        raise Refused(
            "M5", f"The device {short(handshake.committer)} proposed something other than to leave."
        )
    return handshake


def check_devices(
    leaves: Iterable[Leaf],
    knowledge: Knowledge,
    allowed: tuple[Standing, ...] = (Standing.ACTIVE,),
) -> None:
    """Returns if every leaf is a device that its account's chain has, in one of the `allowed`
    standings. Raises `Refused` M2, and `Need` for all that is not known at once.
    """
    needed: set[bytes] = set()
    for account, device in leaves:
        try:
            standing = knowledge.device(account, device)
        except Need as need:
            needed |= need.accounts
            continue
        if standing not in allowed:
            why = "has been revoked" if standing == Standing.REVOKED else "is not in the directory"
            raise Refused(
                "M2",
                f"Somebody tried to bring in a device ({short((account, device))}) that {why}.",
            )
    if needed:
        raise Need(needed)


def check_forward(present: Context, new: Context, knowledge: Knowledge) -> None:
    """Returns if `new` is a logged context later than `present`. Raises `Refused` M3; `Need`."""
    old_place, new_place = knowledge.context(present), knowledge.context(new)
    if new_place <= old_place or new_place[1] < old_place[1]:
        raise Refused(
            "M3", "A member tried to take this conversation back to an older charter or keyset."
        )


def check_joining(roster: Iterable[Leaf], me: Leaf, context: Context, knowledge: Knowledge) -> None:
    """Returns if a conversation that this device was brought into may be entered. Raises `Refused`
    M4; `Need`.
    """
    leaves = list(roster)
    if me not in leaves:
        raise Refused("M4", "Somebody invited this device into a conversation in which it is not.")
    try:
        knowledge.context(context)
        # A device revoked but not yet removed keeps nobody out: the next sender removes it, and F3
        # refuses what it sends.
        others = [leaf for leaf in leaves if leaf != me]
        check_devices(others, knowledge, (Standing.ACTIVE, Standing.REVOKED))
    except Refused as refused:
        raise Refused("M4", f"An invitation was not followed: {refused.message}") from refused


def short(leaf: Leaf) -> str:
    """A device in words: the first half of a dozen digits of account and device."""
    return f"{leaf[0].hex()[:8]}/{leaf[1].hex()[:8]}"
