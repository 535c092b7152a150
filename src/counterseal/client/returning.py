"""Bringing back those who lost every device and came back with another (recovery.py).

Their account's chain says it: what it had is revoked, and a device that it has now is in no
conversation. That device can ask nobody, since it knows of none; so the others look at the chains
of those they talk with, and the first device of those who stay brings it in; if that one is away,
the second after an hour, and so on. The new device reads from then on, and the history says what
happened.
"""

from __future__ import annotations

import contextlib
import time

from counterseal.client import membership
from counterseal.client.policy import Leaf
from counterseal.client.session import Session
from counterseal.client.states import ConversationState
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.upkeep import is_revoked
from counterseal.protocol.errors import CountersealError

_LOOK_EVERY = 3600.0  # seconds of real time between looks at others' chains
_KNOWN_FOR = 3600
_TURN = 3600
_AT_ONCE = 50  # accounts looked up in one turn


async def look(session: Session) -> None:
    """Looks again, hourly, at the chains of those in active conversations that were not looked at
    for an hour, some at a time. One that cannot be had now is left for the next turn.
    """
    if not session.due("members", _LOOK_EVERY):
        return
    with session.store() as store:
        old: dict[bytes, int] = {}
        for conversation in store.conversations.ids(ConversationState.ACTIVE):
            for account, _ in store.device.group_view(conversation).roster:
                known = store.accounts.account(account)
                at = known.checked_at if known else 0
                if account != session.me[0] and time.time() - at > _KNOWN_FOR:
                    old[account] = at
    for account in sorted(old, key=lambda one: old[one])[:_AT_ONCE]:
        with contextlib.suppress(CountersealError):
            await session.directory.accounts.learn(account)


async def bring_back_all(session: Session) -> None:
    """Brings in those who came back, in every conversation where it is this device's turn. The
    revoked devices leave with the next message (upkeep.py).
    """
    await look(session)
    with session.store() as store:
        active = store.conversations.ids(ConversationState.ACTIVE)
        rosters = {one: store.device.group_view(one).roster for one in active}
        work = {one: returned(store, session.me, roster) for one, roster in rosters.items()}
    for conversation, leaves in work.items():
        # one who cannot be brought in, for whatever reason, keeps nobody else waiting; it is tried
        # again with the next synchronisation
        with contextlib.suppress(CountersealError):
            if leaves:
                await membership.add_leaves(session, conversation, leaves)


def returned(store: DeviceStore, me: Leaf, roster: list[Leaf]) -> list[Leaf]:
    """The devices that it is this one's turn to bring in: of accounts all of whose devices in
    `roster` are revoked, added long enough ago for those who sort before this device to have had
    theirs.
    """
    staying = [leaf for leaf in roster if not is_revoked(store, leaf)]
    if me not in staying:
        return []
    turn = _TURN * staying.index(me)
    there = {account for account, _ in staying}
    gone = {account for account, _ in roster if account not in there}
    return [
        (account, row.device)
        for account in sorted(gone)
        for row in store.accounts.devices(account)
        if row.revoked is None and time.time() >= row.added + turn
    ]
