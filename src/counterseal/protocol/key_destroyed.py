"""A holder's word that a sealing key of its is destroyed (section 6)."""

from __future__ import annotations

from typing import ClassVar

from .record import Bytes32, Domain, Record, Uint


class KeyDestroyed(Record, frozen=True, tag="counterseal/v1/key-destroyed"):
    """The holder at `position` has destroyed its sealing key of a quarter, with every copy.
    COSE_Sign by that holder.
    """

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    quarter: Uint
    position: Uint
    time: Uint
