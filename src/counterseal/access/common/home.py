"""A home: the directory in which one holder, issuer, opener or reader keeps its keys and what it
must not forget.

``` HOME/keys                 institution key, reader key, cosigner keys: locked under a passphrase,
or 0600 HOME/card                 the public part, signed: what `charter new` is given HOME/pin
digest of the charter that this home trusts as its first HOME/service              address of the
domain's service, and the domain HOME/charters/DIGEST      charters it signed or followed
HOME/sealing/DIGEST.Q     one quarter's sealing key under one charter; to destroy it is to remove
this file and its back-ups HOME/ledger/ ...          the holder's own copy of the ledger, see
ledger.py ```
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from msgspec import Meta

from counterseal import files
from counterseal.access.common import store
from counterseal.protocol import cbor
from counterseal.protocol.cose import ReceivedSign, sign
from counterseal.protocol.errors import BadInput, Conflict, FatalError, NotFound
from counterseal.protocol.keys import InstitutionKey, InstitutionSigner, SealingKey
from counterseal.protocol.record import Bytes32, Name, Part, Record, XWingKey
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.tlog.checkpoint import witness_keys
from counterseal.tlog.signers import WitnessSigner

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
                f"The card of witness {self.name!r} lacks cosigner keys under its name, or an address."
            )
        return self


class HomeKeys(Part, frozen=True):
    """The secrets of a home: seeds of the institution key (64 bytes), the reader key (32) and the
    cosigner keys (64 or none).
    """

    institution: Annotated[bytes, Meta(min_length=64, max_length=64)]
    reader: Bytes32
    cosigner: Annotated[bytes, Meta(min_length=64, max_length=64)] | None

    @property
    def signer(self) -> InstitutionSigner:
        """The institution's signing key."""
        return InstitutionSigner(self.institution)

    def cosigner_of(self, name: str) -> WitnessSigner:
        """The witness's two cosigning keys. Raises `BadInput` for a home that has none."""
        if self.cosigner is None:
            raise BadInput("This home is not a witness's: it has no cosigning keys.")
        ed25519 = Ed25519PrivateKey.from_private_bytes(self.cosigner[:32])
        return WitnessSigner(name, ed25519, MLDSA44PrivateKey.from_seed_bytes(self.cosigner[32:]))


class InstitutionHome:
    """An opened home: `card`, `keys` and the small durable things beside them."""

    def __init__(self, path: Path, card: Card, keys: HomeKeys, passphrase: bytes | None) -> None:
        self.path, self.card, self.keys, self._passphrase = path, card, keys, passphrase
        self.signer = keys.signer
        self.reader = SealingKey(keys.reader)

    @classmethod
    def create(
        cls,
        path: Path,
        kind: Kind,
        name: str,
        body: str | None = None,
        url: str | None = None,
        passphrase: bytes | None = None,
    ) -> InstitutionHome:
        """Draws fresh keys into a new home. Raises `Conflict` if there is one already: keys are
        never overwritten.
        """
        if (path / "keys").exists():
            raise Conflict(
                f"{path} holds keys already; they are not overwritten. Choose another --home."
            )
        keys = HomeKeys(
            os.urandom(64), os.urandom(32), os.urandom(64) if kind == "witness" else None
        )
        cosigner = keys.cosigner_of(name).keys.texts() if kind == "witness" else None
        card = Card(
            kind,
            body or name,
            name,
            keys.signer.public,
            SealingKey(keys.reader).public,
            cosigner,
            url,
        )
        statement = sign([keys.signer], card.check().encode())
        files.write_state(path / "card", statement, mode=files.PUBLIC)
        files.write_state(path / "keys", store.lock_secret(cbor.encode(keys.plain()), passphrase))
        return cls(path, card, keys, passphrase)

    @classmethod
    def open(cls, path: Path, passphrase: bytes | None = None) -> InstitutionHome:
        """Raises `NotFound` if there is no home, `BadInput` if the passphrase is missing or
        wrong.
        """
        secret = store.open_secret(store.read(path / "keys", "home"), passphrase)
        keys = msgspec.convert(cbor.decode(secret, 1024), HomeKeys, builtin_types=(bytes,))
        return cls(path, read_card(path), keys, passphrase)

    # the pinned first charter, and charters known
    def pin(self, digest: bytes) -> None:
        """Trusts a charter as the first one. A pin is never moved: raises `Conflict` when another
        is pinned.
        """
        held = self.pinned()
        if held is not None and held != digest:
            raise Conflict(
                f"{self.path} trusts charter {held.hex()[:16]} already; a home serves one domain and its successors."
            )
        files.write_state(self.path / "pin", digest.hex().encode(), mode=files.PUBLIC)

    def pinned(self) -> bytes | None:
        """The digest (32 bytes) of the first charter, or None before there is one."""
        place = self.path / "pin"
        return bytes.fromhex(store.read(place, "pin").decode()) if place.exists() else None

    def keep_charter(self, digest: bytes, statement: bytes) -> None:
        """Keeps a charter's statement by its digest."""
        files.write_state(self.path / "charters" / digest.hex(), statement, mode=files.PUBLIC)

    def charter_statement(self, digest: bytes) -> bytes:
        """Raises `NotFound`."""
        return store.read(self.path / "charters" / digest.hex(), "charter")

    def position(self, charter: VerifiedCharter) -> int:
        """This home's position among the charter's holders. Raises `NotFound` for a home that is no
        holder's.
        """
        position = charter.positions.get(self.signer.kid)
        if position is None:
            raise NotFound(
                f"The charter of {charter.charter.domain} has no holder with the key in {self.path}."
            )
        return position

    def remember_service(self, url: str, domain: str) -> None:
        """Keeps the address of the domain's service, and the domain."""
        files.write_state(self.path / "service", f"{url}\n{domain}\n".encode(), mode=files.PUBLIC)

    def service_url(self) -> str:
        """The service's address. Raises `NotFound`."""
        return store.read(self.path / "service", "address of the service").decode().split("\n")[0]

    def domain(self) -> str | None:
        """The domain, or None before it is known."""
        place = self.path / "service"
        return (
            store.read(place, "address of the service").decode().split("\n")[1]
            if place.exists()
            else None
        )

    # sealing keys, one a quarter, drawn anew and never derived
    def draw_sealing_key(self, charter_digest: bytes, quarter: int) -> SealingKey:
        """The quarter's key: drawn and durable before anybody learns its public half; the same one
        when asked again.
        """
        fresh = store.lock_secret(SealingKey.generate().seed, self._passphrase)
        # a second process may have been first: its key counts
        files.write_first(self._sealing(charter_digest, quarter), fresh)
        held = self.sealing_key(charter_digest, quarter)
        if held is None:
            raise FatalError(
                f"The sealing key of quarter {quarter} vanished from {self.path} as it was drawn."
            )
        return held

    def sealing_key(self, charter_digest: bytes, quarter: int) -> SealingKey | None:
        """The quarter's private key, or None if it was never drawn or has been destroyed."""
        try:
            data = store.read(self._sealing(charter_digest, quarter), "sealing key")
        except NotFound:
            return None
        return SealingKey(store.open_secret(data, self._passphrase))

    def destroy_sealing_key(self, charter_digest: bytes, quarter: int) -> None:
        """Erases the key: what was sealed to it can never be opened by this holder again. Back-ups
        are the owner's to destroy.
        """
        store.erase(self._sealing(charter_digest, quarter))

    def _sealing(self, charter_digest: bytes, quarter: int) -> Path:
        return self.path / "sealing" / f"{charter_digest.hex()}.{quarter}"


def is_locked(path: Path) -> bool:
    """Whether the home's keys want a passphrase. Raises `NotFound`."""
    return store.is_locked(store.read(path / "keys", "home"))


def read_card(path: Path) -> Card:
    """The card at `path` (a file, or a home), its own signature verified. Raises `NotFound` or
    `Refused`.
    """
    place = path / "card" if path.is_dir() else path
    received = ReceivedSign.decode(store.read(place, "card"), Card.limit)
    card = Card.decode(received.payload).check()
    received.verify({card.institution.kid: card.institution})
    return card
