"""Entering the conversations that this device was invited to: the inbox's welcomes, in order.

An invitation that a rule refuses (M4) is noted with its sentence and not followed.
"""

from __future__ import annotations

from counterseal import failpoint
from counterseal.client import handshakes
from counterseal.client.policy import check_joining
from counterseal.client.receiving import run_step
from counterseal.client.session import Session
from counterseal.client.states import LIVE, ConversationState
from counterseal.client.store.device_store import DeviceStore
from counterseal.describe.charter import summarise_charter
from counterseal.protocol.errors import Refused
from counterseal.wire.events import INBOX, InboxWelcome


async def take_inbox(session: Session) -> int:
    """Takes the whole inbox in; returns how many entries there were.

    Raises what looking up raises.
    """
    done = 0
    while True:
        with session.store() as store:
            after = store.settings.inbox or 0
        page = await session.service.call(INBOX, after=after)
        fresh = [entry for entry in page.entries if entry.n > after]
        for entry in fresh:

            def step(store: DeviceStore, entry: InboxWelcome = entry) -> None:
                _take(session, store, entry)

            await run_step(session, step)
        done += len(fresh)
        if not fresh:
            return done


def _take(session: Session, store: DeviceStore, entry: InboxWelcome) -> None:
    """Joins by one welcome, in one transaction with the inbox's cursor."""
    try:
        with store.transaction():
            if not _is_in_already(store, entry):
                _join(session, store, entry)
            store.settings.inbox = entry.n
            failpoint.reach("join.before-commit")
    except Refused as refused:
        with store.transaction():
            store.settings.inbox = entry.n
            _note_refusal(session, store, entry, refused)
    failpoint.reach("join.after")


def _is_in_already(store: DeviceStore, entry: InboxWelcome) -> bool:
    known = store.conversations.find(entry.conversation_id)
    return known is not None and known.state in LIVE and known.cursor >= entry.commit_n


def _join(session: Session, store: DeviceStore, entry: InboxWelcome) -> None:
    """Joins, or raises `Refused` M2, M3, M4, "mls"; `Need`."""
    # what is left of an earlier stay: its past cannot be read on
    if entry.conversation_id in store.device.groups():
        store.device.group_forget(entry.conversation_id)

    view = store.device.group_join(entry.welcome, entry.tree)
    if view.conversation != entry.conversation_id:
        raise Refused(
            "M4",
            "An invitation leads to another conversation than the service said;"
            " it was not followed.",
        )
    knowledge = session.directory.knowledge(store)
    check_joining(view.roster, session.me, handshakes.context_of(view), knowledge)
    store.device.group_accept(entry.conversation_id)
    store.conversations.enter(
        entry.conversation_id, "", entry.commit_n, view.charter_digest, session.started
    )

    others = [account for account, _ in view.roster if account != session.me[0]]
    names = handshakes.account_names(store, others)
    charter = session.directory.rules.charter(store, view.charter_digest)
    sentence = f"You are in this conversation from here on, with {names.join(others)}."
    store.messages.add_note(
        entry.conversation_id,
        None,
        None,
        f"{sentence} {summarise_charter(charter.charter, charter.digest)}",
    )


def _note_refusal(
    session: Session, store: DeviceStore, entry: InboxWelcome, refused: Refused
) -> None:
    if store.conversations.find(entry.conversation_id) is not None:
        return
    store.conversations.enter(entry.conversation_id, "", entry.commit_n, b"", session.started)
    store.conversations.set_state(entry.conversation_id, ConversationState.REFUSED, refused.message)
