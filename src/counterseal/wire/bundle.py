"""What is carried to a machine without a network and back: how far that machine has read.

The bundle itself is a folder of answers of the service, each in a file named after its path.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from counterseal.protocol.record import Name, Part, Record

from .body import MIB


class SeenFile(Part, frozen=True):
    """A file of a holder's home, by its name inside it."""

    name: Name
    data: Annotated[bytes, Meta(max_length=8 * MIB)]


class Seen(Record, frozen=True, tag="counterseal/v1/seen"):
    """How far a home has read the log and the ledger (`custodian seen`)."""

    limit: ClassVar[int] = 8 * MIB
    files: Annotated[tuple[SeenFile, ...], Meta(max_length=16)]
