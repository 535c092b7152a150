"""Asking for an account's chain with nothing but its recovery phrase (section 7): no device of the
account is left to ask.

| rule | refuses |
| --- | --- |
| A10 | a request for recovery that the account key in force did not sign, that is for another |
|     | domain or handle, or that is over 300 seconds old or ahead |
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from .errors import Refused
from .record import Domain, Record, Uint
from .sign1 import ReceivedSign1, sign1

REQUEST_MAX = 1_024
"""Bytes of a request with its signature, at most."""
FRESH = 300
"""Seconds that a request may be off the service's clock."""
_REFUSAL = (
    "The request for recovery is not signed by the account's key, is for another handle or domain,"
    " or is over five minutes off the service's clock."
)


class RecoveryRequest(Record, frozen=True, tag="counterseal/v1/account-recovery"):
    """Whoever has the account's key asks for the account's chain. `time` is in Unix seconds."""

    limit: ClassVar[int] = 512
    domain: Domain
    handle: Annotated[str, Meta(min_length=1, max_length=64)]
    time: Uint


def sign_recovery(account_key: Ed25519PrivateKey, domain: str, handle: str, now: int) -> bytes:
    """The request's bytes."""
    return sign1(account_key, RecoveryRequest(domain, handle, now).encode())


def check_recovery(
    statement: bytes, domain: str, handle: str, account_key: bytes | None, now: int
) -> RecoveryRequest:
    """The request, if the account's key (32 bytes; None where there is no such account) signed it
    just now. One sentence for every reason: it tells nobody which accounts there are. Raises
    `Refused` A10, E1 to E7, X1.
    """
    cose = ReceivedSign1.decode(statement, REQUEST_MAX)
    request = RecoveryRequest.decode(cose.payload)
    if (
        account_key is None
        or (request.domain, request.handle) != (domain, handle)
        or abs(now - request.time) > FRESH
    ):
        raise Refused("A10", _REFUSAL)
    try:
        cose.verify(account_key)
    except Refused:
        raise Refused("A10", _REFUSAL) from None
    return request
