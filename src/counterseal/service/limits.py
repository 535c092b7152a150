"""Token buckets, one a device or address: generous, and bounded in number."""

from __future__ import annotations

import time

from counterseal.protocol.errors import TooMany

_KEPT = 100_000


class Rates:
    """Allows `rate` requests a second after a burst of `burst`. Buckets that are full again are
    forgotten.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[bytes | str, tuple[float, float]] = {}

    def take(self, who: bytes | str, cost: float = 1.0) -> None:
        """Counts one request of `who` (a device key or an address). Raises `TooMany`."""
        now = time.monotonic()
        level, then = self._buckets.get(who, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate) - cost
        if level < 0:
            raise TooMany("Too many requests; wait a second and go on.")
        if len(self._buckets) >= _KEPT and who not in self._buckets:
            self._forget(now)
        self._buckets[who] = (level, now)

    def _forget(self, now: float) -> None:
        full = self._burst / self._rate
        self._buckets = {who: kept for who, kept in self._buckets.items() if now - kept[1] < full}
        # an onslaught from that many sources at once: start afresh rather than grow
        if len(self._buckets) >= _KEPT:
            self._buckets.clear()
