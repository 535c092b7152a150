"""The stamp: the service's word when a message came, and in what order (section 5)."""

from __future__ import annotations

from typing import ClassVar

from .cbor import H, tag
from .record import Bytes32, Record, Uint


class Stamp(Record, frozen=True, tag="counterseal/v1/stamp"):
    """The service's word that a message came at `time` (seconds), as number `n` of its conversation
    (from 1).

    `n` is here so that the period root also fixes the order between senders, which no window alone
    can show.
    """

    limit: ClassVar[int] = 128
    message_digest: Bytes32
    n: Uint
    time: Uint


def message_digest(private_message: bytes) -> bytes:
    """`H([tag("message"), PrivateMessage])`."""
    return H([tag("message"), private_message])
