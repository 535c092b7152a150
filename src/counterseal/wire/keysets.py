"""Keysets: the draft of a quarter, holders' keys, and the signed keyset."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.cose import statement_max
from counterseal.protocol.keyset import HolderKey, Keyset
from counterseal.protocol.record import Bytes32, Part, Uint

from .body import KIB, MIB, Rows
from .endpoint import Authentication, Endpoint, ErrorCode

KEYSET_MAX = statement_max(Keyset.limit)
KeysetCose = Annotated[bytes, Meta(min_length=1, max_length=KEYSET_MAX)]


class ShownKeyset(Part, frozen=True):
    """A signed keyset, its quarter (4 * year + 0 to 3) and its place in the log, as the service
    shows them.
    """

    quarter: Uint
    statement: KeysetCose
    log_index: Uint


class ShownKeysets(Rows, frozen=True):
    """A charter's logged keysets, in order."""

    rows: Annotated[tuple[ShownKeyset, ...], Meta(max_length=1_000)]


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
KEYSETS: Endpoint[None, ShownKeysets] = Endpoint(
    method="GET",
    path="/v1/keysets/{charter}",
    authentication=Authentication.ANYBODY,
    summary="A charter's logged keysets, in order.",
    answer=ShownKeysets,
    answer_max=64 * MIB,
    repeatable=True,
)
