"""Single values: who this device is, where it is in the lists it follows, what is due.

A name is never given another meaning: devices in use have it in their databases.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

from counterseal.client.store.database import Database, Value

TABLES = ("CREATE TABLE IF NOT EXISTS client_setting (name TEXT PRIMARY KEY, value)",)

T = TypeVar("T", bytes, int, str)


class Setting(Generic[T]):
    """One named value: reading the attribute reads the row, assigning to it writes the row. None
    when it was never set.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, table: None, owner: type[SettingsTable]) -> Setting[T]: ...
    @overload
    def __get__(self, table: SettingsTable, owner: type[SettingsTable]) -> T | None: ...
    def __get__(
        self, table: SettingsTable | None, owner: type[SettingsTable]
    ) -> Setting[T] | T | None:
        if table is None:
            return self
        value: T | None = table.get(self._name)
        return value

    def __set__(self, table: SettingsTable, value: T | None) -> None:
        table.put(self._name, value)


class SettingsTable:
    """`client_setting`. Ids, keys and seeds are 32 bytes; times are Unix seconds."""

    account = Setting[bytes]("account")
    """The account's id."""
    handle = Setting[str]("handle")
    """The account's handle, without `@` and domain."""
    name = Setting[str]("name")
    """The name that others are shown."""
    registered = Setting[int]("registered")
    """1 once the service has the account, and its chain this device."""

    account_seed = Setting[bytes]("account_seed")
    """The account's signing key; only main devices have it."""
    recovery = Setting[bytes]("recovery")
    """What is behind the recovery phrase, until the owner has confirmed having written it down."""
    recovery_sealed = Setting[bytes]("recovery_sealed")
    """The same afterwards, sealed under the folder's passphrase; None for a folder without one."""
    recovering = Setting[int]("recovering")
    """1 while a recovery is under way."""
    recovering_to = Setting[int]("recovering_to")
    """The generation of the account key that it goes to."""
    device_seed = Setting[bytes]("device_seed")
    """This device's signing key."""
    notice_seed = Setting[bytes]("notice_seed")
    """The key that notices for this account are sealed to."""
    account_statement = Setting[bytes]("account_statement")
    """The chain's first statement, kept so that a registration can be taken up again."""
    device_statement = Setting[bytes]("device_statement")
    """The chain's second statement with its possession, kept for the same reason."""

    link_request = Setting[bytes]("link_request")
    """What a second device asked its account's first one."""
    link_seed = Setting[bytes]("link_seed")
    """The key that the answer to that is sealed to; forgotten when it has come."""

    charter_in_force = Setting[bytes]("charter_in_force")
    """Digest of the charter that new messages are sealed under."""
    checkpoint = Setting[bytes]("checkpoint")
    """`[origin, size, root]` of the log's largest checkpoint ever seen."""
    inbox = Setting[int]("inbox")
    """Number of the last inbox entry that was taken in."""
    stocked = Setting[int]("stocked")
    """When key packages were last left with the service."""

    # so that an assignment to a name that is no setting fails
    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def notices_after(self, source: str) -> int:
        """Number of the last notice that was tried from `source`: a witness's name, or
        "service".
        """
        return int(self.get(f"notices:{source}") or 0)

    def set_notices_after(self, source: str, number: int) -> None:
        """Moves on in the notices of `source`."""
        self.put(f"notices:{source}", number)

    def leaf_made(self, conversation: bytes) -> int | None:
        """When this device last renewed its leaf in a conversation."""
        made: int | None = self.get(f"leaf:{conversation.hex()}")
        return made

    def set_leaf_made(self, conversation: bytes, time: int) -> None:
        """Notes that this device's leaf is new."""
        self.put(f"leaf:{conversation.hex()}", time)

    def is_refresh_due(self, conversation: bytes) -> bool:
        """Whether the next commit has to come before the next message, for fresh MLS secrets."""
        return bool(self.get(f"refresh:{conversation.hex()}"))

    def demand_refresh(self, conversation: bytes) -> None:
        """Has the next sender of this device commit first."""
        self.put(f"refresh:{conversation.hex()}", 1)

    def clear_refresh(self, conversation: bytes) -> None:
        """Notes that a commit of this device was accepted."""
        self._database.execute(
            "DELETE FROM client_setting WHERE name = ?", f"refresh:{conversation.hex()}"
        )

    def get(self, name: str) -> Any:
        """The value of a setting by its name, or None."""
        return self._database.value("SELECT value FROM client_setting WHERE name = ?", name)

    def put(self, name: str, value: Value) -> None:
        """Sets a setting by its name."""
        self._database.execute(
            "INSERT OR REPLACE INTO client_setting (name, value) VALUES (?, ?)", name, value
        )
