"""What this device has to say and the service has not acknowledged: waiting, or sealed."""

from __future__ import annotations

from counterseal.client.store.database import Database, TableRow

TABLES = (
    """CREATE TABLE IF NOT EXISTS client_outbox (
        message INTEGER PRIMARY KEY, conversation BLOB, window BLOB, seq INTEGER, sealed BLOB)""",
)


class WaitingRow(TableRow, frozen=True):
    """A message that is not sealed yet. `wanted_ms` is the time that it asks for, in Unix
    milliseconds.
    """

    message: int
    kind: str
    text: str
    wanted_ms: int | None


class SealedRow(TableRow, frozen=True):
    """A message that is sealed as frame `seq` of `window`."""

    message: int
    window: bytes
    seq: int
    sealed: bytes


class OutboxTable:
    """`client_outbox`: one row for each of one's own messages that is "queued"."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, message: int, conversation: bytes) -> None:
        """Takes a row of the history into the outbox."""
        self._database.execute(
            "INSERT INTO client_outbox (message, conversation) VALUES (?, ?)",
            message,
            conversation,
        )

    def is_empty(self, conversation: bytes) -> bool:
        """Whether nothing waits in a conversation."""
        return not self._database.exists(
            "SELECT 1 FROM client_outbox WHERE conversation = ? LIMIT 1", conversation
        )

    def conversations(self) -> list[bytes]:
        """Ids of the conversations in which something waits."""
        return self._database.values("SELECT DISTINCT conversation FROM client_outbox")

    def waiting(self, conversation: bytes, limit: int) -> list[WaitingRow]:
        """What is not sealed yet, in order."""
        return self._database.rows(
            WaitingRow,
            "SELECT o.message, m.kind, m.text, m.sent_at_ms"
            " FROM client_outbox o JOIN client_message m ON m.id = o.message"
            " WHERE o.conversation = ? AND o.sealed IS NULL ORDER BY o.message LIMIT ?",
            conversation,
            limit,
        )

    def sealed(self, conversation: bytes, limit: int | None = None) -> list[SealedRow]:
        """What is sealed and not acknowledged, in order; all of it without a limit."""
        return self._database.rows(
            SealedRow,
            "SELECT message, window, seq, sealed FROM client_outbox"
            " WHERE conversation = ? AND sealed IS NOT NULL ORDER BY message LIMIT ?",
            conversation,
            # SQLite takes a negative limit for none
            -1 if limit is None else limit,
        )

    def set_sealed(self, row: SealedRow) -> None:
        """Keeps the sealed bytes: what is posted is always what is kept."""
        self._database.execute(
            "UPDATE client_outbox SET window = ?, seq = ?, sealed = ? WHERE message = ?",
            row.window,
            row.seq,
            row.sealed,
            row.message,
        )

    def set_unsealed(self, message: int) -> None:
        """Forgets the sealed bytes, so that the message is sealed anew."""
        self._database.execute(
            "UPDATE client_outbox SET window = NULL, seq = NULL, sealed = NULL WHERE message = ?",
            message,
        )

    def remove(self, message: int) -> None:
        """Takes out a message that the service acknowledged."""
        self._database.execute("DELETE FROM client_outbox WHERE message = ?", message)

    def clear(self, conversation: bytes) -> None:
        """Takes out everything of a conversation in which nothing can be sent any more."""
        self._database.execute("DELETE FROM client_outbox WHERE conversation = ?", conversation)
