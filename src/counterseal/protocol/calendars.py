"""Calendars of a charter: which days count when a law says "within so many hours" (section 6)."""

from __future__ import annotations

import datetime
from typing import Annotated

from msgspec import Meta

from .errors import Refused
from .record import Name, Part

DAY = 86_400
_EPOCH = datetime.date(1970, 1, 1)
_THURSDAY = 3  # 1970-01-01, when Monday is 0


class Calendar(Part, frozen=True):
    """The days that do not count: weekdays (0 is Monday) and dates (`YYYY-MM-DD`), at a fixed
    offset from UTC.
    """

    name: Name
    utc_offset_minutes: int
    weekdays: Annotated[tuple[int, ...], Meta(max_length=7)]
    dates: Annotated[tuple[str, ...], Meta(max_length=1_000)]

    def check(self) -> Calendar:
        """The calendar again, if some weekday counts and every date is one, in order. Raises
        `Refused` C11.
        """
        days = list(self.weekdays)
        if days != sorted(set(days)) or len(days) == 7 or any(not 0 <= day <= 6 for day in days):
            raise Refused("C11", f"The weekdays of {self.name!r} are not 0 to 6, sorted, or all.")
        if abs(self.utc_offset_minutes) > 14 * 60:
            raise Refused("C11", f"The calendar {self.name!r} is more than 14 hours off UTC.")
        if list(self.dates) != sorted(set(self.dates)):
            raise Refused("C11", f"The dates of {self.name!r} are not in order, each once.")

        self._days_off()
        return self

    def _days_off(self) -> frozenset[int]:
        try:
            dates = [datetime.date.fromisoformat(date) for date in self.dates]
        except ValueError:
            raise Refused("C11", f"The calendar {self.name!r} has a date that is none.") from None
        # weeks and the like are dates too, but not here
        if [date.isoformat() for date in dates] != list(self.dates):
            raise Refused("C11", f"The calendar {self.name!r} has a date not as YYYY-MM-DD.")
        return frozenset((date - _EPOCH).days for date in dates)

    def deadline(self, start: int, seconds: int) -> int:
        """The moment (seconds UTC) when `seconds` of counting days have passed since `start`."""
        off, offset = self._days_off(), self.utc_offset_minutes * 60
        local = start + offset
        while True:
            day = local // DAY
            midnight = (day + 1) * DAY
            if (day + _THURSDAY) % 7 not in self.weekdays and day not in off:
                if seconds <= midnight - local:
                    return local + seconds - offset
                seconds -= midnight - local
            local = midnight
