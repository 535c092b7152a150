"""Places where a test may kill this process: before and after every durable step of a device.

`COUNTERSEAL_CLIENT_FAILPOINT=NAME` or `NAME:3` (the third time) makes the process kill itself there
with SIGKILL, as a power cut would. Unset, which is always outside of tests, `reach` costs one
comparison.
"""

from __future__ import annotations

import os
import signal

_name, _, _count = os.environ.get("COUNTERSEAL_CLIENT_FAILPOINT", "").partition(":")
_left = int(_count or 1)

NAMES = (
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
"""Every place there is, so that the tests can go through all of them."""


def reach(name: str) -> None:
    """Marks the place `name`; kills the process there when a test asked for it."""
    global _left
    if not _name or name != _name:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
