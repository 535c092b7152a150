"""The clock that institutions go by; tests and the demonstration hand in their own."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


def real_clock() -> int:
    """This machine's clock, Unix seconds."""
    return int(time.time())
