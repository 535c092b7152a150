"""Commits and proposals as they come: staged by MLS, judged by policy.py, then accepted, or refused
for good.

A commit that this app must not follow leaves it no way on: everybody else's group has moved. The
conversation is then marked broken, with the sentence that says why, nothing of the commit is kept,
and nothing more is sent into it.

| rule | refuses |
| --- | --- |
| M6 | a handshake that MLS refuses although the service took it |
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from counterseal import failpoint
from counterseal.client.policy import Context, Handshake, HandshakeKind, Leaf, judge
from counterseal.client.session import Session
from counterseal.client.states import ConversationState
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.wording import AccountNames, change_sentences
from counterseal.core._core import Staged, View
from counterseal.describe.charter import summarise_charter
from counterseal.protocol.errors import Refused
from counterseal.wire.events import PROPOSAL, ConversationEvent


def take(
    session: Session, store: DeviceStore, conversation: bytes, event: ConversationEvent
) -> None:
    """Takes one handshake in, whole. Raises `Need`, after which nothing of it has happened."""
    try:
        with store.transaction():
            if event.kind == PROPOSAL:
                _take_proposal(session, store, conversation, event)
            else:
                _take_commit(session, store, conversation, event)
            store.conversations.set_cursor(conversation, event.n)
            failpoint.reach("event.before-commit")
    except Refused as refused:
        code = "M6" if refused.code == "mls" else refused.code
        with store.transaction():
            _break(store, conversation, event, Refused(code, refused.message))


def _break(store: DeviceStore, conversation: bytes, event: ConversationEvent, why: Refused) -> None:
    sentence = f"This conversation ends here for this device: {why.message} [{why.code}]"
    store.conversations.set_state(conversation, ConversationState.BROKEN, sentence)
    store.conversations.set_cursor(conversation, event.n)
    store.messages.add_note(conversation, event.n, event.time, sentence)


def _take_proposal(
    session: Session, store: DeviceStore, conversation: bytes, event: ConversationEvent
) -> None:
    # one's own: the group has it since it was made
    if store.commits.has_proposal(conversation, event.message):
        return
    view = store.device.group_view(conversation)
    staged = store.device.group_stage(conversation, event.message)
    proposed = _judge(session, store, event, staged, view)
    store.device.group_accept(conversation)
    store.commits.add_proposal(conversation, event.message, view.epoch, proposed.committer[1])


class _Step(msgspec.Struct, frozen=True):
    """An accepted commit: by whom, and the group before and after."""

    committer: Leaf
    before: View
    after: View


def _take_commit(
    session: Session, store: DeviceStore, conversation: bytes, event: ConversationEvent
) -> None:
    before = store.device.group_view(conversation)
    mine = store.commits.commit(conversation)
    asked = store.commits.proposing_devices(conversation)
    store.commits.drop_commit(conversation)
    store.commits.drop_proposals(conversation)

    if mine is not None and mine.message == event.message:
        after = store.device.group_merge(conversation)
        store.settings.clear_refresh(conversation)
        store.settings.set_leaf_made(conversation, int(time.time()))
        _tell(session, store, event, _Step(session.me, before, after), asked)
        return

    # the race for this epoch is lost: what was made for it is of no use any more
    if mine is not None:
        store.device.group_discard(conversation)
    staged = store.device.group_stage(conversation, event.message)
    committer = _judge(session, store, event, staged, before).committer
    after = store.device.group_accept(conversation)
    if staged.removes_me:
        _end_membership(store, conversation, event, committer)
    else:
        _tell(session, store, event, _Step(committer, before, after), asked)


def _judge(
    session: Session, store: DeviceStore, event: ConversationEvent, staged: Staged, view: View
) -> Handshake:
    handshake = Handshake(
        HandshakeKind(staged.kind),
        staged.committer,
        tuple(staged.added),
        tuple(staged.removed),
        staged.context,
    )
    knowledge = session.directory.knowledge(store, event.time)
    return judge(handshake, view.roster, context_of(view), knowledge)


def _end_membership(
    store: DeviceStore, conversation: bytes, event: ConversationEvent, committer: Leaf
) -> None:
    """This device was removed, or has left: what it read stays readable, nothing more will come."""
    sentence = "You have left this conversation."
    if store.conversations.state(conversation) is not ConversationState.LEAVING:
        who = account_names(store, [committer[0]]).join([committer[0]])
        sentence = f"{who} removed this device from this conversation."
    store.conversations.set_state(conversation, ConversationState.LEFT, sentence)
    # what could not be sent any more is told as such
    store.outbox.clear(conversation)
    store.messages.set_unsent(conversation)
    store.messages.add_note(conversation, event.n, event.time, sentence)


def _tell(
    session: Session,
    store: DeviceStore,
    event: ConversationEvent,
    step: _Step,
    asked: Iterable[bytes | None],
) -> None:
    """Adds the app's own line for a commit that changes who reads, or under which charter. A change
    of charter is always told (section 2).
    """
    before, after = step.before, step.after
    changed = set(before.roster) ^ set(after.roster)
    names = account_names(store, {step.committer[0]} | {account for account, _ in changed})
    sentences = change_sentences(step.committer, before.roster, after.roster, asked, names)
    if after.charter_digest != before.charter_digest:
        charter = session.directory.rules.charter(store, after.charter_digest)
        summary = summarise_charter(charter.charter, charter.digest)
        sentences.append(f"A new charter applies from here on. {summary}")
        store.conversations.set_charter(after.conversation, after.charter_digest)
    if sentences:
        store.messages.add_note(after.conversation, event.n, event.time, " ".join(sentences))


def account_names(store: DeviceStore, accounts: Iterable[bytes]) -> AccountNames:
    """What this device calls some accounts: handles where the directory gave one."""
    handles = {account: store.accounts.handle(account) for account in accounts}
    me = store.settings.account
    if me is not None:
        handles[me] = store.settings.handle or ""
    return AccountNames(handles)


def context_of(view: View) -> Context:
    """The context that a group is in."""
    return view.charter_digest, view.quarter, view.keyset_digest
