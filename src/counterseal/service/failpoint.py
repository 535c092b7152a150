"""Places where a test may kill the process: beside every durable write, before it and after it.

`COUNTERSEAL_FAILPOINT=NAME:before`, `NAME:after` or `NAME:before:3` (the third time) makes the
process kill itself there with SIGKILL, as a power cut would. Unset, which is always outside of
tests, `reach` costs one comparison.
"""

from __future__ import annotations

import os
import signal

_setting = os.environ.get("COUNTERSEAL_FAILPOINT")
_name, _, _rest = (_setting or "").partition(":")
_when, _, _count = _rest.partition(":")
_left = int(_count or 1)


def reach(name: str, when: str) -> None:
    """Marks the moment `before` or `after` the durable write `name`; kills the process when a test
    asked for it.
    """
    if _setting is None:
        return
    _count_down(name, when)


def _count_down(name: str, when: str) -> None:
    global _left
    if name != _name or when != _when:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
