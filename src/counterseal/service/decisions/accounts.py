"""Accounts: whose handle is whose, and what may be added to an account's chain.

The service adds no device: only the account key's signature does.
"""

from __future__ import annotations

import re

import msgspec

from counterseal.protocol.account import STATEMENT_MAX, Account, check_notice_key
from counterseal.protocol.account_chain import (
    KIND_NAMES,
    AccountKey,
    Device,
    DeviceRevoked,
    Link,
    ReceivedLink,
    VerifiedChain,
)
from counterseal.protocol.cbor import encode
from counterseal.protocol.errors import BadInput, Conflict, NotAuthorised, NotFound
from counterseal.protocol.sign1 import ReceivedSign1
from counterseal.service.authentication import DeviceCaller
from counterseal.service.decisions import log_entries
from counterseal.service.store.interface import ReadAccounts, Transaction
from counterseal.service.store.rows import StoredAccount, StoredStatement
from counterseal.wire.accounts import ShownAccount, ShownChainStatement

_HANDLE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


class FirstStatements(msgspec.Struct, frozen=True):
    """What makes an account: its handle, its first statement, and that of its first device."""

    handle: str
    account: bytes
    device: bytes
    possession: bytes
    chain: VerifiedChain


class NextStatement(msgspec.Struct, frozen=True):
    """A further statement of a chain, and the chain that it makes."""

    kind: str
    statement: bytes
    possession: bytes | None
    record: Link
    chain: VerifiedChain


def local_handle(handle: str, domain: str) -> str:
    """The handle without `@` and domain: 1 to 64 lower-case letters, digits, dots, dashes and
    underscores. Raises `BadInput` "handle-form".
    """
    local = handle.removeprefix("@").removesuffix(":" + domain)
    if not _HANDLE.fullmatch(local):
        raise BadInput(
            "A handle has 1 to 64 of a-z, 0-9, dot, dash and underscore, and begins and ends with a"
            " letter or digit.",
            code="handle-form",
        )
    return local


def link_statement(statement: bytes, possession: bytes | None) -> bytes:
    """A statement as the chain and the log have it: with its possession where a key is new."""
    return statement if possession is None else encode([statement, possession])


def get(accounts: ReadAccounts, account: bytes) -> StoredAccount:
    """The account with this id. Raises `NotFound` "account"."""
    found = accounts.find(account)
    if found is None:
        raise NotFound("There is no such account here.", code="account")
    return found


def get_account_key(accounts: ReadAccounts, account: bytes) -> bytes:
    """The account's key in force (32 bytes), read off its stored chain, whose signatures were
    verified as it grew: whoever asks, it costs no more than reading.
    """
    first, *links = accounts.chain(account)
    for row in reversed(links):
        if row.kind == KIND_NAMES[AccountKey]:
            record = ReceivedLink.decode(link_statement(row.statement, row.possession)).record
            assert isinstance(record, AccountKey)
            return record.account_key
    return Account.decode(ReceivedSign1.decode(first.statement, STATEMENT_MAX).payload).account_key


def show(accounts: ReadAccounts, account: bytes) -> ShownAccount:
    """The account's handle, display name and chain. Raises `NotFound` "account"."""
    row = get(accounts, account)
    links = (
        ShownChainStatement(one.kind, one.statement, one.possession, one.log_index)
        for one in accounts.chain(account)
    )
    return ShownAccount(row.handle, row.display, tuple(links))


def get_chain(accounts: ReadAccounts, account: bytes, domain: str) -> VerifiedChain:
    """The account's chain, replayed. Raises `NotFound` "account"."""
    get(accounts, account)
    statements = (link_statement(row.statement, row.possession) for row in accounts.chain(account))
    return VerifiedChain.replay(statements, domain)


def check_first(
    handle: str, account: bytes, device: bytes, possession: bytes, caller: DeviceCaller, domain: str
) -> FirstStatements:
    """The statements of a new account, if the caller is the device that they name.

    Raises `BadInput` "handle-form", `NotAuthorised` "first-device", and the chain's refusals.
    """
    local = local_handle(handle, domain)
    chain = VerifiedChain.start(account, domain)
    check_notice_key(chain.notice_key)
    chain = chain.extend(link_statement(device, possession))
    if chain.devices != (caller.device,) or chain.account_id != caller.account:
        raise NotAuthorised("An account is made by its own first device.", code="first-device")
    return FirstStatements(local, account, device, possession, chain)


def create(tables: Transaction, first: FirstStatements, now: int) -> int:
    """Makes the account; returns its device statement's index in the log.

    The same account again gets the same answer. Raises `Conflict` "handle", "account", "device".
    """
    account, [device] = first.chain.account_id, first.chain.devices
    known = tables.accounts.find(account)
    if known is not None and known.handle == first.handle:
        return tables.accounts.chain(account)[1].log_index
    if tables.accounts.by_handle(first.handle) is not None:
        raise Conflict("This handle is taken; choose another.", code="handle")
    if known is not None:
        raise Conflict("This account exists already.", code="account")

    tables.accounts.create(account, first.handle)
    index = log_entries.append(tables, first.account, "account", now)
    row = StoredStatement("account", first.account, None, index)
    tables.accounts.extend(account, 0, account, row)

    statement = link_statement(first.device, first.possession)
    index = log_entries.append(tables, statement, "device", now)
    row = StoredStatement("device", first.device, first.possession, index)
    tables.accounts.extend(account, 1, first.chain.head, row)
    _add_device(tables, account, device)
    return index


def read_next(kind: str, statement: bytes, possession: bytes | None) -> Link:
    """The record of a further statement. Raises `BadInput` "kind" and the record's refusals."""
    record = ReceivedLink.decode(link_statement(statement, possession)).record
    if KIND_NAMES[type(record)] != kind:
        raise BadInput(f"The statement is of the kind {KIND_NAMES[type(record)]!r}.", code="kind")
    return record


def check_own(account: bytes, caller: DeviceCaller) -> None:
    """Returns if the account is the caller's. Raises `NotAuthorised` "other-account"."""
    if caller.account != account:
        raise NotAuthorised("A device adds to its own account's chain alone.", code="other-account")


def extend(tables: Transaction, account: bytes, following: NextStatement, now: int) -> int:
    """Adds a statement that was judged as the chain's next; returns its index in the log.

    Raises `Conflict` "chain" when another came first, or "device".
    """
    logged = link_statement(following.statement, following.possession)
    index = log_entries.append(tables, logged, following.kind, now)
    if get(tables.accounts, account).statements + 1 != following.chain.number:
        raise Conflict(
            "Another statement of this account came first; fetch the chain and build on it.",
            code="chain",
        )
    row = StoredStatement(following.kind, following.statement, following.possession, index)
    tables.accounts.extend(account, following.chain.number, following.chain.head, row)
    if isinstance(following.record, Device):
        _add_device(tables, account, following.record.device_key)
    elif isinstance(following.record, DeviceRevoked):
        tables.accounts.revoke_device(following.record.device_key)
    return index


def check_profile(account: bytes, display: str, caller: DeviceCaller) -> None:
    """Returns if this may be the account's name. Raises `NotAuthorised`, `BadInput`."""
    if caller.account != account:
        raise NotAuthorised("A profile is its account's own.", code="other-account")
    if len(display.encode()) > 200:
        raise BadInput("A display name has at most 200 bytes.", code="display-name")


def _add_device(tables: Transaction, account: bytes, device: bytes) -> None:
    if tables.accounts.device(device) is not None:
        raise Conflict(
            "This device key belongs to an account already; draw a new one.", code="device"
        )
    tables.accounts.add_device(account, device)
