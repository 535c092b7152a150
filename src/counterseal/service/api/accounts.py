"""Accounts, their chains of statements, handles and profiles. The service adds no device: only the
account key's signature does.
"""

from __future__ import annotations

import re
from typing import Annotated

import apsw
from msgspec import Meta

from counterseal.protocol.account import (
    STATEMENT_MAX,
    AccountKey,
    Device,
    DeviceRevoked,
    Link,
    ReceivedLink,
    VerifiedChain,
)
from counterseal.protocol.cbor import encode
from counterseal.protocol.errors import BadInput, NotAuthorised
from counterseal.protocol.record import Part, Signature
from counterseal.service import clock
from counterseal.service.api.http import Answer, DeviceCall, InstitutionCall, respond
from counterseal.service.store import accounts, log
from counterseal.service.store.accounts import ChainRow

LIMIT = 16 * 1024
_HANDLE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_KINDS: dict[type[Link], str] = {
    Device: "device",
    DeviceRevoked: "device-revoked",
    AccountKey: "account-key",
}


class FirstDevice(Part, frozen=True):
    """`[device COSE, possession]`."""

    cose: Annotated[bytes, Meta(max_length=STATEMENT_MAX)]
    possession: Signature


class NewAccount(Part, frozen=True):
    """`[handle, account COSE, [device COSE, possession]]`."""

    handle: Annotated[str, Meta(max_length=400)]
    account: Annotated[bytes, Meta(max_length=STATEMENT_MAX)]
    device: FirstDevice


class Statement(Part, frozen=True):
    """`[kind, COSE, possession or null]`."""

    kind: Annotated[str, Meta(max_length=32)]
    cose: Annotated[bytes, Meta(max_length=STATEMENT_MAX)]
    possession: Signature | None


class Profile(Part, frozen=True):
    """`[display name]`."""

    display: Annotated[str, Meta(max_length=200)]


def local_handle(handle: str, domain: str) -> str:
    """The handle without `@` and domain: lower-case letters, digits, dots, dashes, underscores, 1
    to 64. Raises `BadInput` "handle-form".
    """
    local = handle.removeprefix("@").removesuffix(":" + domain)
    if not _HANDLE.fullmatch(local):
        raise BadInput(
            "A handle has 1 to 64 of a-z, 0-9, dot, dash and underscore, and begins and ends with a letter or digit.",
            code="handle-form",
        )
    return local


def link_statement(cose: bytes, possession: bytes | None) -> bytes:
    """The statement's bytes as the chain and the log have them."""
    return cose if possession is None else encode([cose, possession])


async def create(call: DeviceCall) -> Answer:
    """`POST /v1/accounts`."""
    service, new = call.service, call.decode(NewAccount)
    handle = local_handle(new.handle, service.domain)
    chain = VerifiedChain.start(new.account, service.domain)
    chain.check_notice_key()
    device_statement = link_statement(new.device.cose, new.device.possession)
    chain = chain.extend(device_statement)
    if chain.devices != (call.caller.device,) or chain.account_id != call.caller.account:
        raise NotAuthorised("An account is made by its own first device.", code="first-device")

    def job(db: apsw.Connection) -> int:
        known = accounts.find(db, chain.account_id)
        # the same account again gets the same answer
        if known is not None and known.handle == handle:
            return accounts.chain(db, chain.account_id)[1].log_index
        accounts.create(db, chain.account_id, handle)
        first = log.append(db, new.account, "account", clock.real())
        accounts.extend(
            db, chain.account_id, 0, chain.account_id, ChainRow("account", new.account, None, first)
        )
        index = log.append(db, device_statement, "device", clock.real())
        row = ChainRow("device", new.device.cose, new.device.possession, index)
        accounts.extend(db, chain.account_id, 1, chain.head, row)
        accounts.add_device(db, chain.account_id, call.caller.device)
        return index

    index = await service.store.write("account", job, lambda _: service.directory.changed())
    return [chain.account_id, index]


async def extend(call: DeviceCall) -> Answer:
    """`POST /v1/accounts/{id}/statements`."""
    service, account, posted = call.service, call.hex("id"), call.decode(Statement)
    statement = link_statement(posted.cose, posted.possession)
    record = ReceivedLink.decode(statement).record
    if _KINDS[type(record)] != posted.kind:
        raise BadInput(f"The statement is of the kind {_KINDS[type(record)]!r}.", code="kind")
    chain = service.directory.chain(account).extend(statement)
    if call.caller.account != account:
        raise NotAuthorised("A device adds to its own account's chain alone.", code="other-account")

    def job(db: apsw.Connection) -> int:
        index = log.append(db, statement, posted.kind, clock.real())
        row = ChainRow(posted.kind, posted.cose, posted.possession, index)
        accounts.extend(db, account, chain.number, chain.head, row)
        if isinstance(record, Device):
            accounts.add_device(db, account, record.device_key)
        elif isinstance(record, DeviceRevoked):
            accounts.revoke_device(db, record.device_key)
        return index

    def after(_: int) -> None:
        service.directory.changed()
        if isinstance(record, DeviceRevoked):
            service.directory.forget(record.device_key)
            service.hub.revoke(record.device_key)

    return [await service.store.write("statement", job, after)]


async def get(call: DeviceCall | InstitutionCall) -> Answer:
    """`GET /v1/accounts/{id}` for devices, `GET /v1/accounts/{id}/chain` for institutions, whose
    evidence needs the senders' keys.
    """
    db, account = call.service.store.reader, call.hex("id")
    row = accounts.get(db, account)
    chain = [
        [link.kind, link.statement, link.possession, link.log_index]
        for link in accounts.chain(db, account)
    ]
    return [row.handle, row.display, chain]


async def put_profile(call: DeviceCall) -> Answer:
    """`PUT /v1/accounts/{id}/profile`."""
    account, profile = call.hex("id"), call.decode(Profile)
    if call.caller.account != account:
        raise NotAuthorised("A profile is its account's own.", code="other-account")
    if len(profile.display.encode()) > 200:
        raise BadInput("A display name has at most 200 bytes.", code="display-name")
    await call.service.store.write(
        "profile", lambda db: accounts.set_display(db, account, profile.display)
    )
    return []


async def look_up(call: DeviceCall) -> Answer:
    """`GET /v1/handles/{handle}`: with a proof under the newest logged root, of presence or of
    absence.
    """
    handle = local_handle(call.params["handle"], call.service.domain)
    found = call.service.directory.look_up(handle)
    return respond(
        [found.account, found.proof, found.record, found.log_index], 200 if found.account else 404
    )


async def notice_key(call: InstitutionCall) -> Answer:
    """`GET /v1/accounts/{id}/notice-key`."""
    chain = accounts.chain(
        call.service.store.reader, accounts.get(call.service.store.reader, call.hex("id")).id
    )
    return [chain[0].statement]
