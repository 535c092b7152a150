"""Making conversations and changing who is in them.

Every change is one MLS commit, and the service takes one commit an epoch. A device that loses that
race discards what it made, processes the winner, looks again whether there is still something to
do, and builds anew; never is an old commit sent twice into a new epoch. What a crash or a lost
answer leaves behind is settled first: the commit's bytes are kept until its event is seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from counterseal import failpoint
from counterseal.client import handshakes, sync
from counterseal.client.policy import Context, Need
from counterseal.client.session import Session
from counterseal.client.vault import Vault
from counterseal.core import _core
from counterseal.core._core import View
from counterseal.protocol import cbor
from counterseal.protocol.errors import (
    BadInput,
    Conflict,
    CountersealError,
    EpochConflict,
    NotFound,
    Refused,
    Unavailable,
)

_RACES = 16
_LEAF_KEPT = 30 * 86_400  # seconds of real time; key packages and leaves are good for 84 days
_KEYSET_EVERY = 5.0  # seconds of real time between looks for a keyset that is due


class Plan(msgspec.Struct, frozen=True):
    """What one commit is to do. Packages are key packages already verified; leaves are (account id,
    device key).
    """

    add: tuple[bytes, ...] = ()
    remove: tuple[tuple[bytes, bytes], ...] = ()
    recipients: tuple[bytes, ...] = ()
    context: Context | None = None
    needed: bool = True


Planner = Callable[[Vault, View], Plan | None]


async def create(session: Session, name: str) -> bytes:
    """A new conversation with this device alone in it; gives its id (16 bytes). `name` is this
    device's own word for it.
    """
    await session.directory.refresh()
    now = await session.now()
    conversation = os.urandom(16)
    with session.transaction() as vault:
        charter, quarter, keyset = _context(session, vault, now)
        group_info = vault.device.group_create(
            conversation, _core.DEFAULT_SUITE, charter, quarter, keyset
        )
        tree = vault.device.group_tree(conversation)
        vault.new_conversation(conversation, name, 0, charter, session.started)
        vault.set_state(conversation, "creating")
        vault.execute(
            "INSERT INTO client_commit (conversation, epoch, message, tree) VALUES (?, 0, ?, ?)",
            conversation,
            group_info,
            tree,
        )
        vault.add_line(conversation, None, None, session.directory.charter_words(vault, charter))
    failpoint.reach("commit.made")
    await _register(session, conversation)
    return conversation


def _context(session: Session, vault: Vault, now: int) -> Context:
    try:
        return session.directory.context(vault, now)
    except Need:
        raise Unavailable(
            "The service has no charter in force; nothing can be sent before there is one.",
            code="no-charter",
        ) from None


async def _register(session: Session, conversation: bytes) -> None:
    """Hands a new group to the service; one that has it already is as good, since the id is 16
    random bytes.
    """
    with session.vault() as vault:
        row = vault.one(
            "SELECT message, tree FROM client_commit WHERE conversation = ?", conversation
        )
    if row is None:
        return
    try:
        await session.service.create_conversation(row[0], row[1])
    except Conflict as conflict:
        if conflict.code != "conversation":
            raise
    with session.transaction() as vault:
        vault.execute("DELETE FROM client_commit WHERE conversation = ?", conversation)
        vault.execute(
            "UPDATE client_conversation SET state = 'active' WHERE id = ? AND state = 'creating'",
            conversation,
        )
    if session.watch is not None:
        await session.watch(conversation, 0)


async def add(session: Session, conversation: bytes, handles: Sequence[str]) -> None:
    """Brings in every device of the accounts that `handles` point to, each verified against the
    directory. Errors: NotFound, M2.
    """
    accounts = [await session.directory.find(handle) for handle in handles]
    await add_accounts(session, conversation, accounts)


async def add_accounts(session: Session, conversation: bytes, accounts: Sequence[bytes]) -> None:
    """See `add`; ids of accounts that were looked up."""
    with session.vault() as vault:
        leaves = [
            (account, device)
            for account in accounts
            for device in session.directory.devices(vault, account)
        ]
    await add_leaves(session, conversation, leaves)
    with session.vault() as vault:
        there = {account for account, _ in vault.device.group_view(conversation).roster}
        missing = [account for account in accounts if account not in there]
        if missing:
            raise NotFound(
                f"{handshakes.names(vault, missing)} cannot be added: no device has left a key package with the service.",
                code="no-key-package",
            )


async def add_leaves(
    session: Session, conversation: bytes, leaves: Sequence[tuple[bytes, bytes]]
) -> int:
    """Brings in those devices that have a key package with the service; gives how many it
    claimed.
    """
    with session.vault() as vault:
        view = vault.device.group_view(conversation)
    wanted = [leaf for leaf in leaves if leaf not in view.roster]
    if not wanted:
        return 0
    claimed = await session.service.claim([device for _, device in wanted])
    packages = {
        leaf: check_package(claimed[leaf[1]], leaf, view.suite)
        for leaf in wanted
        if leaf[1] in claimed
    }

    def plan(vault: Vault, present: View) -> Plan | None:
        still = [leaf for leaf in packages if leaf not in present.roster]
        return (
            Plan(
                add=tuple(packages[leaf] for leaf in still),
                recipients=tuple(leaf[1] for leaf in still),
            )
            if still
            else None
        )

    await change(session, conversation, plan)
    return len(packages)


def check_package(package: bytes, leaf: tuple[bytes, bytes], suite: int) -> bytes:
    """The key package again, if it is that device's and of the group's suite. Raises `Refused` M2,
    "mls".
    """
    try:
        account, device, has, _, _ = _core.check_key_package(package)
    except _core.CoreError as error:
        raise Refused(
            error.code, f"A key package that the service handed out is no good: {error.message}"
        ) from None
    if (account, device) != leaf:
        raise Refused(
            "M2",
            "The service handed out a key package of another device than was asked for; nobody was added.",
        )
    if has != suite:
        raise BadInput(
            "That device speaks another MLS suite than this conversation; update its app, or start a new one.",
            code="suite",
        )
    return package


async def remove(session: Session, conversation: bytes, account: bytes) -> None:
    """Removes every device of an account. Errors: NotFound when it is not there."""
    if account == session.me[0]:
        raise BadInput("Use `conversation leave` to leave; one cannot remove oneself.", code="self")
    done = await remove_leaves(session, conversation, lambda leaf: leaf[0] == account)
    if not done:
        raise NotFound("Nobody of that account is in this conversation.", code="not-a-member")


async def remove_leaves(
    session: Session, conversation: bytes, gone: Callable[[tuple[bytes, bytes]], bool]
) -> bool:
    """Removes the leaves that `gone` names; gives whether there were any."""
    there = False

    def plan(vault: Vault, present: View) -> Plan | None:
        nonlocal there
        leaves = tuple(leaf for leaf in present.roster if leaf != session.me and gone(leaf))
        there = there or bool(leaves)
        return Plan(remove=leaves) if leaves else None

    await change(session, conversation, plan)
    return there


async def leave(session: Session, conversation: bytes) -> None:
    """Proposes to be removed; the next active member's commit does it. A group of one is simply
    left.
    """
    await sync.catch_up(session, conversation)
    with session.transaction() as vault:
        state = vault.state(conversation)
        if state not in ("active", "leaving"):
            raise BadInput(f"This conversation is {state} already.", code=f"conversation-{state}")
        if vault.device.group_view(conversation).roster == [session.me]:
            vault.set_state(conversation, "left", "You have left this conversation.")
            return
        vault.set_state(conversation, "leaving")
    await _propose(session, conversation)
    await sync.catch_up(session, conversation)


async def _propose(session: Session, conversation: bytes) -> None:
    """Hands in the proposal of this epoch, making it if there is none."""
    for _ in range(_RACES):
        with session.transaction() as vault:
            if vault.state(conversation) != "leaving":
                return
            message, epoch = _own_proposal(vault, conversation)
        try:
            await session.service.propose(conversation, epoch, message)
            return
        except EpochConflict:
            await sync.catch_up(session, conversation)
    raise Conflict(
        "The conversation changes too fast to leave it now; leaving goes on with the next synchronisation.",
        code="epoch",
    )


def _own_proposal(vault: Vault, conversation: bytes) -> tuple[bytes, int]:
    epoch = vault.device.group_view(conversation).epoch
    row = vault.one(
        "SELECT message FROM client_proposal WHERE conversation = ? AND own = 1 AND epoch = ?",
        conversation,
        epoch,
    )
    if row is not None:
        return row[0], epoch
    message = vault.device.group_leave(conversation)
    vault.execute(
        "INSERT INTO client_proposal (conversation, message, epoch, own) VALUES (?, ?, ?, 1)",
        conversation,
        message,
        epoch,
    )
    return message, epoch


async def settle(session: Session, conversation: bytes) -> None:
    """Finishes what a crash, a lost answer or a leaving member left: called after catching up."""
    with session.vault() as vault:
        waiting = (
            vault.one("SELECT epoch FROM client_commit WHERE conversation = ?", conversation)
            is not None
        )
        idle = vault.state(conversation) == "active" and not waiting
        idle = (
            idle
            and vault.one("SELECT 1 FROM client_proposal WHERE conversation = ?", conversation)
            is None
        )
    # nearly always there is nothing to do, and then nobody has to wait for whoever is sending
    if not idle:
        async with session.changing():
            await _settle(session, conversation)


async def _settle(session: Session, conversation: bytes) -> None:
    with session.vault() as vault:
        state = vault.state(conversation)
        waiting = (
            vault.one("SELECT epoch FROM client_commit WHERE conversation = ?", conversation)
            is not None
        )
    if state == "creating":
        await _register(session, conversation)
    elif state == "leaving":
        await _propose(session, conversation)
    elif state == "active":
        if waiting:
            await _settle_commit(session, conversation)
        if _first_of_all(session, conversation):
            await change(
                session, conversation, lambda vault, view: tidy(session, vault, view, None)
            )


async def _settle_commit(session: Session, conversation: bytes) -> None:
    """A commit whose fate is not known: its event would have been seen, so it is offered once more,
    or given up.
    """
    await sync.catch_up(session, conversation)
    with session.vault() as vault:
        row = vault.one(
            "SELECT epoch, message, recipients, welcome, tree FROM client_commit WHERE conversation = ?",
            conversation,
        )
    if row is None:
        return
    try:
        await _offer(session, conversation, *row)
    except CountersealError as error:
        if isinstance(error, Unavailable):
            raise
        await sync.catch_up(session, conversation)
        _give_up(session, conversation)
    await sync.catch_up(session, conversation)


def _first_of_all(session: Session, conversation: bytes) -> bool:
    """Whether a leaving member's proposal waits and this device is the one that sorts first of
    those who stay.

    Any sender commits it before sending; this spares the service a race of all others, and the
    leaver a long wait.
    """
    with session.vault() as vault:
        leaving = {
            row[0]
            for row in vault.execute(
                "SELECT device FROM client_proposal WHERE conversation = ?", conversation
            )
        }
        if not leaving:
            return False
        staying = [
            leaf for leaf in vault.device.group_view(conversation).roster if leaf[1] not in leaving
        ]
        return bool(staying) and staying[0] == session.me


async def ready_to_send(session: Session, conversation: bytes) -> None:
    """Brings a conversation to where the next message may go into it: settled, under the charter
    and keyset of now, without devices that were revoked, and without members who have left. At most
    one commit. Errors: BadInput when nothing can be sent any more."""
    await session.directory.refresh_charters()
    with session.vault() as vault:
        state, waiting = (
            vault.state(conversation),
            vault.one("SELECT 1 FROM client_commit WHERE conversation = ?", conversation),
        )
    if waiting:
        await settle(session, conversation)
    if state not in ("active", "creating"):
        raise BadInput(
            f"Nothing can be sent in a conversation that is {state}.", code=f"conversation-{state}"
        )
    now = await session.now()
    with session.vault() as vault:
        behind = session.directory.behind(vault, now)
    if behind and session.due("keyset", _KEYSET_EVERY):
        await session.directory.refresh_charters(force=True)
    await change(session, conversation, lambda vault, view: tidy(session, vault, view, now))


def tidy(session: Session, vault: Vault, view: View, now: int | None) -> Plan | None:
    """What a sender sees to first: the context of `now`, revoked devices, proposals to leave. None
    when there is nothing.
    """
    context = None
    present = (view.charter_digest, view.quarter, view.keyset_digest)
    if now is not None:
        target = _context(session, vault, now)
        knowledge = session.directory.knowledge(vault)
        if (
            target != present
            and knowledge.context(target) > knowledge.context(present)
            and target[1] >= view.quarter
        ):
            context = target
    revoked = tuple(leaf for leaf in view.roster if leaf != session.me and _is_revoked(vault, leaf))
    proposals = vault.one(
        "SELECT 1 FROM client_proposal WHERE conversation = ? AND own = 0", view.conversation
    )
    refresh = vault.get(f"refresh:{view.conversation.hex()}") or (
        now is not None and _leaf_is_old(vault, view.conversation)
    )
    if context is None and not revoked and proposals is None and not refresh:
        return None
    return Plan(remove=revoked, context=context)


def _leaf_is_old(vault: Vault, conversation: bytes) -> bool:
    """Whether this device's leaf is due for a new one: leaves expire, and what was stolen with an
    old one is of no use after.
    """
    made = vault.get(f"leaf:{conversation.hex()}") or vault.count(
        "SELECT created FROM client_conversation WHERE id = ?", (conversation,)
    )
    return time.time() - int(made) > _LEAF_KEPT


def _is_revoked(vault: Vault, leaf: tuple[bytes, bytes]) -> bool:
    return (
        vault.one(
            "SELECT 1 FROM client_account_device WHERE device = ? AND revoked IS NOT NULL", leaf[1]
        )
        is not None
    )


async def change(session: Session, conversation: bytes, planner: Planner) -> None:
    """Makes the commit that `planner` asks for on the view of the moment, until it is accepted or
    nothing is left to do.

    Errors: Conflict after 16 lost races; those of the service; BadInput for a conversation that is
    over.
    """
    async with session.changing():
        await _change(session, conversation, planner)


async def _change(session: Session, conversation: bytes, planner: Planner) -> None:
    for _ in range(_RACES):
        made = _make(session, conversation, planner)
        if made is None:
            return
        failpoint.reach("commit.made")
        try:
            await _offer(session, conversation, *made)
        except EpochConflict:
            await sync.catch_up(session, conversation)
            # the winner's event discards it; this is for a service that shows none
            _give_up(session, conversation)
            continue
        except Unavailable:
            raise  # nobody knows whether it was accepted: settled at the next occasion
        except CountersealError:
            _give_up(session, conversation)
            raise
        failpoint.reach("commit.posted")
        await sync.catch_up(session, conversation)
        return
    raise Conflict(
        "Others change this conversation faster than this device can; try again.", code="epoch"
    )


def _make(
    session: Session, conversation: bytes, planner: Planner
) -> tuple[int, bytes, bytes | None, bytes | None, bytes] | None:
    """One commit and everything needed to offer it again, in one transaction."""
    with session.transaction() as vault:
        if (
            vault.one("SELECT 1 FROM client_commit WHERE conversation = ?", conversation)
            is not None
        ):
            raise Unavailable(
                "An earlier change of this conversation is not settled yet; synchronise and try again.",
                code="unsettled",
            )
        plan = planner(vault, vault.device.group_view(conversation))
        if plan is None:
            return None
        commit = vault.device.group_commit(
            conversation, list(plan.add), list(plan.remove), plan.context
        )
        recipients = cbor.encode(list(plan.recipients)) if plan.recipients else None
        row = (commit.epoch, commit.message, recipients, commit.welcome, commit.tree)
        vault.execute(
            "INSERT INTO client_commit (conversation, epoch, message, recipients, welcome, tree) VALUES (?, ?, ?, ?, ?, ?)",
            conversation, *row,
        )  # fmt: skip
    return row


async def _offer(
    session: Session,
    conversation: bytes,
    epoch: int,
    message: bytes,
    recipients: bytes | None,
    welcome: bytes | None,
    tree: bytes,
) -> None:
    beside: list[Any] | None = None
    if recipients is not None and welcome is not None:
        beside = [cbor.decode(recipients, 1 << 20), welcome, tree]
    await session.service.commit(conversation, epoch, message, beside)


def _give_up(session: Session, conversation: bytes) -> None:
    """Discards a commit that will not come to pass, if it is still there."""
    with session.transaction() as vault:
        if vault.one("SELECT 1 FROM client_commit WHERE conversation = ?", conversation) is None:
            return
        vault.device.group_discard(conversation)
        vault.execute("DELETE FROM client_commit WHERE conversation = ?", conversation)


def resolve(vault: Vault, words: str) -> bytes:
    """The conversation that a person means: by its name, or by at least 4 digits of its id. Errors:
    NotFound, BadInput.
    """
    rows = vault.execute("SELECT id, name FROM client_conversation WHERE state != 'refused'")
    found = [cid for cid, name in rows if name == words] or [
        cid for cid, _ in rows if len(words) >= 4 and cid.hex().startswith(words.lower())
    ]
    if not found:
        raise NotFound(
            f"There is no conversation {words}; `counterseal conversation list` shows them.",
            code="no-conversation",
        )
    if len(found) > 1:
        raise BadInput(
            f"{words} means {len(found)} conversations; give more digits of the one you mean.",
            code="ambiguous",
        )
    return bytes(found[0])
