"""Accounts that were looked up and proved, their devices, and devices of one's own to bring in."""

from __future__ import annotations

from counterseal.client.store.database import Database, TableRow

TABLES = (
    """CREATE TABLE IF NOT EXISTS client_account (
        account BLOB PRIMARY KEY, handle TEXT, name TEXT, notice_key BLOB, head BLOB,
        statements INTEGER, checked_at INTEGER)""",
    """CREATE TABLE IF NOT EXISTS client_account_device (
        device BLOB PRIMARY KEY, account BLOB, number INTEGER, added INTEGER, revoked INTEGER)""",
    "CREATE TABLE IF NOT EXISTS client_adopt (device BLOB PRIMARY KEY)",
)


class KnownAccount(TableRow, frozen=True):
    """An account as it was looked up last. `handle` is empty when no directory root named it yet;
    `head` is the digest of the chain's last statement, `checked_at` Unix seconds.
    """

    account: bytes
    handle: str
    name: str
    notice_key: bytes
    head: bytes
    statements: int
    checked_at: int


class AccountDeviceRow(TableRow, frozen=True):
    """A device of an account. `number` is its statement's place in the chain; `added` and `revoked`
    are Unix seconds.
    """

    device: bytes
    account: bytes
    number: int
    added: int
    revoked: int | None


_ACCOUNT = (
    "SELECT account, handle, name, notice_key, head, statements, checked_at FROM client_account"
)
_DEVICE = "SELECT device, account, number, added, revoked FROM client_account_device"


class AccountsTable:
    """`client_account`, `client_account_device` and `client_adopt`. Ids and keys are 32 bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def account(self, account: bytes) -> KnownAccount | None:
        """The account, if it was ever looked up."""
        return self._database.row(KnownAccount, f"{_ACCOUNT} WHERE account = ?", account)

    def handle(self, account: bytes) -> str:
        """The account's proved handle; empty when there is none."""
        return str(
            self._database.value("SELECT handle FROM client_account WHERE account = ?", account)
            or ""
        )

    def put_account(self, row: KnownAccount) -> None:
        """Keeps an account in the place of what was known of it."""
        self._database.execute(
            "INSERT OR REPLACE INTO client_account"
            " (account, handle, name, notice_key, head, statements, checked_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            row.account,
            row.handle,
            row.name,
            row.notice_key,
            row.head,
            row.statements,
            row.checked_at,
        )

    def device(self, device: bytes) -> AccountDeviceRow | None:
        """A device by its key, whosever it is."""
        return self._database.row(AccountDeviceRow, f"{_DEVICE} WHERE device = ?", device)

    def devices(self, account: bytes) -> list[AccountDeviceRow]:
        """All devices of an account, revoked ones among them, in the order of its chain."""
        return self._database.rows(
            AccountDeviceRow, f"{_DEVICE} WHERE account = ? ORDER BY number", account
        )

    def add_device(self, device: bytes, account: bytes, number: int, added: int) -> None:
        """Keeps a device of an account's chain."""
        self._database.execute(
            "INSERT OR IGNORE INTO client_account_device (device, account, number, added)"
            " VALUES (?, ?, ?, ?)",
            device,
            account,
            number,
            added,
        )

    def revoke_device(self, device: bytes, time: int) -> None:
        """Notes that a device was revoked at `time`."""
        self._database.execute(
            "UPDATE client_account_device SET revoked = ? WHERE device = ?", time, device
        )

    def devices_to_adopt(self) -> list[bytes]:
        """Devices of this account that were approved here and are not in every conversation yet."""
        return self._database.values("SELECT device FROM client_adopt")

    def adopt_device(self, device: bytes) -> None:
        """Has a device brought into every conversation."""
        self._database.execute("INSERT OR IGNORE INTO client_adopt (device) VALUES (?)", device)

    def finish_adopting(self, device: bytes) -> None:
        """Notes that a device is in every conversation."""
        self._database.execute("DELETE FROM client_adopt WHERE device = ?", device)
