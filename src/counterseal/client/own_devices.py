"""The devices of one's own account: bringing a new one into every conversation, and ending one."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterseal.client import membership
from counterseal.client.session import Session
from counterseal.client.states import ConversationState
from counterseal.client.store.device_store import DeviceStore
from counterseal.protocol.account_chain import DeviceRevoked, VerifiedChain, sign_link
from counterseal.protocol.errors import BadInput, NotAuthorised
from counterseal.wire.accounts import CHAIN_POST, PostChainStatement


async def adopt(session: Session) -> int:
    """Brings the devices that this one approved into every conversation of the account, as soon as
    they have left key packages.
    """
    with session.store() as store:
        devices = store.accounts.devices_to_adopt()
        active = store.conversations.ids(ConversationState.ACTIVE)
    if not devices:
        return 0

    done = set(devices)
    for conversation in active:
        await membership.add_leaves(
            session, conversation, [(session.me[0], device) for device in devices]
        )
        with session.store() as store:
            done &= {device for _, device in store.device.group_view(conversation).roster}

    # without a conversation nothing shows that a device can be added: it is tried with the first
    with session.transaction() as store:
        for device in done if active else ():
            store.accounts.finish_adopting(device)
    return len(done)


async def revoke(session: Session, device: bytes) -> None:
    """Ends a device of this account in the chain, then removes it from every conversation. Raises
    `Refused` A6, `NotAuthorised`, `BadInput`.
    """
    if device == session.me[1]:
        raise BadInput("A device cannot revoke itself; do it from another one.", code="self")
    chain = await own_chain(session)
    with session.store() as store:
        key = account_key(store, chain)

    if device not in chain.revoked:
        record = DeviceRevoked(
            chain.account_id, chain.head, chain.number + 1, device, int(time.time())
        )
        statement = sign_link(key, record, None)
        # refuses here, with the reason, what the service would refuse
        chain.extend(statement)
        posted = PostChainStatement("device-revoked", statement, None)
        await session.service.call(CHAIN_POST, posted, account=session.me[0])

    # so that the next commit already knows of it
    await session.directory.accounts.learn(session.me[0])
    with session.store() as store:
        active = store.conversations.ids(ConversationState.ACTIVE)
    for conversation in active:
        await membership.remove_leaves(session, conversation, lambda leaf: leaf[1] == device)


async def own_chain(session: Session) -> VerifiedChain:
    """One's own chain, fetched, proved and replayed. Raises what looking up raises."""
    await session.directory.updates.refresh()
    return await session.directory.accounts.learn(session.me[0])


def account_key(store: DeviceStore, chain: VerifiedChain) -> Ed25519PrivateKey:
    """The account's signing key, if it is the one in force. Raises `NotAuthorised` on a device that
    does not have it.
    """
    seed = store.settings.account_seed
    if seed is None:
        raise NotAuthorised(
            "Only the account's main devices have the account's key;"
            " approve and revoke devices there.",
            code="no-account-key",
        )
    key = Ed25519PrivateKey.from_private_bytes(seed)
    if key.public_key().public_bytes_raw() != chain.account_key:
        raise NotAuthorised(
            "The account's key was replaced on another device; approve and revoke devices there."
            " If it was not you, recover the account with its phrase.",
            code="no-account-key",
        )
    return key
