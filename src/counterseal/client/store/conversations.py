"""Conversations: what each is called, whether this device is in it, and how far it has read."""

from __future__ import annotations

from counterseal.client.states import ConversationState
from counterseal.client.store.database import Database, TableRow
from counterseal.protocol.errors import NotFound

TABLES = (
    """CREATE TABLE IF NOT EXISTS client_conversation (
        id BLOB PRIMARY KEY, name TEXT, state TEXT, cursor INTEGER, sentence TEXT, charter BLOB,
        created INTEGER)""",
)


class ConversationRow(TableRow, frozen=True):
    """A conversation. `name` is this device's own word for it, `sentence` says why it is in its
    state, `cursor` is the number of the last event that was taken in, `created` Unix seconds.
    """

    id: bytes
    name: str
    state: ConversationState
    cursor: int
    sentence: str | None
    charter: bytes
    created: int


_CONVERSATION = (
    "SELECT id, name, state, cursor, sentence, charter, created FROM client_conversation"
)


class ConversationsTable:
    """`client_conversation`. Ids are 16 bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, conversation: bytes) -> ConversationRow | None:
        """The conversation, if this device was ever in it or invited to it."""
        return self._database.row(ConversationRow, f"{_CONVERSATION} WHERE id = ?", conversation)

    def all(self) -> list[ConversationRow]:
        """Every conversation, oldest first."""
        return self._database.rows(ConversationRow, f"{_CONVERSATION} ORDER BY created, id")

    def ids(self, *states: ConversationState) -> list[bytes]:
        """Ids of the conversations in one of `states`, oldest first."""
        return [row.id for row in self.all() if row.state in states]

    def state(self, conversation: bytes) -> ConversationState:
        """The conversation's state. Raises `NotFound` when this device knows none of that id."""
        row = self.find(conversation)
        if row is None:
            raise NotFound(
                f"This device is in no conversation {conversation.hex()[:8]}.",
                code="no-conversation",
            )
        return row.state

    def cursor(self, conversation: bytes) -> int:
        """The number of the last event that was taken in; 0 for none."""
        return int(
            self._database.value(
                "SELECT cursor FROM client_conversation WHERE id = ?", conversation
            )
            or 0
        )

    def set_cursor(self, conversation: bytes, n: int) -> None:
        """Moves the cursor forward, in the transaction of what it stands for."""
        self._database.execute(
            "UPDATE client_conversation SET cursor = ? WHERE id = ? AND cursor < ?",
            n,
            conversation,
            n,
        )

    def enter(
        self, conversation: bytes, name: str, cursor: int, charter: bytes, created: int
    ) -> None:
        """Makes a conversation active that this device has come into. One that it had left starts
        again, under its old name.
        """
        self._database.execute(
            "INSERT INTO client_conversation (id, name, state, cursor, charter, created)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state,"
            " cursor = excluded.cursor, charter = excluded.charter, sentence = NULL",
            conversation,
            name,
            ConversationState.ACTIVE,
            cursor,
            charter,
            created,
        )

    def set_state(
        self, conversation: bytes, state: ConversationState, sentence: str | None = None
    ) -> None:
        """Changes the state, with the sentence that says why."""
        self._database.execute(
            "UPDATE client_conversation SET state = ?, sentence = ? WHERE id = ?",
            state,
            sentence,
            conversation,
        )

    def finish_creating(self, conversation: bytes) -> None:
        """Makes a conversation active that was being made."""
        self._database.execute(
            "UPDATE client_conversation SET state = ? WHERE id = ? AND state = ?",
            ConversationState.ACTIVE,
            conversation,
            ConversationState.CREATING,
        )

    def set_sentence(self, conversation: bytes, sentence: str) -> None:
        """Notes what is the matter with a conversation whose state stays."""
        self._database.execute(
            "UPDATE client_conversation SET sentence = ? WHERE id = ?", sentence, conversation
        )

    def set_charter(self, conversation: bytes, charter: bytes) -> None:
        """Notes the charter that applies from here on."""
        self._database.execute(
            "UPDATE client_conversation SET charter = ? WHERE id = ?", charter, conversation
        )
