"""Conversations: their groups' public state, who may read which events, and the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw

from counterseal.service.store.rows import (
    SenderStanding,
    StoredConversation,
    StoredEvent,
    StoredGroup,
    StoredMembership,
    StoredWelcome,
)
from counterseal.service.store.sqlite.schema import EVENT_BITS

_MASK = (1 << EVENT_BITS) - 1
_COLUMNS = """c.no, c.id, c.last_n, c.epoch, c.roster_epoch, c.roster_digest, c.charter,
  c.quarter, c.keyset, c.version"""
_FIND = f"SELECT {_COLUMNS} FROM conversations c WHERE c.id = ?"
_FIND_FOR_SENDER = f"""SELECT {_COLUMNS},
    EXISTS (
      SELECT 1 FROM members m WHERE m.conversation = c.no AND m.device = ? AND m.last_n IS NULL),
    EXISTS (SELECT 1 FROM devices d WHERE d.device = ? AND d.revoked = 0)
  FROM conversations c WHERE c.id = ?"""
_OF_DEVICE = f"""SELECT {_COLUMNS} FROM members m JOIN conversations c ON c.no = m.conversation
  WHERE m.device = ? AND m.last_n IS NULL ORDER BY c.no"""
_ADVANCE = """UPDATE conversations SET last_n = ?, epoch = ?, roster_epoch = ?, roster_digest = ?,
  charter = ?, quarter = ?, keyset = ?, version = version + 1 WHERE no = ?"""
_INBOX = """SELECT i.n, w.conversation, w.welcome, w.tree, w.commit_n
  FROM inbox i JOIN welcomes w ON w.no = i.welcome
  WHERE i.device = ? AND i.n > ? ORDER BY i.n LIMIT ?"""


class SqliteConversations:
    """See `WriteConversations`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def find(self, conversation: bytes) -> StoredConversation | None:
        row = self._db.execute(_FIND, (conversation,)).fetchone()
        return StoredConversation(*row) if row else None

    def find_for_sender(self, conversation: bytes, device: bytes) -> SenderStanding | None:
        row = self._db.execute(_FIND_FOR_SENDER, (device, device, conversation)).fetchone()
        if row is None:
            return None
        return SenderStanding(StoredConversation(*row[:-2]), bool(row[-2]), bool(row[-1]))

    def group_state(self, no: int) -> bytes:
        sql = "SELECT state FROM groups WHERE conversation = ?"
        [[state]] = self._db.execute(sql, (no,))
        return bytes(state)

    def is_member(self, no: int, device: bytes) -> bool:
        sql = "SELECT 1 FROM members WHERE conversation = ? AND device = ? AND last_n IS NULL"
        return self._db.execute(sql, (no, device)).fetchone() is not None

    def memberships(self, no: int, device: bytes) -> list[StoredMembership]:
        sql = """SELECT first_n, last_n FROM members
          WHERE conversation = ? AND device = ? ORDER BY first_n"""
        return [StoredMembership(*row) for row in self._db.execute(sql, (no, device))]

    def of_device(self, device: bytes) -> list[StoredConversation]:
        return [StoredConversation(*row) for row in self._db.execute(_OF_DEVICE, (device,))]

    def events(
        self, no: int, after: int, last: int, limit: int, limit_bytes: int
    ) -> Sequence[StoredEvent]:
        base = no << EVENT_BITS
        span = (base | min(after, _MASK), base | min(last, _MASK), limit)
        sql = "SELECT id, kind, time, data FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"

        found: list[StoredEvent] = []
        size = 0
        for row, kind, time, data in self._db.execute(sql, span):
            found.append(StoredEvent(row & _MASK, kind, time, data))
            size += len(data)
            if size >= limit_bytes:
                break
        return found

    def inbox(self, device: bytes, after: int, limit: int) -> list[tuple[int, StoredWelcome]]:
        rows = self._db.execute(_INBOX, (device, after, limit))
        return [(row[0], StoredWelcome(*row[1:])) for row in rows]

    def inbox_last(self, device: bytes) -> int:
        sql = "SELECT coalesce(max(n), 0) FROM inbox WHERE device = ?"
        [[n]] = self._db.execute(sql, (device,))
        return int(n)

    def create(self, conversation: bytes, group: StoredGroup) -> int:
        sql = """INSERT INTO conversations (id, last_n, epoch, roster_epoch, roster_digest,
            charter, quarter, keyset, version) VALUES (?, 0, ?, ?, ?, ?, ?, ?, 0)"""
        self._db.execute(sql, (conversation, *_described(group)))
        no = self._db.last_insert_rowid()
        sql = "INSERT INTO groups (conversation, state) VALUES (?, ?)"
        self._db.execute(sql, (no, group.state))
        return no

    def append(self, no: int, row: StoredEvent) -> None:
        sql = "INSERT INTO events (id, kind, time, data) VALUES (?, ?, ?, ?)"
        self._db.execute(sql, (no << EVENT_BITS | row.n, row.kind, row.time, row.data))

    def set_last_n(self, no: int, last_n: int) -> None:
        self._db.execute("UPDATE conversations SET last_n = ? WHERE no = ?", (last_n, no))

    def advance(self, no: int, n: int, group: StoredGroup) -> None:
        self._db.execute(_ADVANCE, (n, *_described(group), no))
        self._db.execute("UPDATE groups SET state = ? WHERE conversation = ?", (group.state, no))

    def add_member(self, no: int, device: bytes, n: int) -> None:
        sql = "INSERT OR IGNORE INTO members (conversation, device, first_n) VALUES (?, ?, ?)"
        self._db.execute(sql, (no, device, n))

    def end_member(self, no: int, device: bytes, n: int) -> None:
        sql = """UPDATE members SET last_n = ?
          WHERE conversation = ? AND device = ? AND last_n IS NULL"""
        self._db.execute(sql, (n, no, device))

    def deliver(self, devices: Iterable[bytes], row: StoredWelcome) -> list[tuple[bytes, int]]:
        sql = "INSERT INTO welcomes (conversation, welcome, tree, commit_n) VALUES (?, ?, ?, ?)"
        self._db.execute(sql, (row.conversation, row.welcome, row.tree, row.commit_n))
        welcome = self._db.last_insert_rowid()

        delivered = []
        for device in devices:
            n = self.inbox_last(device) + 1
            sql = "INSERT INTO inbox (device, n, welcome) VALUES (?, ?, ?)"
            self._db.execute(sql, (device, n, welcome))
            delivered.append((device, n))
        return delivered


def _described(group: StoredGroup) -> tuple[int, int, bytes, bytes, int, bytes]:
    return (
        group.epoch,
        group.roster_epoch,
        group.roster_digest,
        group.charter,
        group.quarter,
        group.keyset,
    )
