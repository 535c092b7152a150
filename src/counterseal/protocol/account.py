"""An account: its first statement, which its own key signs, and whose digest is its id (section
7). The chain of statements after it is in `account_chain.py`.

| rule | refuses |
| --- | --- |
| A1 | a chain that does not begin with this domain's account statement, signed by its own key |
| A8 | a notice key that nobody could seal to (K5). At registration only: later the notice goes to |
|    | the charter's substitute |
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

import msgspec

from .errors import Refused, refuse_as
from .keys import check_ed25519, check_xwing
from .record import Bytes16, Bytes32, Domain, Record, Uint, XWingKey
from .sign1 import ReceivedSign1

STATEMENT_MAX = 4_096


class Account(Record, frozen=True, tag="counterseal/v1/account"):
    """An account's first statement; its digest is the account id."""

    limit: ClassVar[int] = 2_048
    domain: Domain
    account_key: Bytes32
    notice_key: XWingKey
    nonce: Bytes16
    created: Uint


class VerifiedAccount(msgspec.Struct, frozen=True):
    """An account whose own key signed its first statement."""

    account_id: bytes
    account: Account


def verify_account(statement: bytes, domain: str) -> VerifiedAccount:
    """The account of a first statement. Raises `Refused` A1, E1 to E7, X1, X6."""
    cose = ReceivedSign1.decode(statement, STATEMENT_MAX)
    account = Account.decode(cose.payload)
    if account.domain != domain:
        raise Refused("A1", f"The account is of {account.domain!r}, not of {domain!r}.")

    check_ed25519(account.account_key)
    with refuse_as("A1", "The account's first statement is not signed by its own key."):
        cose.verify(account.account_key)
    return VerifiedAccount(hashlib.sha256(cose.payload).digest(), account)


def check_notice_key(notice_key: bytes) -> bytes:
    """An account's notice key (1,216 bytes), if it can be sealed to. Raises `Refused` A8: at
    registration the account is refused, in a release the notice goes to the charter's
    substitute.
    """
    with refuse_as("A8", "The account's notice key is no good:"):
        return check_xwing(notice_key)
