"""This device's own windows: which serial each has, and whether the service has its counterseal."""

from __future__ import annotations

from counterseal.client.states import WindowState
from counterseal.client.store.database import Database, TableRow

TABLES = (
    """CREATE TABLE IF NOT EXISTS client_window (
        window BLOB PRIMARY KEY, conversation BLOB, opens INTEGER, closes INTEGER, serial INTEGER,
        posted INTEGER)""",
)


class WindowRow(TableRow, frozen=True):
    """A window. `opens` and `closes` are Unix seconds."""

    window: bytes
    conversation: bytes
    opens: int
    closes: int
    serial: int
    state: WindowState


_WINDOW = "SELECT window, conversation, opens, closes, serial, posted FROM client_window"


class WindowsTable:
    """`client_window`; the column `posted` is the state. Window ids are 32 bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self, window: bytes) -> WindowState | None:
        """A window's state."""
        row = self._database.row(WindowRow, f"{_WINDOW} WHERE window = ?", window)
        return row.state if row else None

    def of_conversation(self, conversation: bytes) -> list[WindowRow]:
        """A conversation's windows, in the order of their serials."""
        return self._database.rows(
            WindowRow, f"{_WINDOW} WHERE conversation = ? ORDER BY serial", conversation
        )

    def newest(self, conversation: bytes) -> WindowRow | None:
        """The conversation's window with the highest serial."""
        return self._database.row(
            WindowRow,
            f"{_WINDOW} WHERE conversation = ? ORDER BY serial DESC LIMIT 1",
            conversation,
        )

    def spent_since_posted(self, conversation: bytes) -> int:
        """How many windows were spent since one was last posted."""
        return int(
            self._database.value(
                "SELECT count(*) FROM client_window"
                " WHERE conversation = ?1 AND posted = ?2 AND serial > coalesce("
                "(SELECT max(serial) FROM client_window WHERE conversation = ?1 AND posted = ?3),"
                " 0)",
                conversation,
                WindowState.SPENT,
                WindowState.POSTED,
            )
        )

    def add(self, row: WindowRow) -> None:
        """Notes a window, in the transaction that opens it."""
        self._database.execute(
            "INSERT INTO client_window (window, conversation, opens, closes, serial, posted)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row.window,
            row.conversation,
            row.opens,
            row.closes,
            row.serial,
            row.state,
        )

    def set_posted(self, window: bytes) -> None:
        """Notes that the service has the counterseal, unless the window was spent meanwhile."""
        self._database.execute(
            "UPDATE client_window SET posted = ? WHERE window = ? AND posted = ?",
            WindowState.POSTED,
            window,
            WindowState.MADE,
        )

    def set_spent(self, window: bytes) -> None:
        """Has a window not used again."""
        self._database.execute(
            "UPDATE client_window SET posted = ? WHERE window = ?", WindowState.SPENT, window
        )

    def set_unposted(self, conversation: bytes) -> None:
        """Has each of a conversation's windows posted again before it is used."""
        self._database.execute(
            "UPDATE client_window SET posted = ? WHERE conversation = ? AND posted = ?",
            WindowState.MADE,
            conversation,
            WindowState.POSTED,
        )
