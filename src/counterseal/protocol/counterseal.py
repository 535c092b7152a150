"""The counterseal: a window's `prk` shared among the holders, each share sealed to one of them
(section 4).

The compiled core makes and remakes it; here it is read, and shares are opened and checked. They are
joined in `sharing.py`.

| rule | refuses |
| --- | --- |
| S2 | a remade counterseal whose digest is not the one in the frame |
| S3 | a share that does not have the hash in its sealed share |
"""

from __future__ import annotations

import hmac
from typing import Annotated, ClassVar

from msgspec import Meta

from .cbor import H, tag
from .errors import Refused
from .keys import XWING_ENC, SealingKey
from .record import Bytes32, Part, Record
from .tree import POSITIONS_MAX
from .window import Label


class SealedShare(Part, frozen=True):
    """One holder's share: HPKE encapsulation (1,120), ciphertext (48) and the share's hash (32)."""

    enc: Annotated[bytes, Meta(min_length=XWING_ENC, max_length=XWING_ENC)]
    ciphertext: Annotated[bytes, Meta(min_length=48, max_length=48)]
    share_hash: Bytes32


class Counterseal(Record, frozen=True, tag="counterseal/v1/counterseal"):
    """The sealed shares by position; null where the keyset has no key. Its digest is the seal
    digest.
    """

    limit: ClassVar[int] = 640_000
    sealed: Annotated[tuple[SealedShare | None, ...], Meta(min_length=2, max_length=POSITIONS_MAX)]

    @property
    def seal_digest(self) -> bytes:
        """`H(counterseal)`, 32 bytes."""
        return self.digest()


def share_hash(window_id: bytes, position: int, share: bytes) -> bytes:
    """`H([tag("share"), window_id, i, share])`."""
    return H([tag("share"), window_id, position, share])


def open_share(private: SealingKey, label: Label, position: int, sealed: SealedShare) -> bytes:
    """The holder's share (32 bytes). Raises `Refused` X5 if it does not open, S3 if it is not what
    its hash names.
    """
    info = [tag("seal"), label.window_id, label.charter_digest, position]
    share = private.open(info, sealed.enc + sealed.ciphertext)
    return check_share(label.window_id, position, share, sealed)


def check_share(window_id: bytes, position: int, share: bytes, sealed: SealedShare) -> bytes:
    """The share again, if it is the one that was sealed. Raises `Refused` S3."""
    if not hmac.compare_digest(share_hash(window_id, position, share), sealed.share_hash):
        raise Refused("S3", f"The share of position {position} is not the one that was sealed.")
    return share
