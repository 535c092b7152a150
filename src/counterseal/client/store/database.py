"""The device's one connection: transactions, and rows with types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from counterseal.client.core_errors import core_errors
from counterseal.core._core import Device


class TableRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of a query: its fields are the selected columns, in order."""


R = TypeVar("R", bound=msgspec.Struct)
Value = bytes | int | str | None


class Database:
    """The compiled core's connection. Errors of the core come out as the one family of errors."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._open = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; a block inside another joins it."""
        with core_errors():
            if self._open:
                yield
                return
            self._device.begin()
            self._open = True
            try:
                yield
                self._device.commit()
            except BaseException:
                self._device.rollback()
                raise
            finally:
                self._open = False

    def execute(self, sql: str, *params: Value) -> None:
        """Runs one statement and drops what it returns."""
        self._run(sql, params)

    def rows(self, kind: type[R], sql: str, *params: Value) -> list[R]:
        """All rows of one statement."""
        return [_convert(row, kind) for row in self._run(sql, params)]

    def row(self, kind: type[R], sql: str, *params: Value) -> R | None:
        """The first row, or None."""
        found = self._run(sql, params)
        return _convert(found[0], kind) if found else None

    def values(self, sql: str, *params: Value) -> list[Any]:
        """The one column of a statement that selects one."""
        return [value for (value,) in self._run(sql, params)]

    def value(self, sql: str, *params: Value) -> Any:
        """The one column of the first row; None when there is no row."""
        return next(iter(self.values(sql, *params)), None)

    def exists(self, sql: str, *params: Value) -> bool:
        """Whether the statement selects anything."""
        return bool(self._run(sql, params))

    def _run(self, sql: str, params: tuple[Value, ...]) -> list[tuple[Any, ...]]:
        with core_errors():
            return self._device.execute(sql, params)


def _convert(row: tuple[Any, ...], kind: type[R]) -> R:
    # bytes stay bytes; what is stored of an enum is its value
    return msgspec.convert(row, kind, builtin_types=(bytes,))
