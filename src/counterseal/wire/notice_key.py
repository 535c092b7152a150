"""The key of an account that notices are sealed to."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.account import STATEMENT_MAX as ACCOUNT_STATEMENT_MAX
from counterseal.protocol.record import Part

from .endpoint import Authentication, Endpoint, ErrorCode

AccountCose = Annotated[bytes, Meta(min_length=1, max_length=ACCOUNT_STATEMENT_MAX)]


class AccountFirst(Part, frozen=True):
    """The first statement of an account (COSE_Sign1), which names its notice key."""

    statement: AccountCose


NO_ACCOUNT = ErrorCode(404, "account", "there is no such account")

NOTICE_KEY: Endpoint[None, AccountFirst] = Endpoint(
    method="GET",
    path="/v1/accounts/{account}/notice-key",
    authentication=Authentication.INSTITUTION,
    summary="An account's first statement, which names the key that notices are sealed to.",
    answer=AccountFirst,
    errors=(NO_ACCOUNT,),
)
