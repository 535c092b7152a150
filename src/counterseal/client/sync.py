"""Catching up: welcomes, then each conversation's events strictly in order, one transaction a
handshake or a run of frames.

The cursor, the MLS state and the history's row move together, so a crash shows nothing twice and
loses nothing. A device that was away for a week does the same as one that blinked, only more often.
What a step needs to know of the directory and does not (policy.Need) is looked up with its proofs
after the step was rolled back; then the step is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from counterseal import failpoint
from counterseal.client import conversations, handshakes, history, windows
from counterseal.client.answers import COMMIT, FRAME, PROPOSAL, Event, Welcome
from counterseal.client.periods import pack_pending, prove_inclusion, unpack_pending
from counterseal.client.policy import Need, check_joining
from counterseal.client.session import Session
from counterseal.client.vault import Vault, translated
from counterseal.core._core import CoreError, Opened
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.errors import (
    CountersealError,
    NotAuthorised,
    NotFound,
    Refused,
    Unavailable,
)
from counterseal.protocol.frame import Content
from counterseal.protocol.window import Label

PAGE = 500
_FRAMES_AT_ONCE = (
    # frames that share one transaction: a flush of the disk each would be most of the time of
    # catching up
    32
)
_LOOKUPS = (
    # how often one step may ask for more: accounts, then charters, then accounts again is the
    # longest there is
    4
)
_LIVE = ("active", "leaving")


async def everything(session: Session) -> None:
    """One whole synchronisation: directory, inbox, every conversation, pending frames, and the
    erasure of old keys.
    """
    now = await session.now(fresh=True)
    await session.directory.refresh()
    await inbox(session)
    with session.vault() as vault:
        live, creating = vault.conversations(*_LIVE), vault.conversations("creating")
    for conversation in creating:
        await conversations.settle(session, conversation)
    failed: Refused | None = None
    for conversation in [*live, *creating]:
        try:
            await catch_up(session, conversation)
            await conversations.settle(session, conversation)
        # one conversation that the service garbles must not hide the others
        except Refused as refused:
            failed = failed or refused
    await pending(session)
    with session.transaction() as vault:
        windows.erase(vault, now)
    if failed is not None:
        raise failed


async def inbox(session: Session) -> int:
    """Enters the conversations that this device was brought into; gives how many entries there
    were.
    """
    done = 0
    while True:
        with session.vault() as vault:
            after = vault.get("inbox") or 0
        page = await session.service.inbox(after)
        fresh = [entry for entry in page.entries if entry.n > after]
        for entry in fresh:
            await _step(session, lambda vault, entry=entry: _enter(session, vault, entry))  # type: ignore[misc]
        done += len(fresh)
        if not fresh:
            return done


def _enter(session: Session, vault: Vault, entry: Welcome) -> None:
    """Joins by one welcome, in a transaction; a bad one is noted with its sentence and not followed
    (M4).
    """
    try:
        with vault.transaction():
            if not _stands_already(vault, entry):
                _join(session, vault, entry)
            vault.put("inbox", entry.n)
            failpoint.reach("join.before-commit")
    except Refused as refused:
        with vault.transaction():
            vault.put("inbox", entry.n)
            if (
                vault.one("SELECT 1 FROM client_conversation WHERE id = ?", entry.conversation)
                is None
            ):
                vault.new_conversation(entry.conversation, "", entry.commit, b"", session.started)
                vault.set_state(entry.conversation, "refused", refused.message)
    failpoint.reach("join.after")


def _stands_already(vault: Vault, entry: Welcome) -> bool:
    row = vault.one(
        "SELECT state, cursor FROM client_conversation WHERE id = ?", entry.conversation
    )
    return row is not None and row[0] in _LIVE and row[1] >= entry.commit


def _join(session: Session, vault: Vault, entry: Welcome) -> None:
    if entry.conversation in vault.device.groups():
        # what is left of an earlier stay: its past cannot be read on
        vault.device.group_forget(entry.conversation)
    view = vault.device.group_join(entry.welcome, entry.tree)
    if view.conversation != entry.conversation:
        raise Refused(
            "M4",
            "An invitation leads to another conversation than the service said; it was not followed.",
        )
    knowledge = session.directory.knowledge(vault)
    check_joining(
        view.roster, session.me, (view.charter_digest, view.quarter, view.keyset_digest), knowledge
    )
    vault.device.group_accept(entry.conversation)
    vault.new_conversation(
        entry.conversation, "", entry.commit, view.charter_digest, session.started
    )
    words = handshakes.names(
        vault, [account for account, _ in view.roster if account != session.me[0]]
    )
    line = f"You are in this conversation from here on, with {words}. {session.directory.charter_words(vault, view.charter_digest)}"
    vault.add_line(entry.conversation, None, None, line)


async def catch_up(session: Session, conversation: bytes) -> int:
    """Processes a conversation's events up to its last one; gives how many there were."""
    done = 0
    while True:
        with session.vault() as vault:
            if vault.state(conversation) not in _LIVE:
                return done
            after = vault.cursor(conversation)
        try:
            page = await session.service.events(conversation, after, PAGE)
        except (NotAuthorised, NotFound) as error:
            return _cast_out(session, conversation, error, done)
        done += await process(session, conversation, page.events)
        with session.vault() as vault:
            if vault.cursor(conversation) >= page.last or not page.events:
                return done


def _cast_out(session: Session, conversation: bytes, error: CountersealError, done: int) -> int:
    """The service says that this device is in the conversation no longer; without the commit that
    says so, that is a claim.
    """
    with session.transaction() as vault:
        vault.execute(
            "UPDATE client_conversation SET sentence = ? WHERE id = ?", error.message, conversation
        )
    return done


async def process(session: Session, conversation: bytes, events: Sequence[Event]) -> int:
    """Takes in a run of events in order; those that the cursor has passed are skipped. Gives how
    many were new. Errors: Refused.
    """
    newest = max((event.time for event in events), default=0)
    now = await session.now(at_least=newest)
    with session.vault() as vault:
        cursor = vault.cursor(conversation)
    fresh = [event for event in events if event.n > cursor]
    for at, event in enumerate(fresh):
        if event.n != cursor + 1 + at:
            raise Refused(
                "E6",
                f"The service left out event {cursor + 1 + at} of this conversation; nothing was taken in.",
            )
    done = 0
    while done < len(fresh):
        batch = _batch(fresh[done:])
        await _step(
            session, partial(_take, session, conversation=conversation, events=batch, now=now)
        )
        done += len(batch)
        with session.vault() as vault:
            if vault.state(conversation) not in _LIVE:
                break
    return done


def _batch(events: Sequence[Event]) -> Sequence[Event]:
    """The frames that go into one transaction, or the one handshake: what comes after a handshake
    depends on how that was judged.
    """
    frames = next((at for at, event in enumerate(events) if event.kind != FRAME), len(events))
    return events[: min(max(frames, 1), _FRAMES_AT_ONCE)]


async def _step(session: Session, step: Callable[[Vault], None]) -> None:
    """Does one step, looking up what it needs in between. Errors: Unavailable when looking up does
    not end it.
    """
    session.directory.begin_step()
    for _ in range(_LOOKUPS):
        try:
            with session.vault() as vault:
                step(vault)
            return
        except Need as need:
            missing = need
        await session.directory.learn(missing)
    raise Unavailable(
        "The directory does not settle; what comes next in this conversation waits until it does.",
        code="directory",
    )


def _take(
    session: Session, vault: Vault, conversation: bytes, events: Sequence[Event], now: int
) -> None:
    """A batch, whole: its effect and the cursor in one transaction. Another process of this device
    may have been quicker with some of it.
    """
    cursor = vault.cursor(conversation)
    events = [event for event in events if event.n > cursor]
    if not events or events[0].n != cursor + 1:
        return
    first = events[0]
    if first.kind in (COMMIT, PROPOSAL):
        handshakes.take(session, vault, conversation, first)
    else:
        with vault.transaction():
            for event in events:
                # another kind is of a later version: not for this one to judge
                if event.kind == FRAME:
                    _take_frame(session, vault, conversation, event, now)
                vault.set_cursor(conversation, event.n)
            failpoint.reach("event.before-commit")
    failpoint.reach("event.after")


def _take_frame(
    session: Session, vault: Vault, conversation: bytes, event: Event, now: int
) -> None:
    """A frame: one's own is acknowledged by its bytes, another's is opened and judged (F1 to F12).

    A refusal is written down in the same transaction, with the ratchet as MLS left it, so that the
    conversation goes on.
    """
    own = history.find_own(vault, H([tag("message"), event.message]))
    if own is not None:
        history.acknowledge(vault, own, event.n, event.time)
        return
    try:
        _show(session, vault, conversation, event, _opened(vault, conversation, event, now))
    except Refused as refused:
        history.refuse(vault, conversation, event.n, event.time, rule_of(refused))


def _opened(vault: Vault, conversation: bytes, event: Event, now: int) -> Opened:
    try:
        return vault.device.frame_open(conversation, event.message, now)
    except CoreError as error:
        # a view whose charter or keyset is not registered: ours to mend, not the sender's fault
        if error.code == "usage":
            raise Need(charters=True) from None
        raise translated(error) from None


def rule_of(refused: Refused) -> str:
    """The number that is shown: what MLS itself refuses is F1, a difference in the counterseal
    F5.
    """
    return {"mls": "F1", "S2": "F5"}.get(refused.code, refused.code)


def _show(
    session: Session, vault: Vault, conversation: bytes, event: Event, opened: Opened
) -> None:
    """The row of an opened frame. Raises `Refused` F3 for a device that its account has revoked, F7
    for content of another form.
    """
    if opened.duplicate:  # F8: the same frame again
        return
    if (
        session.directory.knowledge(vault, event.time).device(opened.account_id, opened.device_key)
        == "revoked"
    ):
        raise Refused("F3", "The frame is by a device that its account has revoked.")
    try:
        content = Content.decode(opened.content)
    except Refused as error:
        raise Refused("F7", error.message) from None
    columns = {
        "n": event.n, "kind": content.kind, "account": opened.account_id, "device": opened.device_key,
        "sent_at_ms": opened.sent_at_ms, "stamp": event.time, "text": content.text, "gap": opened.gap,
        "state": "shown" if opened.current else "pending", "window": opened.window_id, "seq": opened.seq,
        "raw": None if opened.current else pack_pending(event.message, Label.decode(opened.label).opens),
    }  # fmt: skip
    history.add_attachments(vault, vault.add_message(conversation, columns), content.attachments)


class _Waiting(msgspec.Struct, frozen=True):
    message: int
    conversation: bytes
    window: bytes
    seq: int
    raw: bytes


async def pending(session: Session) -> int:
    """Asks for the inclusion of every pending frame (F11) and shows those that are proved; gives
    how many still wait.
    """
    with session.vault() as vault:
        rows = vault.execute(
            "SELECT id, conversation, window, seq, raw FROM client_message WHERE state = 'pending' ORDER BY id"
        )
    left = 0
    for waiting in (_Waiting(*row) for row in rows):
        left += not await _settle_one(session, waiting)
    return left


async def _settle_one(session: Session, waiting: _Waiting) -> bool:
    try:
        answer = await session.service.inclusion(waiting.conversation, waiting.window, waiting.seq)
        message, opens = unpack_pending(waiting.raw)
        await prove_inclusion(
            session.directory, waiting.window, waiting.seq, opens, message, answer
        )
    except (NotFound, NotAuthorised, Unavailable):
        return False
    except CountersealError as error:
        with session.transaction() as vault:
            vault.execute(
                "UPDATE client_message SET rule = ? WHERE id = ?", error.code, waiting.message
            )
        return False
    with session.transaction() as vault:
        vault.execute(
            "UPDATE client_message SET state = 'shown', raw = NULL, rule = NULL WHERE id = ?",
            waiting.message,
        )
    return True
