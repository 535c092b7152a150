"""A demonstration's window clock: stepped by the operator, forward only."""

from __future__ import annotations

from counterseal.protocol.errors import Conflict, NotAuthorised
from counterseal.service.clock import WindowClock
from counterseal.service.store.interface import Transaction


def check_demonstration(window_clock: WindowClock) -> None:
    """Returns if the clock may be stepped. Raises `NotAuthorised` "not-a-demonstration"."""
    if not window_clock.demonstration:
        raise NotAuthorised("Only a demonstration's clock is stepped.", code="not-a-demonstration")


def step(tables: Transaction, window_clock: WindowClock, now: int) -> None:
    """Steps the clock, in the writer's own order: what is stamped after this has the new time.

    Raises `Conflict` "clock".
    """
    if now < window_clock.now():
        raise Conflict(f"The clock is at {window_clock.now()} and goes forward only.", code="clock")
    tables.periods.set_clock(now)
    window_clock.step(now)
