"""What a replay will be: who takes part, under which handles, and what the warrant asks for. No
I/O.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from counterseal.demonstration.chat import Line
from counterseal.protocol.errors import BadInput

DAY = 86_400
# when the file has more senders than this and nobody said how many
DEFAULT_MEMBERS = 10


class Plan(msgspec.Struct, frozen=True):
    """`members` are the senders' names, most messages first; `handles` is each one's; `start`
    and `end` bound the warrant, in seconds.
    """

    members: tuple[str, ...]
    handles: dict[str, str]
    lines: tuple[Line, ...]
    target: str
    start: int
    end: int
    direction: str


def make_plan(
    lines: Sequence[Line],
    members: int | None,
    target: str | None,
    first: str | None,
    last: str | None,
    direction: str,
) -> Plan:
    """Chooses the `members` senders with the most messages; of equals, the one who spoke first.
    Raises `BadInput`.
    """
    # most_common keeps the order of first appearance among equals
    counts = Counter(line.sender for line in lines)
    wanted = min(len(counts), DEFAULT_MEMBERS) if members is None else members
    if not 2 <= wanted <= len(counts):
        raise BadInput(
            f"Between 2 and {len(counts)} can take part: so many have written in this conversation."
        )
    taking_part = tuple(name for name, _ in counts.most_common(wanted))
    chosen = taking_part[1] if target is None else target
    if chosen not in taking_part:
        near = f"those who take part are {', '.join(taking_part[:12])}"
        raise BadInput(f"{chosen!r} does not take part; {near}.")
    kept = tuple(line for line in lines if line.sender in set(taking_part))
    start = _day(first) if first else kept[0].sent_at_ms // 1000 // DAY * DAY
    end = _day(last) + DAY if last else (kept[-1].sent_at_ms // 1000 // DAY + 1) * DAY
    if end <= start:
        raise BadInput("The last day of the warrant is before its first.")
    asked_for = [line for line in kept if direction == "conversation" or line.sender == chosen]
    if not any(start * 1000 <= line.sent_at_ms < end * 1000 for line in asked_for):
        raise BadInput(
            "Nothing that the warrant would be about was written on these days; there would be"
            " nothing to open."
        )
    return Plan(taking_part, _handles(taking_part), kept, chosen, start, end, direction)


def _day(text: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is not a day; write it as 2026-02-28.") from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _handles(names: Sequence[str]) -> dict[str, str]:
    """A handle a name: ASCII letters, digits and `-`, made unique with a number."""
    taken: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "member"
        handle = base
        number = 2
        while handle in used:
            handle, number = f"{base}-{number}", number + 1
        used.add(handle)
        taken[name] = handle
    return taken


def quarter_of(seconds: int) -> int:
    """4 * year + (0..3), as in protocol.md section 3."""
    day = datetime.fromtimestamp(seconds, UTC)
    return 4 * day.year + (day.month - 1) // 3


def quarters(plan: Plan) -> list[int]:
    """The quarters in which something was written, in order."""
    return sorted({quarter_of(line.sent_at_ms // 1000) for line in plan.lines})


def days(plan: Plan) -> tuple[str, str]:
    """The warrant's first and last day, as people write them."""
    last = datetime.fromtimestamp(plan.end, UTC) - timedelta(days=1)
    return datetime.fromtimestamp(plan.start, UTC).date().isoformat(), last.date().isoformat()
