"""Looking after a conversation: finishing what was left half done, and bringing it to where the
next message may go into it.
"""

from __future__ import annotations

import time

from counterseal.client import commits
from counterseal.client.commits import CommitPlan
from counterseal.client.handshakes import context_of
from counterseal.client.policy import Context, Leaf, Need
from counterseal.client.session import Session
from counterseal.client.states import ConversationState
from counterseal.client.store.device_store import DeviceStore
from counterseal.core._core import View
from counterseal.protocol.errors import BadInput, Unavailable

# seconds of real time; key packages and leaves are good for 84 days
_LEAF_KEPT = 30 * 86_400
# seconds of real time between looks for a keyset that is due
_KEYSET_EVERY = 5.0


async def settle(session: Session, conversation: bytes) -> None:
    """Finishes what a crash, a lost answer or a leaving member left: called after catching up."""
    with session.store() as store:
        state = store.conversations.state(conversation)
        idle = (
            state is ConversationState.ACTIVE
            and not store.commits.has_commit(conversation)
            and not store.commits.has_proposals(conversation)
        )
    # nearly always there is nothing to do, and then nobody has to wait for whoever is sending
    if idle:
        return
    async with session.changing():
        await _settle(session, conversation)


async def _settle(session: Session, conversation: bytes) -> None:
    with session.store() as store:
        state = store.conversations.state(conversation)
        waiting = store.commits.has_commit(conversation)
    if state is ConversationState.CREATING:
        await commits.register(session, conversation)
    elif state is ConversationState.LEAVING:
        await commits.propose_to_leave(session, conversation)
    elif state is ConversationState.ACTIVE:
        if waiting:
            await commits.settle_commit(session, conversation)
        if _is_first_of_those_who_stay(session, conversation):
            await commits.change(
                session, conversation, lambda store, view: plan_upkeep(session, store, view, None)
            )


def _is_first_of_those_who_stay(session: Session, conversation: bytes) -> bool:
    """Whether a leaving member's proposal waits and this device is the one that sorts first of
    those who stay.

    Any sender commits it before sending; this spares the service a race of all others, and the
    leaver a long wait.
    """
    with session.store() as store:
        leaving = store.commits.proposing_devices(conversation)
        if not leaving:
            return False
        roster = store.device.group_view(conversation).roster
    staying = [leaf for leaf in roster if leaf[1] not in leaving]
    return bool(staying) and staying[0] == session.me


async def make_ready(session: Session, conversation: bytes) -> None:
    """Brings a conversation to where the next message may go into it: settled, under the charter
    and keyset of now, without devices that were revoked, and without members who have left. At most
    one commit.

    Raises `BadInput` when nothing can be sent any more; `Unavailable` without a charter or keyset;
    what a change raises.
    """
    await session.directory.updates.refresh()
    with session.store() as store:
        state = store.conversations.state(conversation)
        waiting = store.commits.has_commit(conversation)
    if waiting:
        await settle(session, conversation)
    if state not in (ConversationState.ACTIVE, ConversationState.CREATING):
        raise BadInput(
            f"Nothing can be sent in a conversation that is {state}.", code=f"conversation-{state}"
        )

    now = await session.now()
    with session.store() as store:
        behind = session.directory.rules.is_behind(store, now)
    if behind and session.due("keyset", _KEYSET_EVERY):
        await session.directory.updates.refresh(force=True)
    await commits.change(
        session, conversation, lambda store, view: plan_upkeep(session, store, view, now)
    )


def plan_upkeep(
    session: Session, store: DeviceStore, view: View, now: int | None
) -> CommitPlan | None:
    """What a sender sees to first: the context of `now` (Unix seconds; None leaves it as it is),
    revoked devices, proposals to leave, an old leaf. None when there is nothing.
    """
    context = None if now is None else _newer_context(session, store, view, now)
    revoked = tuple(leaf for leaf in view.roster if leaf != session.me and is_revoked(store, leaf))
    refresh = store.settings.is_refresh_due(view.conversation) or (
        now is not None and _is_leaf_old(store, view.conversation)
    )
    proposals = store.commits.has_others_proposals(view.conversation)
    if context is None and not revoked and not proposals and not refresh:
        return None
    return CommitPlan(remove=revoked, context=context)


def _newer_context(session: Session, store: DeviceStore, view: View, now: int) -> Context | None:
    """The context of `now`, if it is later than the group's."""
    target, present = context_in_force(session, store, now), context_of(view)
    knowledge = session.directory.knowledge(store)
    if target == present or knowledge.context(target) <= knowledge.context(present):
        return None
    # a quarter never goes back, not even under a newer charter
    return target if target[1] >= view.quarter else None


def context_in_force(session: Session, store: DeviceStore, now: int) -> Context:
    """The context that a message is sealed under at `now`. Raises `Unavailable`, `Refused` C20."""
    try:
        return session.directory.rules.context(store, now)
    except Need:
        raise Unavailable(
            "The service has no charter in force; nothing can be sent before there is one.",
            code="no-charter",
        ) from None


def _is_leaf_old(store: DeviceStore, conversation: bytes) -> bool:
    """Whether this device's leaf is due for a new one: leaves expire, and what was stolen with an
    old one is of no use after.
    """
    made = store.settings.leaf_made(conversation)
    if not made:
        known = store.conversations.find(conversation)
        made = known.created if known else 0
    return time.time() - made > _LEAF_KEPT


def is_revoked(store: DeviceStore, leaf: Leaf) -> bool:
    """Whether the leaf's account has revoked its device, as far as this device knows."""
    device = store.accounts.device(leaf[1])
    return device is not None and device.revoked is not None
