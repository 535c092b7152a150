"""Two clocks. The real one stamps the log, requests and caps; windows, stamps and periods go by the
window clock.

The two are one, except in a demonstration: there the operator steps the window clock, forward only
(docs/protocol.md section 9).
"""

from __future__ import annotations

import time


def real() -> int:
    """Unix seconds by the machine's clock."""
    return int(time.time())


def real_ms() -> int:
    """Unix milliseconds by the machine's clock."""
    return int(time.time() * 1000)


class WindowClock:
    """What windows go by, in Unix seconds. `stepped` is None outside of demonstrations.

    The writer thread sets it after the step is durable and reads it when it stamps; a reader
    elsewhere sees some recent value.
    """

    def __init__(self, stepped: int | None = None) -> None:
        self._stepped = stepped

    @property
    def demonstration(self) -> bool:
        """Whether an operator steps this clock."""
        return self._stepped is not None

    def now(self) -> int:
        """Unix seconds."""
        return real() if self._stepped is None else self._stepped

    def step(self, now: int) -> None:
        """Sets a demonstration's clock; the caller has checked that it goes forward and has stored
        it.
        """
        self._stepped = now
