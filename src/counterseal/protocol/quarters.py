"""Quarters of a year, and the keyset that goes on in one (section 6)."""

from __future__ import annotations

import datetime

from .errors import Refused
from .keyset import VerifiedKeyset
from .trusted_rules import TrustedRules


def quarter_of(time: int) -> int:
    """`4 * year + (0..3)` of a time in seconds UTC. Raises `Refused` K1 beyond the year 9999."""
    try:
        date = datetime.datetime.fromtimestamp(time, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        raise Refused("K1", f"{time} is no time of a calendar year.") from None
    return 4 * date.year + (date.month - 1) // 3


def newest_keyset(
    rules: TrustedRules, charter_digest: bytes, quarter: int
) -> VerifiedKeyset | None:
    """The newest keyset under a charter that is not of a later quarter, or None: until a quarter's
    own is logged, the one before goes on.
    """
    found = [
        one.keyset
        for one in rules.keysets
        if one.keyset.keyset.charter_digest == charter_digest
        and one.keyset.keyset.quarter <= quarter
    ]
    return max(found, key=lambda keyset: keyset.keyset.quarter, default=None)
