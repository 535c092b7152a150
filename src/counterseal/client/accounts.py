"""Making an account: its keys, its first device, and the pins that everything later is held
against.

The recovery phrase, from which the account's key and the notice key come, and the device's key are
drawn here and written down before anything is sent; a registration that was cut short is taken up
again with the same bytes. The account's key is on this first device, the main one, and on those
that its owner makes main: only they approve and revoke devices.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterseal.client import key_packages, recovery_phrase
from counterseal.client.home import DeviceHome, Pins
from counterseal.client.service_client import ServiceClient
from counterseal.client.session import Session
from counterseal.client.store.device_store import DeviceStore
from counterseal.protocol import cbor
from counterseal.protocol.account import Account
from counterseal.protocol.account_chain import Device, sign_link
from counterseal.protocol.charter_use import check_ordinary
from counterseal.protocol.errors import BadInput, Conflict, CountersealError, NotFound, Refused
from counterseal.protocol.sign1 import sign1
from counterseal.protocol.verified_charter import ReceivedCharter
from counterseal.wire.accounts import (
    ACCOUNT,
    ACCOUNT_POST,
    PROFILE_PUT,
    NewDevice,
    PostAccount,
    PutProfile,
)
from counterseal.wire.charters import CHARTERS
from counterseal.wire.domain import IDENTITY

_STATEMENT_MAX = 1 << 16
_HANDLE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


async def discover(
    service: ServiceClient, *, demonstration: bool, genesis: str | None = None
) -> Pins:
    """The pins of a domain: its first charter's digest, and the keys that this charter names.

    `genesis` is the digest (hex) that a person was told by other means; without it the first answer
    is what is pinned. Raises `NotFound` before there is a charter; `Refused` M7, C17, the rules of
    charters.
    """
    listed = (await service.call(CHARTERS)).rows
    if not listed:
        raise NotFound(
            "The service has no charter yet; nobody can join before one is published.",
            code="no-charter",
        )

    verified = ReceivedCharter.decode(listed[0].statement).check(None)
    if genesis is not None and verified.digest.hex() != genesis.lower():
        raise Refused(
            "M7",
            f"The service's first charter has the digest {verified.digest.hex()},"
            " not the one given; do not join it.",
        )
    if not demonstration:
        check_ordinary(verified)

    charter = verified.charter
    identity = await service.call(IDENTITY)
    named = (
        charter.domain,
        charter.log.origin,
        (charter.log.vkeys.ed25519, charter.log.vkeys.mldsa44),
    )
    if (identity.domain, identity.log_origin, identity.log_vkeys) != named:
        raise Refused(
            "M7", "The service's own name or log keys are not those of its charter; do not join it."
        )
    return Pins(
        service=service.url,
        domain=charter.domain,
        genesis=verified.digest.hex(),
        demonstration=charter.demonstration,
        log=(charter.log.vkeys.ed25519, charter.log.vkeys.mldsa44),
        ledger=(charter.ledger.vkeys.ed25519, charter.ledger.vkeys.mldsa44),
        witnesses=tuple(
            (w.name, w.url, (w.vkeys.ed25519, w.vkeys.mldsa44)) for w in charter.witnesses.members
        ),
    )


def local_handle(handle: str, domain: str) -> str:
    """`alice` out of `alice`, `@alice` or `@alice:DOMAIN`. Raises `BadInput`."""
    local = handle.removeprefix("@").removesuffix(":" + domain)
    if not _HANDLE.fullmatch(local):
        raise BadInput(
            f"{handle!r} is no handle of {domain}: 1 to 64 of a-z, 0-9, dot, dash and underscore,"
            " beginning and ending with a letter or digit.",
            code="handle",
        )
    return local


async def create(
    path: Path,
    url: str,
    handle: str,
    name: str,
    *,
    demonstration: bool = False,
    genesis: str | None = None,
    passphrase: str | None = None,
) -> DeviceHome:
    """A folder with a registered account and its first device; taken up where it was cut short.

    Raises `Conflict` for a taken handle or folder, and what `discover` and the service raise.
    """
    home = _unfinished(path)
    if home is None:
        async with ServiceClient(url) as service:
            pins = await discover(service, demonstration=demonstration, genesis=genesis)
        home = DeviceHome.create(path, pins, passphrase)
    with home.store() as store, store.transaction():
        if store.settings.account_statement is None:
            _draw_keys(store, home.pins.domain)
        store.settings.handle = local_handle(handle, home.pins.domain)
        store.settings.name = name
    await register(home)
    return home


def _unfinished(path: Path) -> DeviceHome | None:
    """A folder in which creating an account was begun and not finished. Raises `Conflict` when it
    was finished.
    """
    if not (path / "device.db").exists():
        return None
    home = DeviceHome.load(path)
    with home.store() as store:
        if store.settings.registered or store.settings.link_request:
            raise Conflict(
                f"{path} already holds a device; name another folder with --home.",
                code="home-exists",
            )
    return home


def _draw_keys(store: DeviceStore, domain: str) -> None:
    """Draws the recovery phrase, from which the account's and the notice's key come, and the
    device's key; signs the chain's first two statements.
    """
    entropy, device_key = recovery_phrase.draw(), Ed25519PrivateKey.generate()
    account_key = recovery_phrase.account_key(entropy, domain, 0)
    notice = recovery_phrase.notice_key(entropy, domain)
    now = int(time.time())

    # the account's id is the digest of its first statement, which the device's statement follows
    record = Account(
        domain, account_key.public_key().public_bytes_raw(), notice.public, os.urandom(16), now
    )
    account = record.digest()
    device = Device(account, account, 1, device_key.public_key().public_bytes_raw(), now)

    seed = device_key.private_bytes_raw()
    store.settings.recovery = entropy
    store.settings.account = account
    store.settings.account_seed = account_key.private_bytes_raw()
    store.settings.device_seed = seed
    store.settings.notice_seed = notice.seed
    store.settings.account_statement = sign1(account_key, record.encode())
    store.settings.device_statement = sign_link(account_key, device, device_key)
    store.device.set_identity(account, seed)


async def register(home: DeviceHome) -> None:
    """Hands the account in, then key packages and the display name. An answer that was lost is no
    harm: one's own account is recognised.
    """
    with home.store() as store:
        settings = store.settings
        account, seed, handle = settings.account, settings.device_seed, settings.handle
        account_statement, device_statement = settings.account_statement, settings.device_statement
        name = settings.name
    assert account and seed and handle and account_statement and device_statement
    posted = PostAccount(handle, account_statement, _new_device(device_statement))

    session = Session(home, account, seed)
    try:
        try:
            await session.service.call(ACCOUNT_POST, posted)
        except Conflict as taken:
            # the first answer may have been lost
            if not await _is_mine(session.service, account):
                raise Conflict(
                    f"The handle {handle} is taken; choose another.", code="handle"
                ) from taken
        with session.transaction() as store:
            store.settings.registered = 1
        await key_packages.stock(session)
        if name:
            await session.service.call(PROFILE_PUT, PutProfile(name), account=account)
    finally:
        await session.close()


def _new_device(statement: bytes) -> NewDevice:
    """A device statement and its possession, as `sign_link` put them together."""
    unpacked: Any = cbor.decode(statement, _STATEMENT_MAX)
    cose, possession = unpacked
    return NewDevice(cose, possession)


async def _is_mine(service: ServiceClient, account: bytes) -> bool:
    try:
        await service.call(ACCOUNT, account=account)
    # whatever the reason: it cannot be shown that the account is this one
    except CountersealError:
        return False
    return True
