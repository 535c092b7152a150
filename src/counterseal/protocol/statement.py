"""Any statement's bytes to its record, by the tag inside, for vectors and audits (section 8).
Programs read the ledger's statements alone: `ledger_statement.py`.

A statement is a COSE_Sign1, a COSE_Sign, a chain link with its possession, or (where the log itself
is the author) the record.
"""

from __future__ import annotations

import msgspec

from .account import STATEMENT_MAX, Account
from .account_chain import AccountKey, Device, DeviceRevoked, ReceivedLink
from .approval import (
    Approval,
    Cancellation,
    Extension,
    Ratification,
    Reinstatement,
    Replacement,
    Revocation,
)
from .cbor import outline
from .charter import Charter
from .cose import ReceivedSign, statement_max
from .directory_root import DirectoryRoot
from .errors import Refused
from .key_destroyed import KeyDestroyed
from .keyset import HolderKey, Keyset
from .ledger_statement import payload_tag
from .notice import Notice, SealedNotice
from .period import PeriodRoot
from .record import Record
from .release import Listing, Release, SealedShares, Shares
from .report import Destruction, OpeningReport
from .sign1 import ReceivedSign1
from .warrant import Warrant

BY_ACCOUNT: tuple[type[Record], ...] = (Account, Device, DeviceRevoked, AccountKey)
BY_INSTITUTIONS: tuple[type[Record], ...] = (
    Charter,
    HolderKey,
    Keyset,
    KeyDestroyed,
    Warrant,
    Approval,
    Ratification,
    Cancellation,
    Replacement,
    Extension,
    Reinstatement,
    Revocation,
    Release,
    Shares,
    OpeningReport,
    Destruction,
    Notice,
)
UNSIGNED: tuple[type[Record], ...] = (
    DirectoryRoot,
    PeriodRoot,
    Listing,
    SealedShares,
    SealedNotice,
)
LIMIT = statement_max(Keyset.limit)
"""Bytes that any statement may have."""

_BY_ACCOUNT = {kind.tag(): kind for kind in BY_ACCOUNT}
_BY_INSTITUTIONS = {kind.tag(): kind for kind in BY_INSTITUTIONS}
_UNSIGNED = {kind.tag(): kind for kind in UNSIGNED}


class ReceivedStatement(msgspec.Struct, frozen=True):
    """A statement that is right in form. `cose` is None for what is not signed; nothing is verified
    yet.
    """

    record: Record
    cose: ReceivedSign | ReceivedSign1 | None
    data: bytes

    @classmethod
    def decode(cls, data: bytes) -> ReceivedStatement:
        """Raises `Refused` E1 to E7, X1, X3, X4."""
        count, first = outline(data, LIMIT)
        if not count:
            raise Refused("E6", "A statement is an array; this is something else.")
        if isinstance(first, str):
            return cls(_kind(_UNSIGNED, first).decode(data), None, data)
        if count == 2:
            link = ReceivedLink.decode(data)
            return cls(link.record, link.cose, data)
        if first:
            cose1 = ReceivedSign1.decode(data, STATEMENT_MAX)
            return cls(
                _kind(_BY_ACCOUNT, payload_tag(cose1.payload)).decode(cose1.payload), cose1, data
            )

        cose = ReceivedSign.decode(data, Keyset.limit)
        return cls(
            _kind(_BY_INSTITUTIONS, payload_tag(cose.payload)).decode(cose.payload), cose, data
        )

    @property
    def signed(self) -> ReceivedSign:
        """The institutions' signatures. Raises `Refused` X1 if it was signed otherwise or not at
        all.
        """
        if not isinstance(self.cose, ReceivedSign):
            raise Refused(
                "X1", f"A {self.record.tag()} here is signed by institutions; this one is not."
            )
        return self.cose


def _kind(kinds: dict[str, type[Record]], name: str) -> type[Record]:
    kind = kinds.get(name)
    if kind is None:
        raise Refused(
            "E5",
            f"{name[:80]!r} is no statement of this version, or not one that is signed in this "
            "way.",
        )
    return kind
