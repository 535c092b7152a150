"""Changing a conversation: one MLS commit a change, offered until its fate is known.

The service takes one commit an epoch. A device that loses that race discards what it made, takes in
the winner, looks again whether there is still something to do, and builds anew; never is an old
commit sent twice into a new epoch. What a crash or a lost answer leaves behind is settled first:
the commit's bytes are kept until its event is seen.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from counterseal import failpoint
from counterseal.client import receiving
from counterseal.client.policy import Context
from counterseal.client.session import Session
from counterseal.client.states import ConversationState
from counterseal.client.store.commits import CommitRow
from counterseal.client.store.device_store import DeviceStore
from counterseal.core._core import View
from counterseal.protocol import cbor
from counterseal.protocol.errors import Conflict, CountersealError, EpochConflict, Unavailable
from counterseal.wire.conversations import (
    COMMIT_POST,
    CONVERSATION_POST,
    PROPOSAL_POST,
    CommitWelcome,
    PostCommit,
    PostConversation,
    PostProposal,
)

RACES = 16
"""How often a change is made anew after another was first."""


class CommitPlan(msgspec.Struct, frozen=True):
    """What one commit is to do. `add` are key packages that were checked, `remove` (account id,
    device key) pairs, `recipients` the device keys that the welcome is for.
    """

    add: tuple[bytes, ...] = ()
    remove: tuple[tuple[bytes, bytes], ...] = ()
    recipients: tuple[bytes, ...] = ()
    context: Context | None = None


Planner = Callable[[DeviceStore, View], CommitPlan | None]
"""What is still to be done, looking at the group as it is now; None for nothing."""


async def change(session: Session, conversation: bytes, planner: Planner) -> None:
    """Makes the commit that `planner` asks for, until one is accepted or nothing is left to do.

    Raises `Conflict` after 16 lost races; `Unavailable` while an earlier commit is not settled;
    what the service raises.
    """
    async with session.changing():
        for _ in range(RACES):
            made = _make(session, conversation, planner)
            if made is None:
                return
            failpoint.reach("commit.made")
            try:
                await _offer(session, conversation, made)
            except EpochConflict:
                await receiving.catch_up(session, conversation)
                # the winner's event discards it; this is for a service that shows none
                _give_up(session, conversation)
                continue
            except Unavailable:
                # nobody knows whether it was accepted: settled at the next occasion
                raise
            except CountersealError:
                _give_up(session, conversation)
                raise
            failpoint.reach("commit.posted")
            await receiving.catch_up(session, conversation)
            return
    raise Conflict(
        "Others change this conversation faster than this device can; try again.", code="epoch"
    )


def _make(session: Session, conversation: bytes, planner: Planner) -> CommitRow | None:
    """Makes one commit and keeps everything needed to offer it again, in one transaction."""
    with session.transaction() as store:
        if store.commits.has_commit(conversation):
            raise Unavailable(
                "An earlier change of this conversation is not settled yet;"
                " synchronise and try again.",
                code="unsettled",
            )
        plan = planner(store, store.device.group_view(conversation))
        if plan is None:
            return None
        commit = store.device.group_commit(
            conversation, list(plan.add), list(plan.remove), plan.context
        )
        recipients = cbor.encode(list(plan.recipients)) if plan.recipients else None
        row = CommitRow(commit.epoch, commit.message, recipients, commit.welcome, commit.tree)
        store.commits.add_commit(conversation, row)
    return row


async def _offer(session: Session, conversation: bytes, commit: CommitRow) -> None:
    welcome = None
    recipients = commit.welcomed()
    if recipients is not None and commit.welcome is not None:
        welcome = CommitWelcome(recipients, commit.welcome, commit.tree)
    posted = PostCommit(commit.epoch, commit.message, welcome)
    await session.service.call(COMMIT_POST, posted, conversation=conversation)


def _give_up(session: Session, conversation: bytes) -> None:
    """Discards a commit that will not come to pass, if it is still there."""
    with session.transaction() as store:
        if store.commits.has_commit(conversation):
            store.device.group_discard(conversation)
            store.commits.drop_commit(conversation)


async def register(session: Session, conversation: bytes) -> None:
    """Hands a group that was created here to the service. One that has it already is as good, since
    the id is 16 random bytes.
    """
    with session.store() as store:
        group = store.commits.commit(conversation)
    if group is None:
        return
    try:
        await session.service.call(CONVERSATION_POST, PostConversation(group.message, group.tree))
    except Conflict as conflict:
        if conflict.code != "conversation":
            raise
    with session.transaction() as store:
        store.commits.drop_commit(conversation)
        store.conversations.finish_creating(conversation)
    if session.watch is not None:
        await session.watch(conversation, 0)


async def propose_to_leave(session: Session, conversation: bytes) -> None:
    """Hands in this epoch's proposal to remove this device, making it if there is none.

    Raises `Conflict` when the epochs change too fast; what the service raises.
    """
    for _ in range(RACES):
        with session.transaction() as store:
            if store.conversations.state(conversation) is not ConversationState.LEAVING:
                return
            message, epoch = _own_proposal(store, conversation)
        try:
            proposal = PostProposal(epoch, message)
            await session.service.call(PROPOSAL_POST, proposal, conversation=conversation)
            return
        except EpochConflict:
            await receiving.catch_up(session, conversation)
    raise Conflict(
        "The conversation changes too fast to leave it now;"
        " leaving goes on with the next synchronisation.",
        code="epoch",
    )


def _own_proposal(store: DeviceStore, conversation: bytes) -> tuple[bytes, int]:
    epoch = store.device.group_view(conversation).epoch
    message = store.commits.own_proposal(conversation, epoch)
    if message is None:
        message = store.device.group_leave(conversation)
        store.commits.add_own_proposal(conversation, message, epoch)
    return message, epoch


async def settle_commit(session: Session, conversation: bytes) -> None:
    """Ends the uncertainty about a commit: its event would have been seen, so it is offered once
    more, or given up.
    """
    await receiving.catch_up(session, conversation)
    with session.store() as store:
        commit = store.commits.commit(conversation)
    if commit is None:
        return
    try:
        await _offer(session, conversation, commit)
    except Unavailable:
        raise
    except CountersealError:
        await receiving.catch_up(session, conversation)
        _give_up(session, conversation)
    await receiving.catch_up(session, conversation)
