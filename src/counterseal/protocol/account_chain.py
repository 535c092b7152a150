"""An account's chain: the statements after its first, each signed by the account key of the moment
(section 7).

| rule | refuses |
| --- | --- |
| A2 | a statement that does not follow the one before: account, previous digest or number |
| A3 | a statement that the account key in force did not sign |
| A4 | a new key that did not sign for its own possession |
| A5 | a key that the account has had already, as a device's or its own |
| A6 | the revocation of a device that the account does not have |
| A7 | a device that is not the account's, or is revoked |
| A9 | a chain of over 1,024 statements after its first, or an account of over 32 devices |
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import ClassVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .account import STATEMENT_MAX, verify_account
from .cbor import encode, outline, tag
from .errors import Refused, refuse_as
from .keys import check_ed25519, verify_ed25519
from .record import Bytes32, Part, Record, Signature, Uint, decode_part
from .sign1 import ReceivedSign1, sign1

CHAIN_MAX = 1_024
DEVICES_MAX = 32


class Device(Record, frozen=True, tag="counterseal/v1/device"):
    """A device is added."""

    limit: ClassVar[int] = 512
    account_id: Bytes32
    previous: Bytes32
    number: Uint
    device_key: Bytes32
    added: Uint


class DeviceRevoked(Record, frozen=True, tag="counterseal/v1/device-revoked"):
    """A device is gone, lost or stolen."""

    limit: ClassVar[int] = 512
    account_id: Bytes32
    previous: Bytes32
    number: Uint
    device_key: Bytes32
    time: Uint


class AccountKey(Record, frozen=True, tag="counterseal/v1/account-key"):
    """The account key is replaced; the old one signs for the last time."""

    limit: ClassVar[int] = 512
    account_id: Bytes32
    previous: Bytes32
    number: Uint
    account_key: Bytes32
    time: Uint


class _WithPossession(Part, frozen=True):
    cose: bytes
    possession: Signature


Link = Device | DeviceRevoked | AccountKey
KIND_NAMES: dict[type[Link], str] = {
    Device: "device",
    DeviceRevoked: "device-revoked",
    AccountKey: "account-key",
}
"""What a statement's kind is called where it is posted, stored and shown."""
_KINDS: dict[str, type[Link]] = {kind.tag(): kind for kind in (Device, DeviceRevoked, AccountKey)}


class ReceivedLink(msgspec.Struct, frozen=True):
    """A statement after an account's first, right in form, and nothing more."""

    record: Link
    cose: ReceivedSign1
    possession: bytes | None

    @classmethod
    def decode(cls, statement: bytes) -> ReceivedLink:
        """A COSE_Sign1, or `[COSE_Sign1 in a byte string, possession]` where a key is new. Raises
        `Refused` E1 to E7, X1.
        """
        possession = None
        if outline(statement, STATEMENT_MAX)[0] == 2:
            pair = decode_part(statement, STATEMENT_MAX, _WithPossession)
            statement, possession = pair.cose, pair.possession

        cose = ReceivedSign1.decode(statement, STATEMENT_MAX)
        kind = _KINDS.get(str(outline(cose.payload, STATEMENT_MAX)[1]))
        if kind is None:
            raise Refused("E5", "This is no statement of an account's chain after its first.")

        record = kind.decode(cose.payload)
        if (possession is None) != isinstance(record, DeviceRevoked):
            raise Refused("E6", "A new key, and nothing else, comes with its own signature.")

        return cls(record, cose, possession)


class VerifiedChain(msgspec.Struct, frozen=True):
    """An account's chain, replayed up to `head`: whose devices they are, and which key signs
    next.
    """

    account_id: bytes
    domain: str
    account_key: bytes
    notice_key: bytes
    head: bytes
    number: int
    devices: tuple[bytes, ...]
    revoked: tuple[bytes, ...]
    former_keys: tuple[bytes, ...]

    @classmethod
    def start(cls, statement: bytes, domain: str) -> VerifiedChain:
        """The chain of a first statement. Raises `Refused` A1, E1 to E7, X1, X6."""
        first = verify_account(statement, domain)
        account_id, key = first.account_id, first.account.account_key
        notice_key = first.account.notice_key
        return cls(account_id, domain, key, notice_key, account_id, 0, (), (), (key,))

    @classmethod
    def replay(cls, statements: Iterable[bytes], domain: str) -> VerifiedChain:
        """The chain of these statements in order. Raises `Refused` A1 to A6, A9 and those of
        `start`.
        """
        chain: VerifiedChain | None = None
        for statement in statements:
            chain = chain.extend(statement) if chain else cls.start(statement, domain)
        if chain is None:
            raise Refused("A1", "A chain begins with an account statement; this one is empty.")
        return chain

    def extend(self, statement: bytes) -> VerifiedChain:
        """The chain with one more statement. Raises `Refused` A2 to A6, A9, E1 to E7, X1, X6."""
        received = ReceivedLink.decode(statement)
        record = received.record
        if (record.account_id, record.previous, record.number) != (
            self.account_id,
            self.head,
            self.number + 1,
        ):
            raise Refused("A2", f"This does not follow number {self.number} of its account.")
        if record.number > CHAIN_MAX:
            raise Refused("A9", f"A chain has at most {CHAIN_MAX} statements after its first.")

        with refuse_as("A3", "The account key in force did not sign this statement."):
            received.cose.verify(self.account_key)

        head = hashlib.sha256(received.cose.payload).digest()
        after = msgspec.structs.replace(self, head=head, number=record.number)
        if isinstance(record, DeviceRevoked):
            return after._revoke(record.device_key)

        new = record.device_key if isinstance(record, Device) else record.account_key
        self._check_new(new, received)
        if isinstance(record, AccountKey):
            return msgspec.structs.replace(
                after, account_key=new, former_keys=(*self.former_keys, new)
            )
        if len(self.devices) >= DEVICES_MAX:
            raise Refused("A9", f"An account has at most {DEVICES_MAX} devices; revoke one first.")

        return msgspec.structs.replace(after, devices=tuple(sorted((*self.devices, new))))

    def _check_new(self, key: bytes, received: ReceivedLink) -> None:
        check_ed25519(key)
        with refuse_as("A4", "The new key did not sign for its possession."):
            verify_ed25519(key, received.possession or b"", possession_input(received.cose.payload))
        if key in (*self.devices, *self.revoked, *self.former_keys):
            raise Refused("A5", "This account has had that key already; draw a new one.")

    def _revoke(self, key: bytes) -> VerifiedChain:
        if key not in self.devices:
            raise Refused("A6", "The account has no such device to revoke.")
        rest = tuple(device for device in self.devices if device != key)
        return msgspec.structs.replace(self, devices=rest, revoked=(*self.revoked, key))

    def check_device(self, device_key: bytes) -> bytes:
        """The device's key again, if it is the account's now. Raises `Refused` A7."""
        if device_key not in self.devices:
            gone = "is revoked" if device_key in self.revoked else "was never added"
            raise Refused("A7", f"The device {device_key.hex()[:16]} {gone}.")
        return device_key


def possession_input(payload: bytes) -> bytes:
    """Encoded `[tag("possession"), payload]`: what a new key signs with plain Ed25519."""
    return encode([tag("possession"), payload])


def sign_link(
    account_key: Ed25519PrivateKey, record: Link, new_key: Ed25519PrivateKey | None
) -> bytes:
    """The statement's bytes. `new_key` is the device's or the new account's, None for a
    revocation.
    """
    payload = record.encode()
    statement = sign1(account_key, payload)
    if new_key is None:
        return statement
    return encode([statement, new_key.sign(possession_input(payload))])
