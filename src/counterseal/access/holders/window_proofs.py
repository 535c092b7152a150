"""A window's proof under a period root, as the service's interface carries it: `[count, root,
index, size, [hash, ...]]`.
"""

from __future__ import annotations

from typing import Any

from counterseal.access.common.log_view import hashes
from counterseal.protocol.errors import Refused
from counterseal.protocol.period import LoggedWindow, WindowFrames
from counterseal.protocol.window import Label
from counterseal.tlog.periods import decode_period_root, verify_window


def logged_window(label: Label, proof: tuple[Any, ...], root: bytes) -> LoggedWindow:
    """The window as a leaf of the period root in `root`, whose place in the log is proved apart.
    Raises P1, P3, P6, E6.
    """
    match proof:
        case (int(count), bytes(frames_root), int(index), int(size), tuple(path)):
            frames = WindowFrames(label.window_id, count, frames_root)
            return verify_window(decode_period_root(root), frames, index, size, hashes(path))
    raise Refused("E6", "A window's proof is not [count, root, index, size, [hash, ...]].")
