"""Places where a test may kill the process: before and after every durable step.

`COUNTERSEAL_FAILPOINT=PLACE`, or `PLACE:3` for the third time, makes the process kill itself there
with SIGKILL, as a power cut would. A place is a step's name (`queue.after`), or the name of a
durable write and the moment beside it (`blob.append:before`). Unset, which is always outside of
tests, `reach` costs one comparison.
"""

from __future__ import annotations

import os
import re
import signal
from typing import Literal

VARIABLE = "COUNTERSEAL_FAILPOINT"

DEVICE_STEPS = (
    "queue.before-commit",
    "queue.after",
    "window.before-commit",
    "window.opened",
    "window.posted",
    "seal.before-commit",
    "seal.after",
    "frames.posted",
    "ack.before-commit",
    "ack.after",
    "event.before-commit",
    "event.after",
    "commit.made",
    "commit.posted",
    "join.before-commit",
    "join.after",
)
"""Every step of a member's device, so that the tests can go through all of them. The service's
durable writes are named where they are made.
"""


def reach(name: str, when: Literal["before", "after"] | None = None) -> None:
    """Marks a place; kills the process there when a test asked for it."""
    if _place is None:
        return
    _count_down(name if when is None else f"{name}:{when}")


def _count_down(place: str) -> None:
    global _left
    if place != _place:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _parse(setting: str | None) -> tuple[str | None, int]:
    """The place, None without one, and how often it is reached before the process dies."""
    if not setting:
        return None, 1
    found = re.fullmatch(r"(.+?)(?::([0-9]+))?", setting)
    assert found is not None  # any text that is not empty fits
    return found[1], int(found[2] or 1)


_place, _left = _parse(os.environ.get(VARIABLE))
