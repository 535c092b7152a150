"""Asking for an account's chain with its recovery phrase alone."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.account_recovery import REQUEST_MAX
from counterseal.protocol.record import Part

from .accounts import ShownAccount
from .body import KIB, MIB
from .endpoint import Authentication, Endpoint, ErrorCode


class AskRecovery(Part, frozen=True):
    """A handle, and a request that its account's key signed (account-recovery)."""

    handle: Annotated[str, Meta(min_length=1, max_length=400)]
    request: Annotated[bytes, Meta(min_length=1, max_length=REQUEST_MAX)]


RECOVERY: Endpoint[AskRecovery, ShownAccount] = Endpoint(
    method="POST",
    path="/v1/recoveries",
    authentication=Authentication.STATEMENT,
    summary="An account's chain, for whoever has its account key and no device left.",
    notes="Refused in the same words whether or not there is such an account.",
    request=AskRecovery,
    answer=ShownAccount,
    errors=(ErrorCode(422, "A10", "the account's key did not sign this just now"),),
    request_max=2 * KIB,
    answer_max=5 * MIB,
    repeatable=True,
)
