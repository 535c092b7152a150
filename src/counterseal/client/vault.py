"""The client's own tables, in the same database and on the same connection as the MLS state.

One connection is what makes "the cursor, the ratchet and the message row" one transaction: a crash
leaves all of them or none. Every function here is a short read or write; what to write is decided
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from counterseal.core._core import CoreError, Device
from counterseal.protocol.errors import (
    BadInput,
    CountersealError,
    FatalError,
    NotFound,
    Refused,
    Unavailable,
)

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS client_setting (name TEXT PRIMARY KEY, value)",
    """CREATE TABLE IF NOT EXISTS client_charter (
        digest BLOB PRIMARY KEY, version INTEGER UNIQUE, statement BLOB, log_index INTEGER, logged_at INTEGER)""",
    """CREATE TABLE IF NOT EXISTS client_keyset (
        digest BLOB PRIMARY KEY, charter BLOB, quarter INTEGER, statement BLOB, log_index INTEGER, UNIQUE (charter, quarter))""",
    """CREATE TABLE IF NOT EXISTS client_account (
        account BLOB PRIMARY KEY, handle TEXT, name TEXT, notice_key BLOB, head BLOB, statements INTEGER, checked_at INTEGER)""",
    """CREATE TABLE IF NOT EXISTS client_account_device (
        device BLOB PRIMARY KEY, account BLOB, number INTEGER, added INTEGER, revoked INTEGER)""",
    """CREATE TABLE IF NOT EXISTS client_conversation (
        id BLOB PRIMARY KEY, name TEXT, state TEXT, cursor INTEGER, sentence TEXT, charter BLOB, created INTEGER)""",
    """CREATE TABLE IF NOT EXISTS client_commit (
        conversation BLOB PRIMARY KEY, epoch INTEGER, message BLOB, recipients BLOB, welcome BLOB, tree BLOB)""",
    "CREATE TABLE IF NOT EXISTS client_proposal (conversation BLOB, message BLOB, epoch INTEGER, own INTEGER, device BLOB)",
    """CREATE TABLE IF NOT EXISTS client_message (
        id INTEGER PRIMARY KEY, conversation BLOB, n INTEGER, kind TEXT, account BLOB, device BLOB, sent_at_ms INTEGER,
        stamp INTEGER, text TEXT, state TEXT, rule TEXT, gap INTEGER, window BLOB, seq INTEGER, digest BLOB, raw BLOB)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS client_message_place ON client_message (conversation, n) WHERE n IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS client_message_digest ON client_message (digest) WHERE digest IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS client_message_state ON client_message (state, conversation)",
    """CREATE TABLE IF NOT EXISTS client_attachment (
        message INTEGER, position INTEGER, digest BLOB, size INTEGER, key BLOB, name TEXT, media_type TEXT,
        PRIMARY KEY (message, position))""",
    """CREATE TABLE IF NOT EXISTS client_outbox (
        message INTEGER PRIMARY KEY, conversation BLOB, window BLOB, seq INTEGER, sealed BLOB)""",
    """CREATE TABLE IF NOT EXISTS client_window (
        window BLOB PRIMARY KEY, conversation BLOB, opens INTEGER, closes INTEGER, serial INTEGER, posted INTEGER)""",
    "CREATE TABLE IF NOT EXISTS client_period (digest BLOB PRIMARY KEY, log_index INTEGER)",
    "CREATE TABLE IF NOT EXISTS client_adopt (device BLOB PRIMARY KEY)",
    """CREATE TABLE IF NOT EXISTS client_notice (
        warrant BLOB, witness TEXT, statement BLOB, received INTEGER, PRIMARY KEY (warrant, witness))""",
    "CREATE VIRTUAL TABLE IF NOT EXISTS client_search USING fts5 (text, content='client_message', content_rowid='id')",
    """CREATE TRIGGER IF NOT EXISTS client_search_in AFTER INSERT ON client_message WHEN new.text IS NOT NULL BEGIN
        INSERT INTO client_search (rowid, text) VALUES (new.id, new.text); END""",
)

_UNAVAILABLE = {"busy": "Another program has this device open; try again when it is done."}


@contextmanager
def core_errors() -> Iterator[None]:
    """Turns what the compiled floor refuses into the one error family: numbered rules and "mls" to
    Refused, the rest by its kind.
    """
    try:
        yield
    except CoreError as error:
        raise translated(error) from None


def translated(error: CoreError) -> CountersealError | FatalError:
    """The error of the one family that a core's error is."""
    code, message = error.code, error.message
    if code == "fatal":
        return FatalError(message)
    if code in _UNAVAILABLE:
        return Unavailable(_UNAVAILABLE[code], code=code)
    if code == "store":
        return Unavailable(f"The device's database cannot be read or written: {message}", code=code)
    if code == "usage":
        return BadInput(message, code=code)
    return Refused(code, message)


class Vault:
    """The open database. `device` is the compiled core's; its groups and these tables share one
    transaction.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self._depth = 0

    def create_tables(self) -> None:
        """Makes the tables, once."""
        with self.transaction():
            for statement in _SCHEMA:
                self.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; a block inside another joins it. Errors of the core come out as
        CountersealError or FatalError.
        """
        if self._depth:
            with core_errors():
                yield
            return
        with core_errors():
            self.device.begin()
            self._depth = 1
            try:
                yield
                self.device.commit()
            except BaseException:
                self.device.rollback()
                raise
            finally:
                self._depth = 0

    def execute(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of one SQL statement."""
        with core_errors():
            return self.device.execute(sql, params)

    def one(self, sql: str, *params: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        rows = self.execute(sql, *params)
        return rows[0] if rows else None

    # settings
    def get(self, name: str) -> Any:
        """A setting's value (bytes, int or text), or None."""
        row = self.one("SELECT value FROM client_setting WHERE name = ?", name)
        return row[0] if row else None

    def put(self, name: str, value: bytes | int | str | None) -> None:
        """Sets a setting."""
        self.execute(
            "INSERT OR REPLACE INTO client_setting (name, value) VALUES (?, ?)", name, value
        )

    # conversations
    def state(self, conversation: bytes) -> str:
        """ "active", "leaving", "left" or "broken". Errors: NotFound."""
        row = self.one("SELECT state FROM client_conversation WHERE id = ?", conversation)
        if row is None:
            raise NotFound(
                f"This device is in no conversation {conversation.hex()[:8]}.",
                code="no-conversation",
            )
        return str(row[0])

    def conversations(self, *states: str) -> list[bytes]:
        """Ids (16 bytes) of the conversations in one of `states`."""
        rows = self.execute("SELECT id, state FROM client_conversation ORDER BY created, id")
        return [conversation for conversation, state in rows if state in states]

    def cursor(self, conversation: bytes) -> int:
        """The number of the last event that was processed; 0 for none."""
        row = self.one("SELECT cursor FROM client_conversation WHERE id = ?", conversation)
        return int(row[0]) if row else 0

    def set_cursor(self, conversation: bytes, n: int) -> None:
        """Moves the cursor forward, in the transaction of what it stands for."""
        self.execute(
            "UPDATE client_conversation SET cursor = ? WHERE id = ? AND cursor < ?",
            n,
            conversation,
            n,
        )

    def new_conversation(
        self, conversation: bytes, name: str, cursor: int, charter: bytes, created: int
    ) -> None:
        """A conversation this device has just come into. `created` is Unix seconds. One that it had
        left starts again.
        """
        self.execute(
            "INSERT INTO client_conversation (id, name, state, cursor, charter, created) VALUES (?, ?, 'active', ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET state = 'active', cursor = excluded.cursor, charter = excluded.charter, sentence = NULL",
            conversation, name, cursor, charter, created,
        )  # fmt: skip

    def set_state(self, conversation: bytes, state: str, sentence: str | None = None) -> None:
        """Changes a conversation's state, with the sentence that says why."""
        self.execute(
            "UPDATE client_conversation SET state = ?, sentence = ? WHERE id = ?",
            state,
            sentence,
            conversation,
        )

    # messages
    def add_message(self, conversation: bytes, columns: dict[str, Any]) -> int:
        """A row of the conversation's history; gives its number."""
        names = ["conversation", *columns]
        marks = ", ".join("?" * len(names))
        sql = f"INSERT INTO client_message ({', '.join(names)}) VALUES ({marks}) RETURNING id"
        row = self.one(sql, conversation, *columns.values())
        assert row is not None
        return int(row[0])

    def add_line(self, conversation: bytes, n: int | None, stamp: int | None, text: str) -> None:
        """A line of the app's own in the history: who came and went, a new charter, a broken
        conversation.
        """
        self.add_message(
            conversation, {"n": n, "kind": "note", "stamp": stamp, "text": text, "state": "note"}
        )

    def count(self, sql: str, params: Sequence[Any] = ()) -> int:
        """The one number that `sql` gives."""
        row = self.one(sql, *params)
        return int(row[0]) if row else 0
