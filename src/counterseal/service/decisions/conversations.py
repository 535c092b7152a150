"""Conversations: made by one device, changed by one commit an epoch, left by proposal.

The compiled core has verified a handshake before it is judged here; what MLS cannot know is the
directory, the charter and who is welcomed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from counterseal.protocol.errors import (
    BadInput,
    Conflict,
    EpochConflict,
    NotAuthorised,
    NotFound,
    Refused,
)
from counterseal.service import mls
from counterseal.service.authentication import DeviceCaller
from counterseal.service.store.interface import ReadConversations, Snapshot, Transaction
from counterseal.service.store.rows import (
    StoredConversation,
    StoredEvent,
    StoredGroup,
    StoredMembership,
    StoredWelcome,
)
from counterseal.wire.events import COMMIT, PROPOSAL

ENDLESS = 1 << 62
"""Past every event."""


class WelcomeFor(msgspec.Struct, frozen=True):
    """A Welcome with the ratchet tree, for the devices that a commit adds."""

    devices: tuple[bytes, ...]
    welcome: bytes
    tree: bytes


class CommitTaken(msgspec.Struct, frozen=True):
    """An accepted commit: its event, the devices it removed, and (device, inbox n) of Welcomes."""

    event: StoredEvent
    removed: list[bytes]
    delivered: list[tuple[bytes, int]]


def get(conversations: ReadConversations, conversation: bytes) -> StoredConversation:
    """The conversation with this id. Raises `NotFound` "conversation"."""
    found = conversations.find(conversation)
    if found is None:
        raise NotFound("There is no such conversation here.", code="conversation")
    return found


def get_ranges(conversations: ReadConversations, no: int, device: bytes) -> list[StoredMembership]:
    """The events that a device may have, past memberships included.

    Raises `NotAuthorised` "not-a-member".
    """
    ranges = conversations.memberships(no, device)
    if not ranges:
        raise NotAuthorised("This device is not in the conversation.", code="not-a-member")
    return ranges


def check_new(group: mls.Public, caller: DeviceCaller) -> StoredGroup:
    """The group of a conversation to be made: at epoch 0, with its creator alone.

    Raises `Refused` "mls".
    """
    view = group.view
    if view.epoch != 0 or view.roster != [(caller.account, caller.device)]:
        raise Refused("mls", "A conversation begins at epoch 0 with its creator alone.")
    if len(view.conversation) != 16:
        raise Refused("mls", "A conversation's id has 16 bytes.")
    return group_row(group)


def create(
    tables: Transaction, conversation: bytes, group: StoredGroup, device: bytes, limit: int
) -> None:
    """A new conversation with its creator alone; the same again changes nothing.

    Raises `Conflict` "conversation", "too-many-conversations".
    """
    known = tables.conversations.find(conversation)
    if known is not None:
        untouched = known.version == 0 and known.last_n == 0
        if untouched and tables.conversations.group_state(known.no) == group.state:
            return
        raise Conflict(
            "A conversation with this id exists already; draw another id.", code="conversation"
        )
    if len(tables.conversations.of_device(device)) >= limit:
        raise Conflict(
            f"This device is in {limit} conversations, which is the most.",
            code="too-many-conversations",
        )
    no = tables.conversations.create(conversation, group)
    tables.conversations.add_member(no, device, 1)


def judged_against(
    snapshot: Snapshot, conversation: bytes, device: bytes, epoch: int
) -> tuple[StoredConversation, bytes]:
    """The conversation and its group's state, for judging a member's handshake of this epoch.

    Raises `NotFound`, `NotAuthorised` "not-a-member", `EpochConflict`.
    """
    seen = get(snapshot.conversations, conversation)
    if not snapshot.conversations.is_member(seen.no, device):
        raise NotAuthorised("This device is not in the conversation.", code="not-a-member")
    if epoch != seen.epoch:
        raise _taken(seen.epoch)
    return seen, snapshot.conversations.group_state(seen.no)


def check_proposal(staged: mls.Public, caller: DeviceCaller) -> None:
    """Returns if this is the caller's own proposal. Raises `Refused` "mls", `NotAuthorised`."""
    if staged.kind != "proposal":
        raise Refused("mls", "This is no proposal; a commit goes to /commits.")
    _check_sender(staged, caller)


def check_commit(
    staged: mls.Public,
    caller: DeviceCaller,
    seen: StoredConversation,
    members: int,
) -> None:
    """Returns if this is the caller's own commit of the next epoch, with so many `members` at most.

    Raises `Refused` "mls", `NotAuthorised` "other-device".
    """
    if staged.kind != "commit":
        raise Refused("mls", "This is no commit; a proposal goes to /proposals.")
    _check_sender(staged, caller)
    view = staged.view
    if view.conversation != seen.id or view.epoch != seen.epoch + 1:
        raise Refused("mls", "The commit is of another conversation or epoch.")
    if len(view.roster) > members:
        raise Refused("mls", f"A conversation has at most {members} devices.")


def check_added(
    staged: mls.Public,
    accounts: Sequence[bytes | None],
    owners: Sequence[bytes | None],
    welcome: WelcomeFor | None,
) -> None:
    """Returns if every added leaf is a device of its account's chain, came from a key package that
    this device uploaded, and is welcomed.

    `accounts` are the added devices' accounts in the directory, `owners` the uploaders of the key
    packages. Raises `Refused` A7, "mls", `BadInput` "welcome".
    """
    for (account, device), known in zip(staged.added, accounts, strict=True):
        if known != account:
            raise Refused(
                "A7",
                f"The added device {device.hex()[:16]} is not in its account's chain,"
                " or is revoked.",
            )
    added = sorted(device for _, device in staged.added)
    if sorted(owner or b"" for owner in owners) != added:
        raise Refused("mls", "A commit adds devices by the key packages that they uploaded here.")
    if added != sorted(welcome.devices if welcome is not None else ()):
        raise BadInput(
            "The Welcome names exactly the devices that the commit adds.", code="welcome"
        )


def take_commit(
    tables: Transaction,
    seen: StoredConversation,
    staged: mls.Public,
    caller: DeviceCaller,
    message: bytes,
    welcome: WelcomeFor | None,
    now: int,
) -> CommitTaken:
    """Takes a commit into the conversation as the epoch's only one.

    Raises `Refused` A7 and what `_advance` raises.
    """
    added = [device for _, device in staged.added]
    removed = [device for _, device in staged.removed]
    if any(not _is_active(tables, device) for device in (caller.device, *added)):
        raise Refused("A7", "A device in this commit was revoked meanwhile.")
    event = _advance(tables, seen, group_row(staged), COMMIT, now, message)

    # the removed may read up to this commit, the added from it on
    for device in removed:
        tables.conversations.end_member(seen.no, device, event.n)
    for device in added:
        tables.conversations.add_member(seen.no, device, event.n)

    delivered = []
    if welcome is not None:
        row = StoredWelcome(seen.id, welcome.welcome, welcome.tree, event.n)
        delivered = tables.conversations.deliver(welcome.devices, row)
    return CommitTaken(event, removed, delivered)


def take_proposal(
    tables: Transaction,
    seen: StoredConversation,
    staged: mls.Public,
    caller: DeviceCaller,
    message: bytes,
    now: int,
) -> StoredEvent:
    """Takes a proposal into the conversation.

    Raises `NotAuthorised` "revoked" and what `_advance` raises.
    """
    if not _is_active(tables, caller.device):
        raise NotAuthorised("This device is revoked.", code="revoked")
    return _advance(tables, seen, group_row(staged), PROPOSAL, now, message)


def read_page(
    conversations: ReadConversations,
    seen: StoredConversation,
    ranges: Sequence[StoredMembership],
    after: int,
    limit: int,
    limit_bytes: int,
) -> list[StoredEvent]:
    """A page of the events after `after` that the ranges let a device have."""
    page: list[StoredEvent] = []
    for span in ranges:
        last = seen.last_n if span.last is None else span.last
        if len(page) < limit and (span.last is None or span.last > after):
            start = max(after, span.first - 1)
            page += conversations.events(seen.no, start, last, limit - len(page), limit_bytes)
        if sum(len(event.data) for event in page) >= limit_bytes:
            break
    return page


def get_span(
    conversations: ReadConversations, no: int, device: bytes, first: int
) -> StoredMembership:
    """The device's membership that begins at event `first`.

    Raises `NotAuthorised` "not-a-member".
    """
    for span in conversations.memberships(no, device):
        if span.first == first:
            return span
    raise NotAuthorised("This device is not in the conversation.", code="not-a-member")


def read_span(
    conversations: ReadConversations,
    no: int,
    span: StoredMembership,
    after: int,
    limit: int,
    limit_bytes: int,
) -> tuple[Sequence[StoredEvent], int | None]:
    """A page of a membership's events after `after`, and the membership's last event."""
    last = ENDLESS if span.last is None else span.last
    page = conversations.events(no, max(after, span.first - 1), last, limit, limit_bytes)
    return page, span.last


def group_row(group: mls.Public) -> StoredGroup:
    """What the store keeps of a group's public state."""
    view = group.view
    return StoredGroup(
        group.state,
        view.epoch,
        view.roster_epoch,
        view.roster_digest,
        view.charter_digest,
        view.quarter,
        view.keyset_digest,
    )


def _advance(
    tables: Transaction,
    seen: StoredConversation,
    group: StoredGroup,
    kind: int,
    now: int,
    message: bytes,
) -> StoredEvent:
    """The compare-and-swap that gives an epoch one commit: takes a handshake if nothing came
    between.

    `seen` is the conversation as the handshake was judged against. Raises `EpochConflict`, or
    `Conflict` "version" when only a proposal came between, so that it may be judged anew.
    """
    current = get(tables.conversations, seen.id)
    if current.epoch != seen.epoch:
        raise _taken(current.epoch)
    if current.version != seen.version:
        raise Conflict("A proposal came between; the service judges again.", code="version")
    event = StoredEvent(current.last_n + 1, kind, now, message)
    tables.conversations.append(seen.no, event)
    tables.conversations.advance(seen.no, event.n, group)
    return event


def _check_sender(staged: mls.Public, caller: DeviceCaller) -> None:
    if staged.sender != (caller.account, caller.device):
        raise NotAuthorised("A device posts its own handshakes alone.", code="other-device")


def _is_active(tables: Transaction, device: bytes) -> bool:
    known = tables.accounts.device(device)
    return known is not None and not known.revoked


def _taken(epoch: int) -> EpochConflict:
    """The error of a conversation that is at `epoch` now."""
    return EpochConflict(
        f"The conversation is at epoch {epoch}; fetch its events and build the commit anew.",
        epoch=epoch,
    )
