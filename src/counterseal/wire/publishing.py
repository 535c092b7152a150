"""What the ceremony reads and posts: charters, holders' keys, keysets and revocations."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.cose import statement_max
from counterseal.protocol.keyset import HolderKey, Keyset
from counterseal.protocol.record import Bytes32, Part, Uint

from .body import KIB
from .charters import CHARTER_MAX, CharterCose
from .endpoint import Authentication, Endpoint, ErrorCode
from .keysets import KEYSET_MAX, KeysetCose
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
    authentication=Authentication.STATEMENT,
    summary="Publishes a charter: the first one once, then its successors (C18, C19).",
    request=PostCharter,
    answer=CharterPosted,
    errors=(
        ErrorCode(409, "charter-published", "another charter of this version came first"),
        ErrorCode(422, "C1 to C19", "the charter is refused"),
    ),
    request_max=CHARTER_MAX + KIB,
    repeatable=True,
)


class KeysetDraft(Part, frozen=True):
    """An encoded keyset that nobody has signed."""

    payload: Annotated[bytes, Meta(min_length=1, max_length=Keyset.limit)]


class PostHolderKey(Part, frozen=True):
    """A holder's signed key for a quarter (COSE_Sign over a holder-key record)."""

    statement: Annotated[bytes, Meta(min_length=1, max_length=statement_max(HolderKey.limit))]


class HolderKeyPosted(Part, frozen=True):
    """The holder's position."""

    position: Uint


class PostKeyset(Part, frozen=True):
    """A signed keyset to publish."""

    statement: KeysetCose


class KeysetPosted(Part, frozen=True):
    """The keyset's digest, and its place in the log."""

    digest: Bytes32
    log_index: Uint


KEYSET_DRAFT: Endpoint[None, KeysetDraft] = Endpoint(
    method="GET",
    path="/v1/keysets/draft/{quarter}",
    authentication=Authentication.ANYBODY,
    summary="The keyset of a quarter as it is so far.",
    notes=(
        "It holds the holder keys delivered so far and the sequencer's part, the ledger key. That "
        "part stays the same while it can still be logged: its first chunk lies a week of ticks "
        "ahead (two minutes in a demonstration), a quarter of that to spare."
    ),
    answer=KeysetDraft,
    errors=(ErrorCode(404, "no-charter", "no charter is published yet"),),
    answer_max=Keyset.limit + KIB,
    repeatable=True,
)

HOLDER_KEY_POST: Endpoint[PostHolderKey, HolderKeyPosted] = Endpoint(
    method="POST",
    path="/v1/keysets/holder-keys",
    authentication=Authentication.STATEMENT,
    summary="A holder delivers its key of a quarter (K3, K5).",
    request=PostHolderKey,
    answer=HolderKeyPosted,
    errors=(ErrorCode(422, "K3, K5", "the key is refused"),),
    request_max=64 * KIB,
    repeatable=True,
)

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
