"""Coming back with the recovery phrase after every device is lost, and keeping the phrase until
then.

`find` shows whoever has the words the account's chain; `come_back` ends the lost devices in it,
adds this one, and may replace the account's key, which a lost main device has too. Every step is
one statement of the chain, so a recovery that was cut short is taken up again in the same folder.
Old messages do not come back: no device that has them is left. Members of the account's
conversations see what happened, and bring the new device in (returning.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from counterseal.client import accounts, key_packages, recovery_phrase
from counterseal.client.home import DeviceHome, Prompt, passphrase_of, stretch
from counterseal.client.lookup import logged_bytes
from counterseal.client.service_client import ServiceClient
from counterseal.client.session import Session
from counterseal.protocol import cbor
from counterseal.protocol.account_chain import (
    KIND_NAMES,
    AccountKey,
    Device,
    DeviceRevoked,
    Link,
    ReceivedLink,
    VerifiedChain,
    sign_link,
)
from counterseal.protocol.account_recovery import sign_recovery
from counterseal.protocol.cbor import tag
from counterseal.protocol.errors import BadInput, Conflict, NotFound, Refused
from counterseal.wire.account_recovery import RECOVERY, AskRecovery
from counterseal.wire.accounts import CHAIN_POST, PostChainStatement, ShownAccount

_SALT, _NONCE = 16, 12


def show_phrase(home: DeviceHome, prompt: Prompt | None) -> list[str]:
    """The 24 words. A folder under a passphrase asks for it again. Raises `NotFound` where they
    are not kept; `BadInput` for another passphrase.
    """
    with home.store() as store:
        entropy, sealed = store.settings.recovery, store.settings.recovery_sealed
    if entropy is not None:
        return recovery_phrase.spell(entropy)
    if sealed is None:
        raise NotFound(
            "This device does not keep the recovery phrase: a folder without a passphrase forgets"
            " it once it is confirmed, and a linked device never has it. What was written down is"
            " all there is.",
            code="no-phrase",
        )
    salt, nonce, secret = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
    try:
        opened = _cipher(passphrase_of(prompt), salt).decrypt(nonce, secret, _bound(home))
    except InvalidTag:
        raise BadInput("That is not this folder's passphrase.", code="passphrase") from None
    return recovery_phrase.spell(opened)


def confirm_phrase(
    home: DeviceHome, places: Sequence[int], answers: Sequence[str], prompt: Prompt | None
) -> None:
    """Takes note that the owner has the words: from now on they are kept under the folder's
    passphrase, or nowhere where it has none. `places` count from 1. Raises `BadInput` "phrase".
    """
    with home.store() as store:
        entropy = store.settings.recovery
    if entropy is None:
        return
    wrong = recovery_phrase.differing(entropy, places, answers)
    if wrong:
        raise BadInput(
            f"Word {wrong[0]} is another one; look at what you wrote down, and try again.",
            code="phrase",
        )
    _keep(home, entropy, prompt)


def _keep(home: DeviceHome, entropy: bytes, prompt: Prompt | None) -> None:
    sealed = None
    if home.locked:
        salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
        passphrase = passphrase_of(prompt)
        # under any other one the words would be lost to their owner
        home.check_passphrase(passphrase)
        cipher = _cipher(passphrase, salt)
        sealed = salt + nonce + cipher.encrypt(nonce, entropy, _bound(home))
    with home.store() as store, store.transaction():
        store.settings.recovery_sealed = sealed
        store.settings.recovery = None


def _cipher(passphrase: str, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(stretch(passphrase, salt))


def _bound(home: DeviceHome) -> bytes:
    return cbor.encode([tag("recovery-kept"), home.pins.domain])


class Found(msgspec.Struct, frozen=True):
    """An account that the phrase belongs to. `chain` has its devices; `generation` is that of the
    account key in force.
    """

    home: DeviceHome
    entropy: bytes
    shown: ShownAccount
    chain: VerifiedChain
    generation: int
    device: bytes
    """This folder's device key, which the chain does not have yet."""

    def __repr__(self) -> str:
        """Without what is behind the phrase: this may end in a trace or a log."""
        return f"Found({self.home.path}, generation {self.generation})"

    @property
    def added(self) -> dict[bytes, int]:
        """When each device that is not revoked was added, by its key, in Unix seconds."""
        records = [ReceivedLink.decode(logged_bytes(row)).record for row in self.shown.chain[1:]]
        return {
            record.device_key: record.added
            for record in records
            if isinstance(record, Device) and record.device_key in self.chain.devices
        }


async def find(
    path: Path,
    url: str,
    handle: str,
    phrase: str,
    *,
    demonstration: bool = False,
    genesis: str | None = None,
    passphrase: str | None = None,
) -> Found:
    """A folder with a new device for the account that `handle` and `phrase` belong to; nothing has
    changed yet. Taken up where it was cut short.

    Raises `BadInput` for words that are no phrase, `Refused` A10 for those of another account,
    `Conflict` for a folder with a device, and what joining a domain raises.
    """
    entropy = recovery_phrase.read(phrase)
    home = _unfinished(path)
    pins = home.pins if home else None
    async with ServiceClient(url) as service:
        if pins is None:
            pins = await accounts.discover(service, demonstration=demonstration, genesis=genesis)
        local = accounts.local_handle(handle, pins.domain)
        shown, generation = await _ask(service, pins.domain, local, entropy)
    chain = VerifiedChain.replay([logged_bytes(row) for row in shown.chain], pins.domain)
    key = recovery_phrase.account_key(entropy, pins.domain, generation)
    if chain.account_key != key.public_key().public_bytes_raw():
        raise Refused(
            "A10", "The service answered with an account that this phrase is not the key of."
        )
    home = home or _begin(DeviceHome.create(path, pins, passphrase))
    with home.store() as store, store.transaction():
        seed = store.settings.device_seed
        assert seed is not None
        if store.settings.account is None:
            store.device.set_identity(chain.account_id, seed)
        elif store.settings.account != chain.account_id:
            raise Conflict(
                f"{path} is the folder of another account's recovery.", code="home-exists"
            )
        store.settings.account = chain.account_id
        store.settings.handle = local
        store.settings.name = shown.display
        store.settings.notice_seed = recovery_phrase.notice_key(entropy, pins.domain).seed
    return Found(home, entropy, shown, chain, generation, _public(seed))


async def _ask(
    service: ServiceClient, domain: str, handle: str, entropy: bytes
) -> tuple[ShownAccount, int]:
    """What the service shows to the account key of the newest generation that it takes."""
    refused = Refused("A10", f"This phrase is not that of {handle}, or there is no such account.")
    for generation in range(recovery_phrase.GENERATIONS):
        key = recovery_phrase.account_key(entropy, domain, generation)
        request = sign_recovery(key, domain, handle, int(time.time()))
        try:
            return await service.call(RECOVERY, AskRecovery(handle, request)), generation
        except Refused as error:
            if error.code != "A10":
                raise
    raise refused


def _unfinished(path: Path) -> DeviceHome | None:
    if not (path / "device.db").exists():
        return None
    home = DeviceHome.load(path)
    with home.store() as store:
        if store.settings.registered or not store.settings.recovering:
            raise Conflict(
                f"{path} already holds a device; name another folder with --home.",
                code="home-exists",
            )
    return home


def _begin(home: DeviceHome) -> DeviceHome:
    with home.store() as store, store.transaction():
        store.settings.device_seed = Ed25519PrivateKey.generate().private_bytes_raw()
        store.settings.recovering = 1
    return home


async def come_back(
    found: Found,
    *,
    lost: Collection[bytes],
    replace_key: bool = False,
    prompt: Prompt | None = None,
) -> None:
    """Replaces the account's key if asked, revokes the `lost` devices, adds this one, and leaves
    key packages. Raises what the service and the chain refuse.
    """
    home, domain = found.home, found.home.pins.domain
    # first, since a wrong passphrase is refused here
    _keep(home, found.entropy, prompt)
    with home.store() as store, store.transaction():
        going_to = store.settings.recovering_to
        if going_to is None:
            # decided once, so that a recovery that is taken up again replaces no key twice
            going_to = found.generation + bool(replace_key)
            store.settings.recovering_to = going_to
        if going_to >= recovery_phrase.GENERATIONS:
            raise BadInput("This phrase has made all the account keys that it can.", code="phrase")
        seed = store.settings.device_seed
    assert seed is not None
    device = Ed25519PrivateKey.from_private_bytes(seed)
    session = Session(home, found.chain.account_id, seed)
    key = recovery_phrase.account_key(found.entropy, domain, found.generation)
    chain = found.chain
    try:
        for generation in range(found.generation + 1, going_to + 1):
            after = recovery_phrase.account_key(found.entropy, domain, generation)
            public = after.public_key().public_bytes_raw()
            record: Link = AccountKey(*_next(chain), public, int(time.time()))
            chain = await _post(session, chain, key, record, after)
            key = after
        for gone in [one for one in chain.devices if one in lost and one != found.device]:
            record = DeviceRevoked(*_next(chain), gone, int(time.time()))
            chain = await _post(session, chain, key, record, None)
        if found.device not in chain.devices:
            record = Device(*_next(chain), found.device, int(time.time()))
            chain = await _post(session, chain, key, record, device)

        with session.transaction() as store:
            store.settings.account_seed = key.private_bytes_raw()
            store.settings.registered = 1
            store.settings.recovering = store.settings.recovering_to = None
        await key_packages.stock(session)
    finally:
        await session.close()


def _next(chain: VerifiedChain) -> tuple[bytes, bytes, int]:
    return chain.account_id, chain.head, chain.number + 1


async def _post(
    session: Session,
    chain: VerifiedChain,
    key: Ed25519PrivateKey,
    record: Link,
    new_key: Ed25519PrivateKey | None,
) -> VerifiedChain:
    statement = sign_link(key, record, new_key)
    after = chain.extend(statement)  # refuses here, with the reason, what the service would refuse
    received = ReceivedLink.decode(statement)
    posted = PostChainStatement(
        KIND_NAMES[type(record)], received.cose.encode(), received.possession
    )
    await session.service.call(CHAIN_POST, posted, account=chain.account_id)
    return after


def _public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
