"""What a device can tell a person about itself: account, devices, conversations."""

from __future__ import annotations

import msgspec

from counterseal.client import history
from counterseal.client.handshakes import account_names
from counterseal.client.history import MessageCounts
from counterseal.client.session import Session
from counterseal.client.states import ConversationState
from counterseal.client.store.conversations import ConversationRow
from counterseal.client.store.device_store import DeviceStore
from counterseal.describe.charter import summarise_charter
from counterseal.protocol.errors import BadInput, NotFound

_DIGITS_MIN = 4


class AccountOverview(msgspec.Struct, frozen=True):
    """Who this device is, and the charter that its messages may be opened by now. Ids and digests
    are 32 bytes; `sentence` says who can open what.
    """

    handle: str
    domain: str
    account: bytes
    device: bytes
    charter: bytes
    sentence: str


class LinkedDevice(msgspec.Struct, frozen=True):
    """A device of the account; `added` and `revoked` are Unix seconds."""

    device: bytes
    added: int
    revoked: int | None
    this: bool


class ConversationSummary(msgspec.Struct, frozen=True):
    """A conversation in a list. `name` is the person's own word for it, else who else is in it;
    `sentence` says why it is in its state.
    """

    conversation: bytes
    name: str
    state: ConversationState
    sentence: str | None


class ConversationReader(msgspec.Struct, frozen=True):
    """A device that reads a conversation; `handle` is empty when none is proved."""

    account: bytes
    device: bytes
    handle: str
    me: bool


class ConversationOverview(msgspec.Struct, frozen=True):
    """Who reads a conversation, and by which charter it can be opened."""

    conversation: bytes
    state: ConversationState
    epoch: int
    suite: int
    quarter: int
    readers: tuple[ConversationReader, ...]
    charter: str
    counts: MessageCounts


def describe_account(session: Session, store: DeviceStore) -> AccountOverview:
    """Who this device is. Raises `Need` before the first charter is known."""
    charter = session.directory.rules.in_force(store)
    return AccountOverview(
        handle=store.settings.handle or "",
        domain=session.home.pins.domain,
        account=session.me[0],
        device=session.me[1],
        charter=charter.digest,
        sentence=summarise_charter(charter.charter, charter.digest),
    )


def linked_devices(session: Session, store: DeviceStore) -> list[LinkedDevice]:
    """The account's devices, revoked ones among them, in the order of its chain."""
    return [
        LinkedDevice(row.device, row.added, row.revoked, row.device == session.me[1])
        for row in store.accounts.devices(session.me[0])
    ]


def find_device(session: Session, store: DeviceStore, digits: str) -> bytes:
    """The device of this account that a person means, by at least 4 digits of its key. Raises
    `NotFound`.
    """
    found = [
        row.device
        for row in store.accounts.devices(session.me[0])
        if row.revoked is None and _begins(row.device, digits)
    ]
    if len(found) != 1:
        raise NotFound(
            f"{len(found)} of your devices begin with {digits};"
            " `counterseal device list` shows them.",
            code="device",
        )
    return found[0]


def list_conversations(session: Session, store: DeviceStore) -> list[ConversationSummary]:
    """Every conversation, oldest first."""
    return [
        ConversationSummary(
            conversation=row.id,
            name=row.name or _others(session, store, row.id),
            state=row.state,
            sentence=row.sentence,
        )
        for row in store.conversations.all()
    ]


def _others(session: Session, store: DeviceStore, conversation: bytes) -> str:
    """What a conversation is called that nobody has named: who else is in it."""
    if conversation not in store.device.groups():
        return ""
    roster = store.device.group_view(conversation).roster
    others = {account for account, _ in roster if account != session.me[0]}
    names = account_names(store, others)
    return ", ".join(sorted(names.join([account]) for account in others)) or "you alone"


def describe_conversation(
    session: Session, store: DeviceStore, conversation: bytes
) -> ConversationOverview:
    """Who reads a conversation. Raises `NotFound`."""
    state = store.conversations.state(conversation)
    view = store.device.group_view(conversation)
    readers = tuple(
        ConversationReader(
            account, device, store.accounts.handle(account), (account, device) == session.me
        )
        for account, device in view.roster
    )
    charter = session.directory.rules.charter(store, view.charter_digest)
    return ConversationOverview(
        conversation=conversation,
        state=state,
        epoch=view.epoch,
        suite=view.suite,
        quarter=view.quarter,
        readers=readers,
        charter=summarise_charter(charter.charter, charter.digest),
        counts=history.counts(store, conversation),
    )


def find_conversation(rows: list[ConversationRow], words: str) -> bytes:
    """The conversation that a person means: by its name, or by at least 4 digits of its id.

    Raises `NotFound`; `BadInput` when several are meant.
    """
    known = [row for row in rows if row.state is not ConversationState.REFUSED]
    # most conversations have no name: no words mean none of them
    found = [row.id for row in known if words and row.name == words]
    found = found or [row.id for row in known if _begins(row.id, words)]
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
    return found[0]


def _begins(number: bytes, digits: str) -> bool:
    return len(digits) >= _DIGITS_MIN and number.hex().startswith(digits.lower())
