"""Conversations: made by one device, changed by one commit an epoch, left by proposal; events and
inbox to read.

The compiled floor has verified a handshake before it may take the epoch's only place, and every
device it adds is in the directory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import apsw
from msgspec import Meta

from counterseal.protocol.cbor import encode
from counterseal.protocol.errors import BadInput, Conflict, EpochConflict, NotAuthorised, Refused
from counterseal.protocol.record import Bytes32, Part, Uint
from counterseal.service import mls
from counterseal.service.api.http import MIB, Answer, DeviceCall
from counterseal.service.app import Service
from counterseal.service.delivery import (
    COMMIT,
    PAGE_BYTES,
    PAGE_EVENTS,
    PROPOSAL,
    Event,
    encode_events,
    head,
)
from counterseal.service.store import accounts, conversations
from counterseal.service.store.conversations import Conversation, GroupView, WelcomeFor

LIMIT = 4 * MIB
_TRIES = 8

Large = Annotated[bytes, Meta(max_length=4 * MIB)]


class NewConversation(Part, frozen=True):
    """`[group_info, tree]`."""

    group_info: Large
    tree: Large


class PostedWelcome(Part, frozen=True):
    """`[[device_key, ...], welcome, tree]`."""

    devices: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=1_000)]
    welcome: Large
    tree: Large


class PostedCommit(Part, frozen=True):
    """`[epoch, message, [[device_key, ...], welcome, tree] or null]`."""

    epoch: Uint
    message: Large
    welcome: PostedWelcome | None


class PostedProposal(Part, frozen=True):
    """`[epoch, message]`."""

    epoch: Uint
    message: Annotated[bytes, Meta(max_length=64 * 1024)]


async def create(call: DeviceCall) -> Answer:
    """`POST /v1/conversations`: epoch 0, the creator alone, under the charter in force and a logged
    keyset.
    """
    service, posted = call.service, call.decode(NewConversation)
    group = mls.public_group(posted.group_info, posted.tree)
    if group.view.epoch != 0 or group.view.roster != [(call.caller.account, call.caller.device)]:
        raise Refused("mls", "A conversation begins at epoch 0 with its creator alone.")
    if len(group.view.conversation) != 16:
        raise Refused("mls", "A conversation's id has 16 bytes.")
    service.charters.check_context(
        group.view.charter_digest, group.view.quarter, group.view.keyset_digest
    )
    limit = service.settings.limits.conversations

    def job(db: apsw.Connection) -> int:
        return conversations.create(
            db, group.view.conversation, _view(group), call.caller.device, limit
        )

    await service.store.write("conversation", job)
    return [group.view.conversation]


async def commit(call: DeviceCall) -> Answer:
    """`POST /v1/conversations/{id}/commits`: the first that the service takes is the epoch's only
    one.
    """
    posted = call.decode(PostedCommit)
    for _ in range(_TRIES):
        seen = _member_of(call, posted.epoch)
        staged = mls.public_process(
            conversations.group_state(call.service.store.reader, seen.no), posted.message
        )
        _check_commit(call, seen, staged, posted.welcome)
        try:
            return [await _take_commit(call, seen, staged, posted)]
        except Conflict as error:
            if error.code != "version":
                raise
    raise Conflict("Proposals keep coming between; try again.", code="busy")


async def propose(call: DeviceCall) -> Answer:
    """`POST /v1/conversations/{id}/proposals`: a member's own wish to leave."""
    posted = call.decode(PostedProposal)
    for _ in range(_TRIES):
        seen = _member_of(call, posted.epoch)
        staged = mls.public_process(
            conversations.group_state(call.service.store.reader, seen.no), posted.message
        )
        if staged.kind != "proposal":
            raise Refused("mls", "This is no proposal; a commit goes to /commits.")
        _check_sender(call, staged)
        try:
            return [await _take_proposal(call, seen, staged, posted.message)]
        except Conflict as error:
            if error.code != "version":
                raise
    raise Conflict("Proposals keep coming between; try again.", code="busy")


async def mine(call: DeviceCall) -> Answer:
    """`GET /v1/conversations`."""
    return [
        list(row) for row in conversations.of_device(call.service.store.reader, call.caller.device)
    ]


async def events(call: DeviceCall) -> Answer:
    """`GET /v1/conversations/{id}/events`: what the device's memberships let it have, oldest
    first.
    """
    db, conversation = call.service.store.reader, call.hex("id", 16)
    seen = conversations.get(db, conversation)
    after, limit = (
        max(0, call.integer("after", 0)),
        min(max(1, call.integer("limit", PAGE_EVENTS)), PAGE_EVENTS),
    )
    ranges = conversations.memberships(db, seen.no, call.caller.device)
    if not ranges:
        raise NotAuthorised("This device is not in the conversation.", code="not-a-member")
    page = read_events(db, seen, ranges, after, limit)
    last = seen.last_n if ranges[-1][1] is None else ranges[-1][1]
    return b"\x82" + encode_events(page) + head(0, last)


def read_events(
    db: apsw.Connection,
    seen: Conversation,
    ranges: Iterable[tuple[int, int | None]],
    after: int,
    limit: int,
) -> list[Event]:
    """A page of events after `after` within the ranges (first n, last n or None)."""
    page: list[Event] = []
    for first, last in ranges:
        if len(page) < limit and (last is None or last > after):
            last = seen.last_n if last is None else last
            page += conversations.events(
                db, seen.no, max(after, first - 1), last, limit - len(page), PAGE_BYTES
            )
        if sum(len(event.data) for event in page) >= PAGE_BYTES:
            break
    return page


async def inbox(call: DeviceCall) -> Answer:
    """`GET /v1/inbox`: Welcomes for this device."""
    return [
        conversations.inbox(
            call.service.store.reader, call.caller.device, call.integer("after", 0), 20
        )
    ]


def _member_of(call: DeviceCall, epoch: int) -> Conversation:
    """The conversation, if the device is in it and its epoch is this one. Raises `EpochConflict`,
    `NotAuthorised`.
    """
    db = call.service.store.reader
    seen = conversations.get(db, call.hex("id", 16))
    if not conversations.is_member(db, seen.no, call.caller.device):
        raise NotAuthorised("This device is not in the conversation.", code="not-a-member")
    if epoch != seen.epoch:
        raise EpochConflict.at(seen.epoch)
    return seen


def _check_sender(call: DeviceCall, staged: mls.Public) -> None:
    if staged.sender != (call.caller.account, call.caller.device):
        raise NotAuthorised("A device posts its own handshakes alone.", code="other-device")


def _check_commit(
    call: DeviceCall, seen: Conversation, staged: mls.Public, welcome: PostedWelcome | None
) -> None:
    """What MLS cannot know: the directory, the charter and who is welcomed."""
    service, view = call.service, staged.view
    if staged.kind != "commit":
        raise Refused("mls", "This is no commit; a proposal goes to /proposals.")
    _check_sender(call, staged)
    if view.conversation != seen.id or view.epoch != seen.epoch + 1:
        raise Refused("mls", "The commit is of another conversation or epoch.")
    if len(view.roster) > service.settings.limits.members:
        raise Refused(
            "mls", f"A conversation has at most {service.settings.limits.members} devices."
        )
    if (view.charter_digest, view.quarter, view.keyset_digest) != (
        seen.charter,
        seen.quarter,
        seen.keyset,
    ):
        service.charters.check_context(view.charter_digest, view.quarter, view.keyset_digest)
    _check_added(service, staged)
    added = sorted(device for _, device in staged.added)
    if added != sorted(welcome.devices if welcome is not None else ()):
        raise BadInput(
            "The Welcome names exactly the devices that the commit adds.", code="welcome"
        )


def _check_added(service: Service, staged: mls.Public) -> None:
    """Every added leaf is a device of its account's chain, and came from a key package that this
    device uploaded.
    """
    for account, device in staged.added:
        if service.directory.account_of(device) != account:
            raise Refused(
                "A7",
                f"The added device {device.hex()[:16]} is not in its account's chain, or is revoked.",
            )
    owners = sorted(
        accounts.key_package_owner(service.store.reader, ref) or b"" for ref in staged.added_refs
    )
    if owners != sorted(device for _, device in staged.added):
        raise Refused("mls", "A commit adds devices by the key packages that they uploaded here.")


async def _take_commit(
    call: DeviceCall, seen: Conversation, staged: mls.Public, posted: PostedCommit
) -> int:
    service = call.service
    added = [device for _, device in staged.added]
    removed = [device for _, device in staged.removed]

    def job(db: apsw.Connection) -> tuple[Event, list[tuple[bytes, int]]]:
        if any(not accounts.is_active(db, device) for device in (call.caller.device, *added)):
            raise Refused("A7", "A device in this commit was revoked meanwhile.")
        event = conversations.advance(
            db, seen, _view(staged), COMMIT, service.clock.now(), posted.message
        )
        conversations.change_members(db, seen.no, event.n, added, removed)
        welcome = posted.welcome
        if welcome is None:
            return event, []
        letter = WelcomeFor(tuple(welcome.devices), welcome.welcome, welcome.tree)
        return event, conversations.deliver_welcome(db, seen.id, event.n, letter)

    def after(done: tuple[Event, list[tuple[bytes, int]]]) -> None:
        event, delivered = done
        service.hub.publish(seen.no, seen.id, [event])
        service.hub.end_membership(seen.no, removed, event.n)
        for device, n in delivered:
            service.hub.notify_device(device, encode(["inbox", n]))

    event, _ = await service.store.write("commit", job, after)
    return event.n


async def _take_proposal(
    call: DeviceCall, seen: Conversation, staged: mls.Public, message: bytes
) -> int:
    service = call.service

    def job(db: apsw.Connection) -> Event:
        if not accounts.is_active(db, call.caller.device):
            raise NotAuthorised("This device is revoked.", code="revoked")
        return conversations.advance(
            db, seen, _view(staged), PROPOSAL, service.clock.now(), message
        )

    event = await service.store.write(
        "proposal", job, lambda event: service.hub.publish(seen.no, seen.id, [event])
    )
    return event.n


def _view(group: mls.Public) -> GroupView:
    view = group.view
    return GroupView(
        group.state,
        view.epoch,
        view.roster_epoch,
        view.roster_digest,
        view.charter_digest,
        view.quarter,
        view.keyset_digest,
    )
