"""Which stores there are: each folder beside this file is one, under its name.

The setting `[store] kind` chooses among them.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from counterseal.protocol.errors import BadInput
from counterseal.service.store.interface import Store


def kinds() -> list[str]:
    """The names of all stores."""
    here = str(Path(__file__).parent)
    return sorted(found.name for found in pkgutil.iter_modules([here]) if found.ispkg)


def open_store(kind: str, directory: Path, on_fatal: Callable[[BaseException], None]) -> Store:
    """The store of a data directory, opened.

    Raises `BadInput` "settings" for a kind that there is not.
    """
    if kind not in kinds():
        near = difflib.get_close_matches(kind, kinds(), 1, 0.0)[0]
        raise BadInput(
            f'[store] kind: there is no store "{kind}"; the nearest is "{near}".', code="settings"
        )
    package = importlib.import_module(f"counterseal.service.store.{kind}")
    store: Store = package.open_store(directory, on_fatal)
    return store
