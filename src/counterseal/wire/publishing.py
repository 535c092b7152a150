"""What the ceremony publishes: charters, keysets and revocations."""

from __future__ import annotations

from counterseal.protocol.record import Bytes32, Part, Uint

from .body import KIB
from .charters import CHARTER_MAX, CharterCose
from .endpoint import Authentication, Endpoint, ErrorCode
from .keyset_draft import PostKeyset
from .keysets import KEYSET_MAX
from .revocations import REVOCATION_MAX, RevocationCose


class PostCharter(Part, frozen=True):
    """A signed charter to publish."""

    statement: CharterCose


class CharterPosted(Part, frozen=True):
    """The charter's digest, and its place in the log."""

    digest: Bytes32
    log_index: Uint


CHARTER_POST: Endpoint[PostCharter, CharterPosted] = Endpoint(
    method="POST",
    path="/v1/charters",
    authentication=Authentication.FIRST_STATEMENT,
    summary="Publishes a charter: the first one once, then its successors (C18, C19).",
    notes=(
        "The first charter says whose the domain is, so it comes with the operator's token: "
        "`Authorization: Bearer TOKEN`. A successor needs none."
    ),
    request=PostCharter,
    answer=CharterPosted,
    errors=(
        ErrorCode(401, "operator", "a first charter without the operator's token"),
        ErrorCode(409, "charter-published", "another charter of this version came first"),
        ErrorCode(422, "C1 to C19", "the charter is refused"),
    ),
    request_max=CHARTER_MAX + KIB,
    repeatable=True,
)


class KeysetPosted(Part, frozen=True):
    """The keyset's digest, and its place in the log."""

    digest: Bytes32
    log_index: Uint


KEYSET_POST: Endpoint[PostKeyset, KeysetPosted] = Endpoint(
    method="POST",
    path="/v1/keysets",
    authentication=Authentication.STATEMENT,
    summary="Publishes the signed keyset of a quarter; the lowest log index wins.",
    request=PostKeyset,
    answer=KeysetPosted,
    errors=(
        ErrorCode(404, "charter", "the domain has no such charter"),
        ErrorCode(409, "keyset-published", "a keyset of this charter and quarter is logged"),
        ErrorCode(409, "ledger-key", "the ledger key is not the draft's; fetch it again"),
        ErrorCode(422, "K1 to K8", "the keyset is refused"),
    ),
    request_max=KEYSET_MAX + KIB,
    repeatable=True,
)


class PostRevocation(Part, frozen=True):
    """A revocation signed by the custodians' quorum."""

    statement: RevocationCose


class RevocationPosted(Part, frozen=True):
    """The revocation's place in the log."""

    log_index: Uint


REVOCATION_POST: Endpoint[PostRevocation, RevocationPosted] = Endpoint(
    method="POST",
    path="/v1/revocations",
    authentication=Authentication.STATEMENT,
    summary="The custodians' quorum revokes an issuer's key (W18).",
    request=PostRevocation,
    answer=RevocationPosted,
    errors=(ErrorCode(422, "W18", "the revocation is refused"),),
    request_max=REVOCATION_MAX + KIB,
    repeatable=True,
)
