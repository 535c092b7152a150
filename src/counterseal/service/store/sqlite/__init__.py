"""The store in one SQLite file: the only place that knows `apsw`."""

from __future__ import annotations

from counterseal.service.store.sqlite.store import SqliteStore as open_store

__all__ = ["open_store"]
