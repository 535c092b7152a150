"""A window's proof under a period root, as the service's interface carries it: `[count, root,
index, size, [hash, ...]]`.
"""

from __future__ import annotations

from typing import Any

from counterseal.access.common.log_view import hashes
from counterseal.protocol.errors import Refused
from counterseal.protocol.period import LoggedWindow, PeriodRoot, PeriodWindow
from counterseal.protocol.window import Label
from counterseal.tlog.periods import WindowFrames, WindowProof, decode_period_root


def logged_window(
    label: Label, seal_digest: bytes, proof: tuple[Any, ...], root: bytes
) -> LoggedWindow:
    """The window as a leaf of the period root in `root`, whose place in the log is proved apart.
    Raises P1, P3, P6, E6.
    """
    match proof:
        case (int(count), bytes(frames_root), int(index), int(size), tuple(path)):
            record = decode_period_root(root)
            if size != record.windows:
                raise Refused(
                    "R6",
                    f"A window's proof is for a tree of {size} windows; the period has {record.windows}.",
                )
            frames = WindowFrames(label.window_id, count, frames_root)
            WindowProof(frames, index, hashes(path)).verify(record, label.window_id)
            window = PeriodWindow(label.window_id, seal_digest, count, frames_root)
            period = PeriodRoot(
                record.domain,
                record.opens,
                record.closes,
                record.previous,
                record.windows,
                count,
                record.root,
            )
            return LoggedWindow(window, period)
    raise Refused("E6", "A window's proof is not [count, root, index, size, [hash, ...]].")
