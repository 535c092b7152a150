"""Changes of membership under way: this device's commit whose fate is not known, and proposals that
wait for somebody's commit.
"""

from __future__ import annotations

from typing import Any

from counterseal.client.store.database import Database, TableRow
from counterseal.protocol import cbor

TABLES = (
    """CREATE TABLE IF NOT EXISTS client_commit (
        conversation BLOB PRIMARY KEY, epoch INTEGER, message BLOB, recipients BLOB, welcome BLOB,
        tree BLOB)""",
    """CREATE TABLE IF NOT EXISTS client_proposal (
        conversation BLOB, message BLOB, epoch INTEGER, own INTEGER, device BLOB)""",
)
_RECIPIENTS_MAX = 1 << 20


class CommitRow(TableRow, frozen=True):
    """A commit made here, kept until its event is seen, with all that offering it again takes.

    For a group that is being created, `message` is its GroupInfo and `epoch` 0. `recipients` is the
    CBOR array of the devices that the welcome is for.
    """

    epoch: int
    message: bytes
    recipients: bytes | None
    welcome: bytes | None
    tree: bytes

    def welcomed(self) -> tuple[bytes, ...] | None:
        """The devices that the welcome is for; None when nobody is added."""
        if self.recipients is None:
            return None
        devices: Any = cbor.decode(self.recipients, _RECIPIENTS_MAX)
        return tuple(devices)


class CommitsTable:
    """`client_commit`, at most one row a conversation, and `client_proposal`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def commit(self, conversation: bytes) -> CommitRow | None:
        """The commit of this device that waits for its event."""
        return self._database.row(
            CommitRow,
            "SELECT epoch, message, recipients, welcome, tree FROM client_commit"
            " WHERE conversation = ?",
            conversation,
        )

    def has_commit(self, conversation: bytes) -> bool:
        """Whether a commit of this device waits."""
        return self._database.exists(
            "SELECT 1 FROM client_commit WHERE conversation = ?", conversation
        )

    def add_commit(self, conversation: bytes, row: CommitRow) -> None:
        """Keeps a commit until its event is seen."""
        self._database.execute(
            "INSERT INTO client_commit (conversation, epoch, message, recipients, welcome, tree)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            conversation,
            row.epoch,
            row.message,
            row.recipients,
            row.welcome,
            row.tree,
        )

    def drop_commit(self, conversation: bytes) -> None:
        """Forgets the commit: accepted, or given up."""
        self._database.execute("DELETE FROM client_commit WHERE conversation = ?", conversation)

    def own_proposal(self, conversation: bytes, epoch: int) -> bytes | None:
        """This device's own proposal to leave, made in `epoch`."""
        message: bytes | None = self._database.value(
            "SELECT message FROM client_proposal WHERE conversation = ? AND own = 1 AND epoch = ?",
            conversation,
            epoch,
        )
        return message

    def has_proposal(self, conversation: bytes, message: bytes) -> bool:
        """Whether that proposal is known."""
        return self._database.exists(
            "SELECT 1 FROM client_proposal WHERE conversation = ? AND message = ?",
            conversation,
            message,
        )

    def has_proposals(self, conversation: bytes) -> bool:
        """Whether any proposal waits, one's own among them."""
        return self._database.exists(
            "SELECT 1 FROM client_proposal WHERE conversation = ?", conversation
        )

    def has_others_proposals(self, conversation: bytes) -> bool:
        """Whether a proposal of another member waits."""
        return self._database.exists(
            "SELECT 1 FROM client_proposal WHERE conversation = ? AND own = 0", conversation
        )

    def proposing_devices(self, conversation: bytes) -> set[bytes | None]:
        """The devices that asked to be removed; None is this one."""
        return set(
            self._database.values(
                "SELECT device FROM client_proposal WHERE conversation = ?", conversation
            )
        )

    def add_own_proposal(self, conversation: bytes, message: bytes, epoch: int) -> None:
        """Keeps this device's own proposal to leave."""
        self._database.execute(
            "INSERT INTO client_proposal (conversation, message, epoch, own) VALUES (?, ?, ?, 1)",
            conversation,
            message,
            epoch,
        )

    def add_proposal(self, conversation: bytes, message: bytes, epoch: int, device: bytes) -> None:
        """Keeps another member's proposal to leave."""
        self._database.execute(
            "INSERT INTO client_proposal (conversation, message, epoch, own, device)"
            " VALUES (?, ?, ?, 0, ?)",
            conversation,
            message,
            epoch,
            device,
        )

    def drop_proposals(self, conversation: bytes) -> None:
        """Forgets the proposals: a new epoch has begun."""
        self._database.execute("DELETE FROM client_proposal WHERE conversation = ?", conversation)
