"""Conversations: their public group state, who may read which events, and the events themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw
import msgspec

from counterseal.protocol.errors import Conflict, EpochConflict, NotAuthorised, NotFound
from counterseal.service.delivery import Event
from counterseal.service.store.query import value
from counterseal.service.store.schema import EVENT_BITS

_MASK = (1 << EVENT_BITS) - 1


class Conversation(msgspec.Struct, frozen=True):
    """A conversation as the service knows it. `version` counts accepted handshakes: what
    compare-and-swap compares.
    """

    no: int
    id: bytes
    last_n: int
    epoch: int
    roster_epoch: int
    roster_digest: bytes
    charter: bytes
    quarter: int
    keyset: bytes
    version: int


class GroupView(msgspec.Struct, frozen=True):
    """What an accepted handshake makes of the group."""

    state: bytes
    epoch: int
    roster_epoch: int
    roster_digest: bytes
    charter: bytes
    quarter: int
    keyset: bytes


class WelcomeFor(msgspec.Struct, frozen=True):
    """A Welcome with the ratchet tree, for the devices that a commit adds."""

    devices: tuple[bytes, ...]
    welcome: bytes
    tree: bytes


_COLUMNS = "no, id, last_n, epoch, roster_epoch, roster_digest, charter, quarter, keyset, version"
_FOR_SENDER = f"""SELECT {_COLUMNS},
    EXISTS (SELECT 1 FROM members m WHERE m.conversation = c.no AND m.device = ? AND m.last_n IS NULL),
    EXISTS (SELECT 1 FROM devices d WHERE d.device = ? AND d.revoked = 0)
  FROM conversations c WHERE c.id = ?"""


def find(db: apsw.Connection, conversation: bytes) -> Conversation | None:
    """The conversation with this id (16 bytes), or None."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM conversations WHERE id = ?", (conversation,)
    ).fetchone()
    return Conversation(*row) if row else None


def get(db: apsw.Connection, conversation: bytes) -> Conversation:
    """The conversation with this id. Raises `NotFound` "conversation"."""
    found = find(db, conversation)
    if found is None:
        raise NotFound("There is no such conversation here.", code="conversation")
    return found


def group_state(db: apsw.Connection, number: int) -> bytes:
    """The group's public MLS state."""
    return bytes(value(db, "SELECT state FROM groups WHERE conversation = ?", (number,)))


def is_member(db: apsw.Connection, number: int, device: bytes) -> bool:
    """Whether the device is in the conversation now."""
    sql = "SELECT 1 FROM members WHERE conversation = ? AND device = ? AND last_n IS NULL"
    return db.execute(sql, (number, device)).fetchone() is not None


def get_for_sender(db: apsw.Connection, conversation: bytes, device: bytes) -> Conversation:
    """The conversation, if the device is in it now and not revoked, in one statement: every frame
    asks. Raises `NotFound`, `NotAuthorised`.
    """
    row = db.execute(_FOR_SENDER, (device, device, conversation)).fetchone()
    if row is None:
        raise NotFound("There is no such conversation here.", code="conversation")
    if not row[-1] or not row[-2]:
        raise NotAuthorised("This device is not in the conversation.", code="not-a-member")
    return Conversation(*row[:-2])


def memberships(db: apsw.Connection, number: int, device: bytes) -> list[tuple[int, int | None]]:
    """The ranges (first n, last n or None) of events that the device may have, in order."""
    sql = (
        "SELECT first_n, last_n FROM members WHERE conversation = ? AND device = ? ORDER BY first_n"
    )
    return [(first, last) for first, last in db.execute(sql, (number, device))]


def of_device(db: apsw.Connection, device: bytes) -> list[tuple[bytes, int, int]]:
    """(id, last n, epoch) of the conversations that the device is in now."""
    sql = """SELECT c.id, c.last_n, c.epoch FROM members m JOIN conversations c ON c.no = m.conversation
      WHERE m.device = ? AND m.last_n IS NULL ORDER BY c.no"""
    return [(bytes(cid), last, epoch) for cid, last, epoch in db.execute(sql, (device,))]


def create(
    db: apsw.Connection, conversation: bytes, view: GroupView, device: bytes, limit: int
) -> int:
    """A new conversation with its creator alone; gives its number. The same again changes nothing.
    Raises `Conflict` "conversation".
    """
    known = find(db, conversation)
    if (
        known is not None
        and known.version == 0
        and known.last_n == 0
        and group_state(db, known.no) == view.state
    ):
        return known.no
    if known is not None:
        raise Conflict(
            "A conversation with this id exists already; draw another id.", code="conversation"
        )
    if len(of_device(db, device)) >= limit:
        raise Conflict(
            f"This device is in {limit} conversations, which is the most.",
            code="too-many-conversations",
        )
    db.execute(
        "INSERT INTO conversations (id, last_n, epoch, roster_epoch, roster_digest, charter, quarter, keyset, version)"
        " VALUES (?, 0, ?, ?, ?, ?, ?, ?, 0)",
        (
            conversation,
            view.epoch,
            view.roster_epoch,
            view.roster_digest,
            view.charter,
            view.quarter,
            view.keyset,
        ),
    )
    number = db.last_insert_rowid()
    db.execute("INSERT INTO groups (conversation, state) VALUES (?, ?)", (number, view.state))
    db.execute(
        "INSERT INTO members (conversation, device, first_n) VALUES (?, ?, 1)", (number, device)
    )
    return number


def append(db: apsw.Connection, number: int, n: int, kind: int, time: int, data: bytes) -> Event:
    """One event at `n`, which the caller has counted and stores as the conversation's `last_n`."""
    db.execute(
        "INSERT INTO events (id, kind, time, data) VALUES (?, ?, ?, ?)",
        (number << EVENT_BITS | n, kind, time, data),
    )
    return Event(n, kind, time, data)


def set_last_n(db: apsw.Connection, number: int, last_n: int) -> None:
    """Stores how far the conversation has come."""
    db.execute("UPDATE conversations SET last_n = ? WHERE no = ?", (last_n, number))


def advance(
    db: apsw.Connection, seen: Conversation, view: GroupView, kind: int, time: int, message: bytes
) -> Event:
    """Takes a handshake into the conversation, if nothing came between: the compare-and-swap that
    gives an epoch one commit.

    `seen` is the conversation as the handshake was judged against. Raises `EpochConflict`, or
    `Conflict` "version" when only a proposal came between, so that it may be judged anew.
    """
    now = get(db, seen.id)
    if now.epoch != seen.epoch:
        raise EpochConflict.at(now.epoch)
    if now.version != seen.version:
        raise Conflict("A proposal came between; the service judges again.", code="version")
    event = append(db, seen.no, now.last_n + 1, kind, time, message)
    db.execute(
        "UPDATE conversations SET last_n = ?, epoch = ?, roster_epoch = ?, roster_digest = ?, charter = ?, quarter = ?, keyset = ?,"
        " version = version + 1 WHERE no = ?",
        (
            event.n,
            view.epoch,
            view.roster_epoch,
            view.roster_digest,
            view.charter,
            view.quarter,
            view.keyset,
            seen.no,
        ),
    )
    db.execute("UPDATE groups SET state = ? WHERE conversation = ?", (view.state, seen.no))
    return event


def change_members(
    db: apsw.Connection, number: int, n: int, added: Iterable[bytes], removed: Iterable[bytes]
) -> None:
    """After the commit `n`: the removed may read up to it, the added from it on."""
    for device in removed:
        sql = (
            "UPDATE members SET last_n = ? WHERE conversation = ? AND device = ? AND last_n IS NULL"
        )
        db.execute(sql, (n, number, device))
    for device in added:
        db.execute(
            "INSERT OR IGNORE INTO members (conversation, device, first_n) VALUES (?, ?, ?)",
            (number, device, n),
        )


def deliver_welcome(
    db: apsw.Connection, conversation: bytes, commit_n: int, welcome: WelcomeFor
) -> list[tuple[bytes, int]]:
    """Puts the Welcome into each device's inbox; gives (device, inbox n)."""
    db.execute(
        "INSERT INTO welcomes (conversation, welcome, tree, commit_n) VALUES (?, ?, ?, ?)",
        (conversation, welcome.welcome, welcome.tree, commit_n),
    )
    number = db.last_insert_rowid()
    delivered = []
    for device in welcome.devices:
        n = inbox_last(db, device) + 1
        db.execute("INSERT INTO inbox (device, n, welcome) VALUES (?, ?, ?)", (device, n, number))
        delivered.append((device, n))
    return delivered


def inbox(db: apsw.Connection, device: bytes, after: int, limit: int) -> list[list[object]]:
    """`[[n, 0, conversation_id, welcome, tree, n of the commit], ...]`."""
    sql = """SELECT i.n, 0, w.conversation, w.welcome, w.tree, w.commit_n FROM inbox i JOIN welcomes w ON w.no = i.welcome
      WHERE i.device = ? AND i.n > ? ORDER BY i.n LIMIT ?"""
    return [list(row) for row in db.execute(sql, (device, after, limit))]


def inbox_last(db: apsw.Connection, device: bytes) -> int:
    """The newest inbox n, 0 for an empty one."""
    return int(value(db, "SELECT coalesce(max(n), 0) FROM inbox WHERE device = ?", (device,)))


def events(
    db: apsw.Connection, number: int, after: int, last: int, limit: int, limit_bytes: int
) -> Sequence[Event]:
    """The events with after < n <= last, in order: at most `limit` of them and about `limit_bytes`,
    at least one if there is one.
    """
    base = number << EVENT_BITS
    sql = "SELECT id, kind, time, data FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
    found: list[Event] = []
    size = 0
    for row, kind, time, data in db.execute(
        sql, (base | min(after, _MASK), base | min(last, _MASK), limit)
    ):
        found.append(Event(row & _MASK, kind, time, data))
        size += len(data)
        if size >= limit_bytes:
            break
    return found
