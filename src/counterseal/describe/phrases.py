"""The small change of every text: moments, lengths of time, numbers with their nouns, lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from counterseal.protocol.record import TIME_MAX

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_PLURALS = {"leaf": "leaves", "witness": "witnesses"}


def when(seconds: int) -> str:
    """A moment in UTC, to the minute where that is exact."""
    form = "%Y-%m-%d %H:%M UTC" if seconds % 60 == 0 else "%Y-%m-%d %H:%M:%S UTC"
    return _text(seconds, form)


def minute(seconds: int) -> str:
    """A moment to the minute, without its zone: for a text that has said UTC already."""
    return _text(seconds, "%Y-%m-%d %H:%M")


def _text(seconds: int, form: str) -> str:
    # a record may hold any number: what no calendar has is shown, and stops nothing behind it
    if not 0 <= seconds <= TIME_MAX:
        return f"the time {seconds}, which no calendar has"
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def span(seconds: int) -> str:
    """A length of time in the largest unit that is exact."""
    for size, unit in _UNITS:
        if seconds % size == 0 and seconds:
            return count(seconds // size, unit)
    return "no time"


def count(number: int, noun: str) -> str:
    """`1 window`, `2 windows`, `2 custodian bodies`."""
    return f"{number:,} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith("y") and not noun.endswith("ay"):
        return noun[:-1] + "ies"
    return noun + "s"


def names(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; `nobody` for an empty list."""
    if not items:
        return "nobody"
    if len(items) == 1:
        return items[0]
    return f"{', '.join(items[:-1])} and {items[-1]}"


def quarter_name(quarter: int) -> str:
    """`2026Q4` for 4 * 2026 + 3."""
    return f"{quarter // 4}Q{quarter % 4 + 1}"


def short(digest: bytes) -> str:
    """The first 16 hexadecimal digits of a digest or key: enough to tell two apart."""
    return digest.hex()[:16]
