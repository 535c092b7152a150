"""A home: the directory in which one holder, issuer, opener or reader keeps its keys and what it
must not forget.

```
HOME/keys               institution key, reader key, cosigner keys: locked, or 0600
HOME/card               the public part, signed: what `charter new` is given
HOME/pin                digest of the charter that this home trusts as its first
HOME/service            address of the domain's service, and the domain
HOME/charters/DIGEST    charters it signed or followed
HOME/sealing/DIGEST.Q   one quarter's sealing key under one charter; to destroy it is to remove this
                        file and its back-ups
HOME/ledger/ ...        the home's own copy of the ledger, see ledger_copy.py
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from counterseal import state_files
from counterseal.access.common import store
from counterseal.access.common.card import Card, read_card
from counterseal.protocol import cbor
from counterseal.protocol.errors import Conflict, FatalError, NotFound
from counterseal.protocol.keys import InstitutionSigner, SealingKey
from counterseal.protocol.record import Bytes32, Part
from counterseal.protocol.verified_charter import VerifiedCharter


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


class InstitutionHome:
    """An opened home: `card`, `keys` and the small durable things beside them."""

    def __init__(self, path: Path, card: Card, keys: HomeKeys, passphrase: bytes | None) -> None:
        self.path, self.card, self.keys, self._passphrase = path, card, keys, passphrase
        self.signer = keys.signer
        self.reader = SealingKey(keys.reader)

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
                f"{self.path} trusts charter {held.hex()[:16]} already; a home serves one domain "
                "and its successors."
            )
        state_files.write_state(self.path / "pin", digest.hex().encode(), mode=state_files.PUBLIC)

    def pinned(self) -> bytes | None:
        """The digest (32 bytes) of the first charter, or None before there is one."""
        place = self.path / "pin"
        return bytes.fromhex(store.read(place, "pin").decode()) if place.exists() else None

    def keep_charter(self, digest: bytes, statement: bytes) -> None:
        """Keeps a charter's statement by its digest."""
        state_files.write_state(
            self.path / "charters" / digest.hex(), statement, mode=state_files.PUBLIC
        )

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
                f"The charter of {charter.charter.domain} has no holder with the key in "
                f"{self.path}."
            )
        return position

    def remember_service(self, url: str, domain: str) -> None:
        """Keeps the address of the domain's service, and the domain."""
        state_files.write_state(
            self.path / "service", f"{url}\n{domain}\n".encode(), mode=state_files.PUBLIC
        )

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
        state_files.write_first(self._sealing(charter_digest, quarter), fresh)
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
