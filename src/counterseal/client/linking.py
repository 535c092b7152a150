"""Linking a second device to an account.

Four steps, two on each side, by files or by hand:

1. The old device: `device invite` prints a code, which says who the account is, how far its chain
   goes, and the domain's first charter.
2. The new one: `device link` draws its key, signs for its possession in the chain's next place, and
   writes a request with an X-Wing key.
3. The old one: `device approve` says in words what it is about to do, signs and posts the device
   statement, and seals the notice key and the pins to the request's key.
4. The new one: `device link --finish` opens that, and leaves key packages. With its next
   synchronisation the old one brings it into every conversation.

A new device reads from then on: no old message and no old key is handed over. What the account key
signs is one place in the chain, so a request whose place was taken meanwhile is refused and made
anew.
"""

from __future__ import annotations

import base64
import binascii
import time
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from counterseal.client import accounts, key_packages, own_devices
from counterseal.client.home import DeviceHome, Pins
from counterseal.client.service_client import ServiceClient
from counterseal.client.session import Session
from counterseal.protocol.account_chain import Device, possession_input
from counterseal.protocol.cbor import tag
from counterseal.protocol.errors import BadInput, Conflict, NotFound, Refused
from counterseal.protocol.keys import SealingKey, seal_to, verify_ed25519
from counterseal.protocol.record import Bytes32, Domain, Record, Signature, Uint, XWingKey
from counterseal.protocol.sign1 import sign1
from counterseal.wire.accounts import CHAIN_POST, PostChainStatement

_CODE = "counterseal:"


class DeviceInvitation(Record, frozen=True, tag="counterseal/v1/device-invitation"):
    """How far the account's chain goes, and the digest of the domain's first charter. Public: it
    opens nothing.
    """

    domain: Domain
    handle: Annotated[str, Meta(max_length=64)]
    account_id: Bytes32
    head: Bytes32
    number: Uint
    genesis: Bytes32


class LinkRequest(Record, frozen=True, tag="counterseal/v1/device-request"):
    """The new device's payload for the chain, its signature for its own possession, and the key
    that the answer is sealed to.
    """

    limit = 4096
    domain: Domain
    payload: bytes
    possession: Signature
    xwing: XWingKey


class LinkReply(Record, frozen=True, tag="counterseal/v1/device-reply"):
    """What an account's every device holds: the seed of its notice key, and the pins as JSON. A
    main device gets the account's key as well. Sealed to the request's key.
    """

    notice_seed: Bytes32
    account_seed: Bytes32 | None
    handle: Annotated[str, Meta(max_length=64)]
    name: Annotated[str, Meta(max_length=200)]
    pins: bytes


async def invite(session: Session) -> str:
    """Step 1: the code for `device link`, one line of text."""
    chain = await own_devices.own_chain(session)
    with session.store() as store:
        own_devices.account_key(store, chain)
        handle = store.settings.handle or ""
    genesis = bytes.fromhex(session.home.pins.genesis)
    invitation = DeviceInvitation(
        session.home.pins.domain, handle, chain.account_id, chain.head, chain.number, genesis
    )
    return _CODE + base64.urlsafe_b64encode(invitation.encode()).rstrip(b"=").decode()


def read_code(code: str) -> DeviceInvitation:
    """The invitation in a code. Raises `BadInput`."""
    text = code.strip()
    if not text.startswith(_CODE):
        raise BadInput(
            "Give the code that `counterseal device invite` prints on a device of the account;"
            " a handle is not enough.",
            code="code",
        )
    text = text.removeprefix(_CODE)
    try:
        return DeviceInvitation.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, Refused):
        raise BadInput(
            "The code is not whole; copy the line that `counterseal device invite` prints.",
            code="code",
        ) from None


async def request(
    path: Path, url: str, code: str, *, demonstration: bool = False, passphrase: str | None = None
) -> LinkRequest:
    """Step 2: a new folder with a new device in it; returns the request, which the old device has
    to be shown.

    Raises `Refused` M7, C17 for another domain than the invitation's; `BadInput`, `Conflict`.
    """
    invitation = read_code(code)
    async with ServiceClient(url) as service:
        pins = await accounts.discover(
            service, demonstration=demonstration, genesis=invitation.genesis.hex()
        )
    if pins.domain != invitation.domain:
        raise Refused(
            "M7", f"The service is {pins.domain}, the invitation is to {invitation.domain}."
        )

    home = DeviceHome.create(path, pins, passphrase)
    key, sealing = Ed25519PrivateKey.generate(), SealingKey.generate()
    public = key.public_key().public_bytes_raw()
    payload = Device(
        invitation.account_id, invitation.head, invitation.number + 1, public, int(time.time())
    ).encode()
    made = LinkRequest(
        invitation.domain, payload, key.sign(possession_input(payload)), sealing.public
    )

    seed = key.private_bytes_raw()
    with home.store() as store, store.transaction():
        store.settings.account = invitation.account_id
        store.settings.device_seed = seed
        store.settings.link_seed = sealing.seed
        store.settings.link_request = made.encode()
        store.device.set_identity(invitation.account_id, seed)
    return made


def describe(session: Session, data: bytes) -> str:
    """What approving a request would do, in words for the person who decides. Raises `Refused` M2,
    E1 to E7, X1 for a request that is malformed or another account's.
    """
    made = LinkRequest.decode(data)
    record = _checked(session, made)
    fingerprint = " ".join(record.device_key.hex()[at : at + 4] for at in range(0, 32, 4))
    return (
        f"A new device, key {fingerprint}, asks to read and write as you in {made.domain}."
        " It will receive everything that is sent to you from then on,"
        " in every conversation you are in, and nothing older."
        " Approve only if the same key is shown on that device."
    )


def _checked(session: Session, made: LinkRequest) -> Device:
    record = Device.decode(made.payload)
    if made.domain != session.home.pins.domain or record.account_id != session.me[0]:
        raise Refused("M2", "The request is for another account or domain than this device's.")
    verify_ed25519(record.device_key, made.possession, possession_input(made.payload))
    return record


async def approve(session: Session, data: bytes, *, main: bool = False) -> bytes:
    """Step 3: posts the device statement and returns the sealed reply. Done twice, it returns a
    reply again and posts nothing. A `main` device may then approve and revoke devices itself.

    Raises `Conflict` when the chain has moved on; `NotAuthorised` on a device without the account's
    key; what `describe` and the service raise.
    """
    made = LinkRequest.decode(data)
    record = _checked(session, made)
    chain = await own_devices.own_chain(session)
    with session.store() as store:
        account_key = own_devices.account_key(store, chain)
        seed, handle = store.settings.notice_seed, store.settings.handle
        name = store.settings.name or ""
    # the device that has the account's key has these
    assert seed and handle

    if record.device_key not in chain.devices:
        if (record.previous, record.number) != (chain.head, chain.number + 1):
            raise Conflict(
                "The account's chain has moved on since the invitation;"
                " make a new one and a new request.",
                code="chain",
            )
        posted = PostChainStatement("device", sign1(account_key, made.payload), made.possession)
        await session.service.call(CHAIN_POST, posted, account=session.me[0])

    with session.transaction() as store:
        store.accounts.adopt_device(record.device_key)
    await session.directory.accounts.learn(session.me[0])
    handed = account_key.private_bytes_raw() if main else None
    reply = LinkReply(seed, handed, handle, name, msgspec.json.encode(session.home.pins)).encode()
    return seal_to(made.xwing, _reply_info(record), reply)


async def finish(home: DeviceHome, data: bytes) -> None:
    """Step 4: opens the reply, compares the pins, and leaves key packages. Raises `Refused` X5, M7;
    `NotFound` when there was no request.
    """
    with home.store() as store:
        sealed_for, pending = store.settings.link_seed, store.settings.link_request
    if sealed_for is None or pending is None:
        raise NotFound(
            f"{home.path} has no request waiting; begin with `counterseal device link`.",
            code="no-request",
        )

    record = Device.decode(LinkRequest.decode(pending).payload)
    reply = LinkReply.decode(SealingKey(sealed_for).open(_reply_info(record), data))
    if msgspec.json.decode(reply.pins, type=Pins).genesis != home.pins.genesis:
        raise Refused(
            "M7",
            "The approving device knows this domain by another first charter;"
            " link over a service that you trust.",
        )

    with home.store() as store, store.transaction():
        store.settings.notice_seed = reply.notice_seed
        store.settings.account_seed = reply.account_seed
        store.settings.handle = reply.handle
        store.settings.name = reply.name
        store.settings.registered = 1
        # it has done its work; what was sealed to it cannot be opened again
        store.settings.link_seed = None

    session = Session.open(home)
    try:
        await key_packages.stock(session)
    finally:
        await session.close()


def _reply_info(record: Device) -> list[object]:
    return [tag("device-reply"), record.account_id, record.device_key]
