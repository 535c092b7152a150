"""What a keyset is made of before it is published: the draft, and holders' keys for it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.cose import statement_max
from counterseal.protocol.keyset import HolderKey, Keyset
from counterseal.protocol.record import Part, Uint

from .body import KIB
from .endpoint import Authentication, Endpoint, ErrorCode
from .keysets import KeysetCose


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


KEYSET_DRAFT: Endpoint[None, KeysetDraft] = Endpoint(
    method="GET",
    path="/v1/keysets/draft/{quarter}",
    authentication=Authentication.ANYBODY,
    summary="The keyset of a quarter as it is so far.",
    notes=(
        "For this quarter and the next one; a demonstration's for any of its charter's. "
        "It holds the holder keys delivered so far and the sequencer's part, the ledger key. That "
        "part stays the same while it can still be logged: its first chunk lies a week of ticks "
        "ahead (two minutes in a demonstration), a quarter of that to spare."
    ),
    answer=KeysetDraft,
    errors=(
        ErrorCode(404, "draft", "a keyset of this quarter is not drafted"),
        ErrorCode(503, "no-charter", "no charter is published yet"),
    ),
    answer_max=Keyset.limit + KIB,
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
