"""The history: messages of others and one's own, what was refused, the app's own lines, and the
search over their texts.
"""

from __future__ import annotations

import msgspec

from counterseal.client.states import MessageState
from counterseal.client.store.database import Database, TableRow
from counterseal.protocol.frame import Attachment

TABLES = (
    """CREATE TABLE IF NOT EXISTS client_message (
        id INTEGER PRIMARY KEY, conversation BLOB, n INTEGER, kind TEXT, account BLOB, device BLOB,
        sent_at_ms INTEGER, stamp INTEGER, text TEXT, state TEXT, rule TEXT, gap INTEGER,
        window BLOB, seq INTEGER, digest BLOB, raw BLOB)""",
    """CREATE UNIQUE INDEX IF NOT EXISTS client_message_place
        ON client_message (conversation, n) WHERE n IS NOT NULL""",
    """CREATE INDEX IF NOT EXISTS client_message_digest
        ON client_message (digest) WHERE digest IS NOT NULL""",
    "CREATE INDEX IF NOT EXISTS client_message_state ON client_message (state, conversation)",
    """CREATE TABLE IF NOT EXISTS client_attachment (
        message INTEGER, position INTEGER, digest BLOB, size INTEGER, key BLOB, name TEXT,
        media_type TEXT, PRIMARY KEY (message, position))""",
    """CREATE VIRTUAL TABLE IF NOT EXISTS client_search
        USING fts5 (text, content='client_message', content_rowid='id')""",
    """CREATE TRIGGER IF NOT EXISTS client_search_in
        AFTER INSERT ON client_message WHEN new.text IS NOT NULL
        BEGIN INSERT INTO client_search (rowid, text) VALUES (new.id, new.text); END""",
)


class NewMessage(msgspec.Struct, frozen=True):
    """A row to add. `n` is the event's number, `stamp` the service's (Unix seconds), `gap` how many
    messages are missing before this one, `raw` what a pending message still has to prove.
    """

    conversation: bytes
    state: MessageState
    kind: str
    n: int | None = None
    account: bytes | None = None
    device: bytes | None = None
    sent_at_ms: int | None = None
    stamp: int | None = None
    text: str | None = None
    rule: str | None = None
    gap: int | None = None
    window: bytes | None = None
    seq: int | None = None
    raw: bytes | None = None


_COLUMNS = ", ".join(NewMessage.__struct_fields__)
_MARKS = ", ".join("?" * len(NewMessage.__struct_fields__))


class MessageRow(TableRow, frozen=True):
    """A row for display, with the sender's handle ("" when none is known)."""

    number: int
    conversation: bytes
    n: int | None
    state: MessageState
    kind: str
    handle: str
    account: bytes | None
    sent_at_ms: int | None
    text: str
    rule: str | None
    gap: int


class PendingRow(TableRow, frozen=True):
    """A message that waits for the proof of its inclusion (F11): frame `seq` of `window`."""

    number: int
    conversation: bytes
    window: bytes
    seq: int
    raw: bytes


class CountRow(TableRow, frozen=True):
    """How many rows are in a state."""

    state: MessageState
    count: int


_MESSAGE = (
    "SELECT m.id, m.conversation, m.n, m.state, m.kind, coalesce(a.handle, ''), m.account,"
    " m.sent_at_ms, coalesce(m.text, ''), m.rule, coalesce(m.gap, 0)"
    " FROM client_message m LEFT JOIN client_account a ON a.account = m.account"
)


class MessagesTable:
    """`client_message`, `client_attachment` and `client_search`. A message is named by its row's
    number.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: NewMessage, attachments: tuple[Attachment, ...] = ()) -> int:
        """Adds a row with its attachments and returns its number."""
        values = msgspec.structs.astuple(row)
        number = int(
            self._database.value(
                f"INSERT INTO client_message ({_COLUMNS}) VALUES ({_MARKS}) RETURNING id", *values
            )
        )
        for position, attachment in enumerate(attachments):
            self._add_attachment(number, position, attachment)
        return number

    def add_note(self, conversation: bytes, n: int | None, stamp: int | None, text: str) -> None:
        """Adds a line of the app's own, told at event `n` if it belongs to one."""
        self.add(NewMessage(conversation, MessageState.NOTE, "note", n=n, stamp=stamp, text=text))

    def _add_attachment(self, message: int, position: int, attachment: Attachment) -> None:
        self._database.execute(
            "INSERT INTO client_attachment"
            " (message, position, digest, size, key, name, media_type)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            message,
            position,
            attachment.digest,
            attachment.size,
            attachment.key,
            attachment.name,
            attachment.media_type,
        )

    def attachments(self, message: int) -> tuple[Attachment, ...]:
        """A message's attachments, in order."""
        return tuple(
            self._database.rows(
                Attachment,
                "SELECT digest, size, key, name, media_type FROM client_attachment"
                " WHERE message = ? ORDER BY position",
                message,
            )
        )

    def find_own(self, digest: bytes) -> int | None:
        """One's own message by the digest of its PrivateMessage, whatever its state."""
        number: int | None = self._database.value(
            "SELECT id FROM client_message WHERE digest = ?", digest
        )
        return number

    def set_sealed(
        self, message: int, sent_at_ms: int, digest: bytes, window: bytes, seq: int
    ) -> None:
        """Notes how one's own message was sealed."""
        self._database.execute(
            "UPDATE client_message SET sent_at_ms = ?, digest = ?, window = ?, seq = ?"
            " WHERE id = ?",
            sent_at_ms,
            digest,
            window,
            seq,
            message,
        )

    def set_unsealed(self, message: int) -> None:
        """Takes that back."""
        self._database.execute(
            "UPDATE client_message SET digest = NULL, window = NULL, seq = NULL WHERE id = ?",
            message,
        )

    def set_sent(self, message: int, n: int, stamp: int) -> None:
        """Notes the service's number and stamp of one's own message, once."""
        self._database.execute(
            "UPDATE client_message SET n = ?, stamp = ?, state = ? WHERE id = ? AND state = ?",
            n,
            stamp,
            MessageState.SENT,
            message,
            MessageState.QUEUED,
        )

    def set_unsent(self, conversation: bytes) -> None:
        """Marks one's own messages that wait in a conversation as never to be sent."""
        self._database.execute(
            "UPDATE client_message SET state = ? WHERE conversation = ? AND state = ?",
            MessageState.UNSENT,
            conversation,
            MessageState.QUEUED,
        )

    def pending(self) -> list[PendingRow]:
        """The messages whose inclusion is not proved yet, in the order in which they came."""
        return self._database.rows(
            PendingRow,
            "SELECT id, conversation, window, seq, raw FROM client_message WHERE state = ?"
            " ORDER BY id",
            MessageState.PENDING,
        )

    def set_proved(self, message: int) -> None:
        """Shows a message whose inclusion is proved."""
        self._database.execute(
            "UPDATE client_message SET state = ?, raw = NULL, rule = NULL WHERE id = ?",
            MessageState.SHOWN,
            message,
        )

    def set_rule(self, message: int, rule: str) -> None:
        """Notes which rule keeps a message pending."""
        self._database.execute("UPDATE client_message SET rule = ? WHERE id = ?", rule, message)

    def counts(self, conversation: bytes | None = None) -> dict[MessageState, int]:
        """How many rows are in each state, in one conversation or in all."""
        rows = self._database.rows(
            CountRow,
            "SELECT state, count(*) FROM client_message"
            " WHERE ?1 IS NULL OR conversation = ?1 GROUP BY state",
            conversation,
        )
        return {row.state: row.count for row in rows}

    def newest(self) -> int:
        """The number of the newest row; 0 for none."""
        return int(self._database.value("SELECT coalesce(max(id), 0) FROM client_message"))

    def after(self, conversation: bytes, number: int, limit: int) -> list[MessageRow]:
        """Rows with a number over `number`, in the order in which they were taken in."""
        return self._database.rows(
            MessageRow,
            f"{_MESSAGE} WHERE m.conversation = ? AND m.id > ? ORDER BY m.id LIMIT ?",
            conversation,
            number,
            limit,
        )

    def search(self, words: str, limit: int) -> list[MessageRow]:
        """Messages that were shown, sent or queued and contain all of `words`, newest first."""
        quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
        if not quoted:
            return []
        return self._database.rows(
            MessageRow,
            f"{_MESSAGE} WHERE m.id IN"
            " (SELECT rowid FROM client_search WHERE client_search MATCH ?)"
            " AND m.state IN (?, ?, ?) ORDER BY m.id DESC LIMIT ?",
            quoted,
            MessageState.SHOWN,
            MessageState.SENT,
            MessageState.QUEUED,
            limit,
        )
