"""Where a log, a ledger and records are read from: a service, or a folder of its answers.

Nothing that comes from a source is believed; whoever asked verifies.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol, TypeVar

from counterseal.protocol.errors import NotFound
from counterseal.wire.endpoint import Authentication, Endpoint

A = TypeVar("A")


class Source(Protocol):
    """A service, or a folder of files carried to a machine without a network."""

    def get(self, path: str, *, signed: bool = False) -> bytes:
        """The bytes at `path`, which begins with a slash. `signed` asks as the institution. Raises
        `NotFound` or `Unavailable`.
        """
        ...


def ask(source: Source, endpoint: Endpoint[None, A], **parts: bytes | int | str) -> A:
    """The answer of a route, right in form and nothing more; `parts` are those of its path and its
    query. Raises `Refused` E1 to E7, `NotFound`, `Unavailable`.
    """
    signed = endpoint.authentication is Authentication.INSTITUTION
    return endpoint.decode_answer(source.get(endpoint.at(**parts), signed=signed))


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
                f"The folder {self._root} has no answer to {path}. Run `custodian seen` here, and "
                "`custodian fetch --seen` with what it wrote on the machine with a network."
            ) from None


def file_name(path: str) -> str:
    """The file in a folder that holds the answer to `path`: its own characters where they are
    harmless, else `_`.
    """
    return re.sub(r"[^A-Za-z0-9.-]", "_", path.strip("/"))[:200]
