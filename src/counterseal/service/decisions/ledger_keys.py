"""Ledger keys: drawn for a keyset to come, in use from their first chunk on.

A key's first chunk has to lie so far ahead that people have the time to sign its keyset.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from counterseal.protocol import cbor
from counterseal.protocol.errors import Conflict, NotFound
from counterseal.protocol.keyset import Keyset, LedgerKey, VerifiedKeyset, ledger_key_commitment
from counterseal.protocol.ledger_key import make_ledger_key
from counterseal.protocol.quarters import quarter_of
from counterseal.protocol.record import convert
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.service.store.rows import StoredLedgerKey

LEAD = 7 * 86_400
LEAD_DEMONSTRATION = 120
"""Seconds of ticks between drawing a ledger key and the chunk it begins with."""
_PART_MAX = 1 << 20


def due(charter: VerifiedCharter, now: int) -> tuple[int, int]:
    """The quarters whose keysets are drafted: the present one, or the charter's first, and the next
    one.
    """
    quarter = quarter_of(max(now, charter.charter.valid_from))
    return quarter, quarter + 1


def check_in_validity(charter: VerifiedCharter, quarter: int) -> None:
    """Returns if the quarter touches the charter's validity. Raises `NotFound` "draft"."""
    first, last = charter.charter.valid_from, charter.charter.valid_until
    if not quarter_of(first) <= quarter <= quarter_of(last):
        raise NotFound("The charter is not valid in this quarter.", code="draft")


def gone(rows: Iterable[StoredLedgerKey], tick: int) -> list[bytes]:
    """The commitments of drafts that can never be logged: their first chunk is sealed already."""
    return [row.commitment for row in rows if not row.logged and read_part(row).first_chunk < tick]


def read_part(row: StoredLedgerKey) -> LedgerKey:
    """The part of a keyset that a key was drawn for."""
    return convert(cbor.decode(row.part, _PART_MAX), LedgerKey)


def in_use(
    rows: Iterable[StoredLedgerKey], keysets: Iterable[VerifiedKeyset]
) -> list[StoredLedgerKey]:
    """The keys of the logged keysets, in order."""
    by_commitment = {row.commitment: row for row in rows if row.logged}
    return [by_commitment[keyset.keyset.ledger_key.commitment] for keyset in keysets]


def newest_draft(
    rows: Sequence[StoredLedgerKey], charter: bytes, quarter: int
) -> StoredLedgerKey | None:
    """The key drawn last for a keyset, or None."""
    for row in reversed(rows):
        if (row.charter, row.quarter) == (charter, quarter):
            return row
    return None


def still_fits(
    drawn: StoredLedgerKey, used: Sequence[StoredLedgerKey], tick: int, charter: VerifiedCharter
) -> bool:
    """Whether a keyset with this draft could still be logged, a quarter of its lead to spare.

    `used` are the keys in use, `tick` the ledger's next one, `charter` the draft's.
    """
    part = read_part(drawn)
    if not used:
        return part.first_chunk == 0
    spare = _lead(charter) // 4
    return part.first_chunk > max(tick + spare, read_part(used[-1]).first_chunk)


def draw(
    key: bytes, used: Sequence[StoredLedgerKey], tick: int, charter: VerifiedCharter, quarter: int
) -> StoredLedgerKey:
    """What is kept of a fresh key of 32 secret random bytes."""
    first_chunk, predecessor = 0, None
    if used:
        first_chunk = max(tick + _lead(charter), read_part(used[-1]).first_chunk + 1)
        predecessor = used[-1].secret
    part = make_ledger_key(key, charter, quarter, first_chunk, predecessor)
    encoded = cbor.encode(part.plain())
    return StoredLedgerKey(
        ledger_key_commitment(key), key, charter.digest, quarter, encoded, logged=False
    )


def check_drawn(rows: Iterable[StoredLedgerKey], keyset: Keyset) -> bytes:
    """The commitment of a keyset's ledger key, if this service drew it.

    Raises `Conflict` "ledger-key".
    """
    part = keyset.ledger_key
    encoded = cbor.encode(part.plain())
    for row in rows:
        if (row.commitment, row.part) == (part.commitment, encoded):
            return row.commitment
    raise Conflict(
        "The keyset's ledger key is not the draft's; fetch the draft again and sign that.",
        code="ledger-key",
    )


def check_first_chunk(first_chunk: int, tick: int) -> None:
    """Returns if a key may begin at this chunk.

    Raises `Conflict` "ledger-key" when the chunk is sealed already.
    """
    if first_chunk < tick:
        raise Conflict(
            "The keyset's ledger key begins at a chunk that is gone; fetch a new draft and sign"
            " that.",
            code="ledger-key",
        )


def _lead(charter: VerifiedCharter) -> int:
    """Ticks between drawing a key and its first chunk."""
    seconds = LEAD_DEMONSTRATION if charter.charter.demonstration else LEAD
    return seconds // max(1, charter.charter.ledger.tick)
