"""The ledger's statements: from the bytes in an opened leaf to the record (section 8).

All are signed by institutions, but for listings, whose author is the ledger itself.
"""

from __future__ import annotations

import msgspec

from .approval import Approval, Cancellation, Extension, Ratification, Reinstatement, Replacement
from .cbor import outline
from .cose import ReceivedSign, statement_max
from .errors import Refused
from .record import Record
from .release import Listing, Release
from .report import Destruction, OpeningReport
from .warrant import Warrant

SIGNED: tuple[type[Record], ...] = (
    Warrant,
    Approval,
    Ratification,
    Cancellation,
    Replacement,
    Extension,
    Reinstatement,
    Release,
    OpeningReport,
    Destruction,
)
"""What institutions say in the ledger."""

_SIGNED = {kind.tag(): kind for kind in SIGNED}
_PAYLOAD_MAX = max(kind.limit for kind in SIGNED)


class LedgerStatement(msgspec.Struct, frozen=True):
    """A statement of the ledger that is right in form; nothing in it is verified yet. `cose` is
    None for a listing.
    """

    record: Record
    cose: ReceivedSign | None

    @classmethod
    def decode(cls, data: bytes) -> LedgerStatement:
        """Raises `Refused` E1 to E7, X1, X3, X4; E5 for a statement that has no place in the
        ledger.
        """
        count, first = outline(data, statement_max(_PAYLOAD_MAX))
        if not count:
            raise Refused("E6", "A statement is an array; this is something else.")

        if first == Listing.tag():
            return cls(Listing.decode(data), None)
        if first != b"":
            raise Refused("E5", "This has no place in the ledger: no institution signed it.")

        cose = ReceivedSign.decode(data, _PAYLOAD_MAX)
        name = payload_tag(cose.payload)
        kind = _SIGNED.get(name)
        if kind is None:
            raise Refused("E5", f"A {name[:80]!r} has no place in the ledger.")
        return cls(kind.decode(cose.payload), cose)

    @property
    def signed(self) -> ReceivedSign:
        """The institutions' signatures. Raises `Refused` X1 for a listing."""
        if self.cose is None:
            raise Refused("X1", f"A {self.record.tag()} is signed by nobody.")
        return self.cose


def payload_tag(payload: bytes) -> str:
    """The tag that a payload begins with. Raises `Refused` E1 to E7."""
    first = outline(payload, len(payload))[1]
    if not isinstance(first, str):
        raise Refused("E6", "A payload is an array that begins with its tag.")
    return first
