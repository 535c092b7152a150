"""The root of the map that is derived from the log: handles to accounts (section 7)."""

from __future__ import annotations

from typing import ClassVar

from .record import Bytes32, Domain, Record, Uint

HANDLE_MAX = 320
"""Bytes of a handle, at most."""


class DirectoryRoot(Record, frozen=True, tag="counterseal/v1/directory-root"):
    """The derived map's root as of `log_size` entries of the log. Not signed: the log's."""

    limit: ClassVar[int] = 512
    domain: Domain
    log_size: Uint
    time: Uint
    root: Bytes32
