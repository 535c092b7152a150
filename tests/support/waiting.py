"""Waiting for what another process will do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from tests.support.http import HttpRefusal

from counterseal.protocol.errors import CountersealError

T = TypeVar("T")

PAUSE = 0.05
"""Seconds between two questions: shorter than any answer that tests wait for."""


def until(ask: Callable[[], T | None], seconds: float = 30.0) -> T:
    """The first answer that is true. A refusal counts as "not yet"; the last one is raised when
    `seconds` are over.
    """
    deadline = time.monotonic() + seconds
    while True:
        refusal: Exception | None = None
        try:
            if found := ask():
                return found
        except (CountersealError, HttpRefusal) as error:
            refusal = error
        if time.monotonic() > deadline:
            raise refusal or AssertionError(f"it did not come true within {seconds} s")
        time.sleep(PAUSE)


async def until_async(ask: Callable[[], T | None], seconds: float = 20.0) -> T:
    """`until` for coroutines: others run meanwhile. Refusals are raised at once."""
    deadline = time.monotonic() + seconds
    while True:
        if found := ask():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come true within {seconds} s")
        await asyncio.sleep(PAUSE)
