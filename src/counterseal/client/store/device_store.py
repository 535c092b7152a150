"""The open database of a device as one object: its tables, its MLS state, its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from counterseal.client.store import (
    accounts,
    commits,
    conversations,
    messages,
    notices,
    outbox,
    rules,
    settings,
    windows,
)
from counterseal.client.store.database import Database
from counterseal.core._core import Device

TABLES = (
    *settings.TABLES,
    *rules.TABLES,
    *accounts.TABLES,
    *conversations.TABLES,
    *commits.TABLES,
    *messages.TABLES,
    *outbox.TABLES,
    *windows.TABLES,
    *notices.TABLES,
)
"""Every statement that makes a table, an index or a trigger."""


class DeviceStore:
    """The tables, one attribute a group. `device` is the compiled core's: its groups, windows and
    frames write in the same transaction.
    """

    def __init__(self, device: Device) -> None:
        database = Database(device)
        self._database = database
        self.device = device
        self.settings = settings.SettingsTable(database)
        self.rules = rules.RulesTable(database)
        self.accounts = accounts.AccountsTable(database)
        self.conversations = conversations.ConversationsTable(database)
        self.commits = commits.CommitsTable(database)
        self.messages = messages.MessagesTable(database)
        self.outbox = outbox.OutboxTable(database)
        self.windows = windows.WindowsTable(database)
        self.notices = notices.NoticesTable(database)

    def create_tables(self) -> None:
        """Makes the tables that are not there yet."""
        with self.transaction():
            for statement in TABLES:
                self._database.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; a block inside another joins it."""
        with self._database.transaction():
            yield
