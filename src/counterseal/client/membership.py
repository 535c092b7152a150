"""Making conversations and changing who is in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from counterseal import failpoint
from counterseal.client import commits, receiving
from counterseal.client.commits import CommitPlan
from counterseal.client.handshakes import account_names
from counterseal.client.policy import Leaf
from counterseal.client.session import Session
from counterseal.client.states import LIVE, ConversationState
from counterseal.client.store.commits import CommitRow
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.upkeep import context_in_force
from counterseal.core import _core
from counterseal.core._core import View
from counterseal.describe.charter import summarise_charter
from counterseal.protocol.errors import BadInput, NotFound, Refused
from counterseal.wire.key_packages import KEY_PACKAGES_CLAIM, ClaimKeyPackages


async def create(session: Session, name: str) -> bytes:
    """A new conversation with this device alone in it; returns its id (16 bytes). `name` is this
    device's own word for it.

    Raises `Unavailable` without a charter or keyset in force; what the service raises.
    """
    await session.directory.refresh()
    now = await session.now()
    conversation = os.urandom(16)
    with session.transaction() as store:
        charter, quarter, keyset = context_in_force(session, store, now)
        group_info = store.device.group_create(
            conversation, _core.DEFAULT_SUITE, charter, quarter, keyset
        )
        tree = store.device.group_tree(conversation)
        store.conversations.enter(conversation, name, 0, charter, session.started)
        store.conversations.set_state(conversation, ConversationState.CREATING)
        store.commits.add_commit(conversation, CommitRow(0, group_info, None, None, tree))
        verified = session.directory.rules.charter(store, charter)
        store.messages.add_note(
            conversation, None, None, summarise_charter(verified.charter, verified.digest)
        )
    failpoint.reach("commit.made")
    await commits.register(session, conversation)
    return conversation


async def add(session: Session, conversation: bytes, handles: Sequence[str]) -> None:
    """Brings in every device of the accounts that `handles` point to, each verified against the
    directory.

    Raises `NotFound`, `Refused` M2, what looking up and a change raise.
    """
    accounts = [await session.directory.accounts.find(handle) for handle in handles]
    await add_accounts(session, conversation, accounts)


async def add_accounts(session: Session, conversation: bytes, accounts: Sequence[bytes]) -> None:
    """Brings in accounts that were looked up, by their ids. Raises what `add` raises."""
    with session.store() as store:
        leaves = [
            (account, row.device)
            for account in accounts
            for row in store.accounts.devices(account)
            if row.revoked is None
        ]
    await add_leaves(session, conversation, leaves)
    with session.store() as store:
        there = {account for account, _ in store.device.group_view(conversation).roster}
        missing = [account for account in accounts if account not in there]
        names = account_names(store, missing)
    if missing:
        raise NotFound(
            f"{names.join(missing)} cannot be added:"
            " no device has left a key package with the service.",
            code="no-key-package",
        )


async def add_leaves(session: Session, conversation: bytes, leaves: Sequence[Leaf]) -> int:
    """Brings in those devices that have a key package with the service; returns how many it
    claimed.
    """
    with session.store() as store:
        view = store.device.group_view(conversation)
    wanted = [leaf for leaf in leaves if leaf not in view.roster]
    if not wanted:
        return 0
    asked = ClaimKeyPackages(tuple(device for _, device in wanted))
    answer = await session.service.call(KEY_PACKAGES_CLAIM, asked)
    claimed = {row.device: row.package for row in answer.rows}
    packages = {
        leaf: check_package(claimed[leaf[1]], leaf, view.suite)
        for leaf in wanted
        if leaf[1] in claimed
    }

    def plan(_: DeviceStore, present: View) -> CommitPlan | None:
        still = [leaf for leaf in packages if leaf not in present.roster]
        if not still:
            return None
        return CommitPlan(
            add=tuple(packages[leaf] for leaf in still),
            recipients=tuple(device for _, device in still),
        )

    await commits.change(session, conversation, plan)
    return len(packages)


def check_package(package: bytes, leaf: Leaf, suite: int) -> bytes:
    """The key package again, if it is that device's and of the group's suite.

    Raises `Refused` M2, "mls"; `BadInput` for another suite.
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
            "The service handed out a key package of another device than was asked for;"
            " nobody was added.",
        )
    if has != suite:
        raise BadInput(
            "That device speaks another MLS suite than this conversation;"
            " update its app, or start a new one.",
            code="suite",
        )
    return package


async def remove(session: Session, conversation: bytes, account: bytes) -> None:
    """Removes every device of an account. Raises `NotFound` when it is not there."""
    if account == session.me[0]:
        raise BadInput("Use `conversation leave` to leave; one cannot remove oneself.", code="self")
    done = await remove_leaves(session, conversation, lambda leaf: leaf[0] == account)
    if not done:
        raise NotFound("Nobody of that account is in this conversation.", code="not-a-member")


async def remove_leaves(
    session: Session, conversation: bytes, gone: Callable[[Leaf], bool]
) -> bool:
    """Removes the leaves that `gone` names; returns whether there were any."""
    there = False

    def plan(_: DeviceStore, present: View) -> CommitPlan | None:
        nonlocal there
        leaves = tuple(leaf for leaf in present.roster if leaf != session.me and gone(leaf))
        there = there or bool(leaves)
        return CommitPlan(remove=leaves) if leaves else None

    await commits.change(session, conversation, plan)
    return there


async def leave(session: Session, conversation: bytes) -> None:
    """Proposes to be removed; the next active member's commit does it. A group of one is simply
    left.

    Raises `BadInput` for a conversation that is over; what proposing raises.
    """
    await receiving.catch_up(session, conversation)
    with session.transaction() as store:
        state = store.conversations.state(conversation)
        if state not in LIVE:
            raise BadInput(f"This conversation is {state} already.", code=f"conversation-{state}")
        if store.device.group_view(conversation).roster == [session.me]:
            store.conversations.set_state(
                conversation, ConversationState.LEFT, "You have left this conversation."
            )
            return
        store.conversations.set_state(conversation, ConversationState.LEAVING)
    await commits.propose_to_leave(session, conversation)
    await receiving.catch_up(session, conversation)
