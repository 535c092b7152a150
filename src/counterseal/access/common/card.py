"""A card: the public part of an institution, which it hands to whoever drafts a charter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from counterseal.protocol import cbor
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import BadInput
from counterseal.protocol.keys import InstitutionKey
from counterseal.protocol.record import Name, Record, XWingKey
from counterseal.tlog.checkpoint import witness_keys

from . import store

Kind = Literal["custodian", "witness", "issuer", "opener", "reader"]
_Text = Annotated[str, Meta(max_length=4096)]


class Card(Record, frozen=True, tag=cbor.tag("card")):
    """What an institution hands to whoever drafts a charter. A witness, opener or reader is its own
    body.
    """

    limit = 16_384

    kind: Annotated[str, Meta(pattern=r"\A(custodian|witness|issuer|opener|reader)\Z")]
    body: Name
    name: Name
    institution: InstitutionKey
    reader: XWingKey
    cosigner: tuple[_Text, _Text] | None
    url: Annotated[str, Meta(max_length=512)] | None

    def check(self) -> Card:
        """The card again, if a witness has cosigner keys under its own name and an address. Raises
        `BadInput`, `TlogError` T2.
        """
        if self.kind != "witness":
            return self
        if (
            self.cosigner is None
            or self.url is None
            or witness_keys(self.cosigner).name != self.name
        ):
            raise BadInput(
                f"The card of witness {self.name!r} lacks cosigner keys under its name, or an "
                "address."
            )
        return self


def read_card(path: Path) -> Card:
    """The card at `path` (a file, or a home), its own signature verified. Raises `NotFound` or
    `Refused`.
    """
    place = path / "card" if path.is_dir() else path
    received = ReceivedSign.decode(store.read(place, "card"), Card.limit)
    card = Card.decode(received.payload).check()
    received.verify({card.institution.kid: card.institution})
    return card
