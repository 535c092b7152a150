"""Commits and proposals as they come: staged by MLS, judged by policy.py, then accepted, or refused
for good.

A commit that this app must not follow leaves it no way on: everybody else's group has moved. The
conversation is then marked broken, with the sentence that says why, nothing of the commit is kept,
and nothing more is sent into it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from counterseal import failpoint
from counterseal.client.answers import PROPOSAL, Event
from counterseal.client.policy import Handshake, Leaf, judge
from counterseal.client.session import Session
from counterseal.client.vault import Vault
from counterseal.core._core import Staged, View
from counterseal.protocol.errors import Refused


def take(session: Session, vault: Vault, conversation: bytes, event: Event) -> None:
    """One handshake event, whole. Raises `policy.Need`, after which nothing of it has happened."""
    try:
        with vault.transaction():
            if event.kind == PROPOSAL:
                _take_proposal(session, vault, conversation, event)
            else:
                _take_commit(session, vault, conversation, event)
            vault.set_cursor(conversation, event.n)
            failpoint.reach("event.before-commit")
    except Refused as refused:
        code = "M6" if refused.code == "mls" else refused.code
        with vault.transaction():
            _break(vault, conversation, event, Refused(code, refused.message))


def _break(vault: Vault, conversation: bytes, event: Event, why: Refused) -> None:
    sentence = f"This conversation ends here for this device: {why.message} [{why.code}]"
    vault.set_state(conversation, "broken", sentence)
    vault.set_cursor(conversation, event.n)
    vault.add_line(conversation, event.n, event.time, sentence)


def _take_proposal(session: Session, vault: Vault, conversation: bytes, event: Event) -> None:
    view = vault.device.group_view(conversation)
    row = vault.one(
        "SELECT own FROM client_proposal WHERE conversation = ? AND message = ?",
        conversation,
        event.message,
    )
    if row is not None:  # one's own: the group holds it since it was made
        return
    staged = vault.device.group_stage(conversation, event.message)
    proposed = judge(
        _handshake(staged),
        view.roster,
        _context(view),
        session.directory.knowledge(vault, event.time),
    )
    vault.device.group_accept(conversation)
    vault.execute(
        "INSERT INTO client_proposal (conversation, message, epoch, own, device) VALUES (?, ?, ?, 0, ?)",
        conversation, event.message, view.epoch, proposed.committer[1],
    )  # fmt: skip


def _take_commit(session: Session, vault: Vault, conversation: bytes, event: Event) -> None:
    before = vault.device.group_view(conversation)
    mine = vault.one("SELECT message FROM client_commit WHERE conversation = ?", conversation)
    proposed = {
        row[0]
        for row in vault.execute(
            "SELECT device FROM client_proposal WHERE conversation = ?", conversation
        )
    }
    vault.execute("DELETE FROM client_commit WHERE conversation = ?", conversation)
    vault.execute("DELETE FROM client_proposal WHERE conversation = ?", conversation)
    if mine is not None and mine[0] == event.message:
        after = vault.device.group_merge(conversation)
        vault.execute("DELETE FROM client_setting WHERE name = ?", f"refresh:{conversation.hex()}")
        vault.put(f"leaf:{conversation.hex()}", int(time.time()))
        committer = session.me
    else:
        # the race for this epoch is lost: what was made for it is of no use any more
        if mine is not None:
            vault.device.group_discard(conversation)
        staged = vault.device.group_stage(conversation, event.message)
        handshake = judge(
            _handshake(staged),
            before.roster,
            _context(before),
            session.directory.knowledge(vault, event.time),
        )
        committer = handshake.committer
        if staged.removes_me:
            _gone(vault, conversation, event, committer)
            return
        after = vault.device.group_accept(conversation)
    _tell(session, vault, conversation, event, committer, before, after, proposed)


def _gone(vault: Vault, conversation: bytes, event: Event, committer: Leaf) -> None:
    """This device was removed, or has left: what it read stays readable, nothing more will come."""
    leaving = vault.state(conversation) == "leaving"
    vault.device.group_accept(conversation)
    line = (
        "You have left this conversation."
        if leaving
        else f"{names(vault, [committer[0]])} removed this device from this conversation."
    )
    vault.set_state(conversation, "left", line)
    # what could not be sent any more is told as such
    vault.execute("DELETE FROM client_outbox WHERE conversation = ?", conversation)
    vault.execute(
        "UPDATE client_message SET state = 'unsent' WHERE conversation = ? AND state = 'queued'",
        conversation,
    )
    vault.add_line(conversation, event.n, event.time, line)


def _tell(
    session: Session,
    vault: Vault,
    conversation: bytes,
    event: Event,
    committer: Leaf,
    before: View,
    after: View,
    proposed: set[bytes],
) -> None:
    """The app's own line for a commit that changes who reads, or under which charter. A change of
    charter is always told (section 2).
    """
    came, went = set(after.roster) - set(before.roster), set(before.roster) - set(after.roster)
    sentences = changes(vault, committer, came, went, before.roster, after.roster, proposed)
    if after.charter_digest != before.charter_digest:
        sentences.append(
            "A new charter applies from here on. "
            + session.directory.charter_words(vault, after.charter_digest)
        )
        vault.execute(
            "UPDATE client_conversation SET charter = ? WHERE id = ?",
            after.charter_digest,
            conversation,
        )
    if sentences:
        vault.add_line(conversation, event.n, event.time, " ".join(sentences))


def changes(
    vault: Vault,
    committer: Leaf,
    came: set[Leaf],
    went: set[Leaf],
    before: Iterable[Leaf],
    after: Iterable[Leaf],
    proposed: set[bytes],
) -> list[str]:
    """A commit in words: accounts that come and go by name, further devices of accounts that stay
    as such.

    `proposed` are the devices that asked to be removed themselves.
    """
    were, are = {account for account, _ in before}, {account for account, _ in after}
    who = names(vault, [committer[0]])
    sentences = []
    new = sorted({account for account, _ in came} - were)
    left = sorted({account for account, device in went if device in proposed} - are)
    gone = sorted({account for account, _ in went} - are - set(left))
    if new:
        sentences.append(f"{who} added {names(vault, new)}.")
    if left:
        sentences.append(f"{names(vault, left)} left.")
    if gone:
        sentences.append(f"{who} removed {names(vault, gone)}.")
    further, fewer = (
        sorted({account for account, _ in came} & were),
        sorted({account for account, _ in went} & are),
    )
    sentences += [
        f"{names(vault, [account])} reads with a further device from here on."
        for account in further
    ]
    sentences += [f"A device of {names(vault, [account])} was removed." for account in fewer]
    return sentences


def names(vault: Vault, accounts: Sequence[bytes]) -> str:
    """Accounts in words: handles where the directory gave one, else the first digits of the id."""
    me = vault.get("account")
    known = []
    for account in sorted(set(accounts)):
        row = vault.one("SELECT handle FROM client_account WHERE account = ?", account)
        handle = vault.get("handle") if account == me else row[0] if row else None
        known.append(str(handle) if handle else account.hex()[:8])
    return ", ".join(known) if known else "nobody else"


def _handshake(staged: Staged) -> Handshake:
    return Handshake(
        staged.kind, staged.committer, tuple(staged.added), tuple(staged.removed), staged.context
    )


def _context(view: View) -> tuple[bytes, int, bytes]:
    return view.charter_digest, view.quarter, view.keyset_digest
