"""Where a log, a ledger and records are read from: a service, or a folder of its answers.

Nothing that comes from a source is believed; whoever asked verifies.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

from counterseal.protocol import cbor
from counterseal.protocol.errors import NotFound, Refused

from . import store

ANSWER_MAX = 256 << 20
"""Bytes that one answer may have."""


class Source(Protocol):
    """Where a log, a ledger and records are read from: a service, or a folder of files carried to a
    machine without a network.
    """

    def get(self, path: str, *, signed: bool = False) -> bytes:
        """The bytes at `path`, which begins with a slash. `signed` asks as the institution. Raises
        `NotFound` or `Unavailable`.
        """
        ...


def get_array(source: Source, path: str, *, signed: bool = False) -> tuple[Any, ...]:
    """The CBOR array at `path`, right in encoding and nothing more. Raises `Refused` E1 to E7,
    `NotFound`, `Unavailable`.
    """
    value = cbor.decode(source.get(path, signed=signed), ANSWER_MAX)
    if type(value) is not tuple:
        raise Refused("E6", f"The answer to {path} is not an array.")
    return value


class Folder:
    """A `Source` in a directory of files, carried to a machine without a network. Each file is one
    answer of the service.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, path: str, *, signed: bool = False) -> bytes:
        """See `Source`."""
        try:
            return (self._root / file_name(path)).read_bytes()
        except FileNotFoundError:
            raise NotFound(
                f"The folder {self._root} has no answer to {path}. Run `custodian seen` here, and `custodian fetch --seen` "
                "with what it wrote on the machine with a network."
            ) from None


class Recording:
    """A `Source` that keeps every answer in a directory, so that a `Folder` can give the same
    answers again, in the same order.

    What was asked once is answered from the directory: the other machine will ask the same twice
    and must not see two states.
    """

    def __init__(self, source: Source, root: Path) -> None:
        self.source, self.root = source, root
        self._kept = Folder(root)

    def get(self, path: str, *, signed: bool = False) -> bytes:
        """See `Source`."""
        try:
            return self._kept.get(path)
        except NotFound:
            answer = self.source.get(path, signed=signed)
        store.write(self.root / file_name(path), answer, private=False)
        return answer


def file_name(path: str) -> str:
    """The file in a folder that holds the answer to `path`: its own characters where they are
    harmless, else `_`.
    """
    return re.sub(r"[^A-Za-z0-9.-]", "_", path.strip("/"))[:200]
