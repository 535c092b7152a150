"""The keyset: every holder's fresh sealing key of one quarter, and the ledger key (section 6).

| rule | refuses |
| --- | --- |
| K1 | a keyset of another domain, charter or quarter than expected, or after another keyset |
| K2 | a keyset with another number of positions than the charter |
| K3 | a holder key that its holder did not sign for this position, quarter and charter |
| K4 | a key (or half of one) twice, in the keyset or from the one before |
| K6 | absent keys without one body and one witness to spare |
| K7 | a keyset without the signatures of the custodians' quorum and c witnesses |
| K8 | a ledger key that is not sealed to each reader, or does not have its commitment |
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta

from .cbor import H, encode, expand, tag
from .charter import READERS_MAX
from .cose import SIGNER_BYTES, ReceivedSign
from .errors import Refused, refuse_as
from .keys import MLKEM_PUBLIC, SealingKey, check_xwing
from .record import Bytes32, Domain, Part, Record, Uint, XWingKey
from .tree import POSITIONS_MAX
from .verified_charter import VerifiedCharter

SEALED_LEDGER_KEY = 1_168
"""Bytes of a ledger key sealed to a reader."""


class HolderKey(Record, frozen=True, tag="counterseal/v1/holder-key"):
    """A holder's sealing key for a quarter."""

    limit: ClassVar[int] = 2_048
    domain: Domain
    charter_digest: Bytes32
    quarter: Uint
    position: Uint
    xwing: XWingKey


class LedgerKey(Part, frozen=True):
    """The ledger key that a keyset starts: commitment, first chunk of the stream under it, the key
    sealed to each reader in charter order, and its predecessor encrypted under it (48 bytes)."""

    commitment: Bytes32
    first_chunk: Uint
    sealed: Annotated[
        tuple[
            Annotated[bytes, Meta(min_length=SEALED_LEDGER_KEY, max_length=SEALED_LEDGER_KEY)], ...
        ],
        Meta(max_length=READERS_MAX),
    ]
    predecessor: Annotated[bytes, Meta(min_length=48, max_length=48)] | None


class Keyset(Record, frozen=True, tag="counterseal/v1/keyset"):
    """Holder-key statements by position (null: absent) and the ledger key."""

    limit: ClassVar[int] = 4 << 20
    domain: Domain
    charter_digest: Bytes32
    quarter: Uint
    previous: Bytes32 | None
    holder_keys: Annotated[
        tuple[Annotated[bytes, Meta(max_length=HolderKey.limit + SIGNER_BYTES)] | None, ...],
        Meta(min_length=2, max_length=POSITIONS_MAX),
    ]
    ledger_key: LedgerKey


class VerifiedKeyset(msgspec.Struct, frozen=True):
    """A keyset that K1 to K8 admit. `keys` holds each position's X-Wing key, None where it is
    absent or counts as absent.
    """

    keyset: Keyset
    digest: bytes
    keys: tuple[bytes | None, ...]
    statement: bytes


class ReceivedKeyset(msgspec.Struct, frozen=True):
    """A keyset statement that is right in form, and nothing more."""

    keyset: Keyset
    cose: ReceivedSign
    statement: bytes

    @classmethod
    def decode(cls, statement: bytes) -> ReceivedKeyset:
        """Raises `Refused` E1 to E7, X1, X3, X4."""
        cose = ReceivedSign.decode(statement, Keyset.limit)
        return cls(Keyset.decode(cose.payload), cose, statement)

    def check(self, charter: VerifiedCharter, previous: VerifiedKeyset | None) -> VerifiedKeyset:
        """The verified keyset. `previous` is the keyset in force before it, None for a domain's
        first.

        Raises `Refused` K1 to K4, K6 to K8, X2, X4.
        """
        keys = check_keyset(self.keyset, charter, previous)
        self.cose.verify(charter.keys_by_kid)
        with refuse_as("K7", "The keyset's signatures do not suffice."):
            charter.check_quorums(self.cose.kids, charter.charter.witnesses.c)
        return VerifiedKeyset(
            self.keyset, hashlib.sha256(self.cose.payload).digest(), keys, self.statement
        )


def check_keyset(
    keyset: Keyset, charter: VerifiedCharter, previous: VerifiedKeyset | None
) -> tuple[bytes | None, ...]:
    """Each position's key, as everybody checks it who is about to sign the keyset. Raises `Refused`
    K1 to K4, K6, K8.
    """
    if (keyset.domain, keyset.charter_digest) != (charter.charter.domain, charter.digest):
        raise Refused("K1", "The keyset is of another domain or charter.")
    if keyset.previous != (previous.digest if previous else None):
        raise Refused("K1", "The keyset does not follow the one before; fetch those between.")
    if (
        previous
        and keyset.charter_digest == previous.keyset.charter_digest
        and keyset.quarter <= previous.keyset.quarter
    ):
        raise Refused("K1", "This charter has a keyset of that quarter, or a later one.")
    if len(keyset.holder_keys) != len(charter.holder_keys):
        raise Refused("K2", "The keyset has another number of positions than the charter.")
    if len(keyset.ledger_key.sealed) != len(charter.charter.readers):
        raise Refused("K8", "The ledger key is not sealed to each of the charter's readers.")

    keys = tuple(_usable(keyset, charter, position) for position in range(len(keyset.holder_keys)))
    _check_fresh(keys, previous)
    return check_present(keys, charter)


def check_holder_key(
    statement: bytes, charter: VerifiedCharter, quarter: int, position: int
) -> HolderKey:
    """The sealing key that the holder at `position` signed for `quarter`. Raises `Refused` K3."""
    with refuse_as("K3", f"The key of position {position} is not its holder's:"):
        cose = ReceivedSign.decode(statement, HolderKey.limit)
        key = HolderKey.decode(cose.payload)
        signer = charter.check_holder(position)
        cose.verify({signer.kid: signer})

    expected = (charter.charter.domain, charter.digest, quarter, position)
    if (key.domain, key.charter_digest, key.quarter, key.position) != expected:
        raise Refused("K3", f"The key of position {position} is for another place or time.")

    return key


def _usable(keyset: Keyset, charter: VerifiedCharter, position: int) -> bytes | None:
    statement = keyset.holder_keys[position]
    if statement is None:
        return None
    key = check_holder_key(statement, charter, keyset.quarter, position)
    try:
        return check_xwing(key.xwing)
    except Refused:  # K5: counts as absent, so that one bad key cannot stop a quarter
        return None


def _check_fresh(keys: Sequence[bytes | None], previous: VerifiedKeyset | None) -> None:
    there = [key for key in keys if key is not None]
    # Each half alone counts: a key that shares one with another is not freshly drawn.
    for cut in (slice(0, MLKEM_PUBLIC), slice(MLKEM_PUBLIC, None)):
        halves = [key[cut] for key in there]
        before = {key[cut] for key in previous.keys if key is not None} if previous else set()
        if len(set(halves)) != len(halves) or before.intersection(halves):
            raise Refused("K4", "A sealing key is there twice, or in the keyset before.")


def check_present(
    keys: Sequence[bytes | None], charter: VerifiedCharter
) -> tuple[bytes | None, ...]:
    """The keys again, if all are there or the rest can spare one body and one witness. Raises
    `Refused` K6.
    """
    there = [position for position, key in enumerate(keys) if key is not None]
    if len(there) < len(keys):
        bodies = len(charter.tree.satisfied_bodies(there))
        witnesses = len(set(there).intersection(charter.tree.witness_positions()))
        if bodies <= charter.tree.custodians.needed or witnesses <= charter.tree.witnesses.needed:
            raise Refused("K6", "Absent keys leave no body or no witness to spare; wait for them.")
    return tuple(keys)


def ledger_key_commitment(key: bytes) -> bytes:
    """`H([tag("ledger-key"), key])`."""
    return H([tag("ledger-key"), key])


def open_ledger_key(private: SealingKey, keyset: VerifiedKeyset, reader: int) -> bytes:
    """The ledger key (32 bytes) for the charter's reader number `reader`. Raises `Refused` X5 or
    K8.
    """
    record = keyset.keyset
    if not 0 <= reader < len(record.ledger_key.sealed):
        raise Refused("K8", f"The keyset has no ledger key for a reader number {reader}.")
    info = [tag("ledger-key-seal"), record.domain, record.charter_digest, record.quarter, reader]
    key = private.open(info, record.ledger_key.sealed[reader])
    if ledger_key_commitment(key) != record.ledger_key.commitment:
        raise Refused("K8", "The ledger key sealed here is not the one of the commitment.")
    return key


def open_predecessor(key: bytes, keyset: VerifiedKeyset, commitment: bytes) -> bytes:
    """The ledger key before `key`, of which the keyset before holds `commitment`. Raises `Refused`
    K8.
    """
    ledger_key = keyset.keyset.ledger_key
    try:
        aad = predecessor_aad(ledger_key.commitment)
        before = ChaCha20Poly1305(predecessor_key(key)).decrypt(
            bytes(12), ledger_key.predecessor or b"", aad
        )
    except (InvalidTag, ValueError):
        raise Refused("K8", "The ledger key before this one does not open under it.") from None

    if ledger_key_commitment(before) != commitment:
        raise Refused("K8", "The ledger key before this one is not that of its commitment.")

    return before


def predecessor_key(key: bytes) -> bytes:
    """The key (32 bytes) under which a ledger key encrypts the one before it."""
    return expand(key, [tag("ledger-predecessor")], 32)


def predecessor_aad(commitment: bytes) -> bytes:
    """What that encryption is bound to."""
    return encode([tag("ledger-predecessor"), commitment])
