"""The period root: what the log says of every window of a period (section 5). Its trees and proofs
are in tlog (docs/tlog.md).

| rule | refuses |
| --- | --- |
| R6 | a window that no logged period root contains |
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from .errors import Refused
from .record import Bytes32, Domain, Positive, Record, Uint
from .window import Label


class WindowFrames(Record, frozen=True, tag="counterseal/v1/window-frames"):
    """A leaf of a period's tree: a window, its number of frames in the period, and the root of the
    tree of their stamps in order of `seq`.
    """

    limit: ClassVar[int] = 256
    window_id: Bytes32
    count: Positive
    root: Bytes32


class PeriodRoot(Record, frozen=True, tag="counterseal/v1/period-root"):
    """What the log holds of a period `[opens, closes)` (Unix seconds): its number of windows that
    have frames, the root of their tree in order of window id, and the digest of the period root
    logged before (null: the first).

    Not signed: the log's. Periods without frames have none, so the root before may be of any
    earlier period.
    """

    limit: ClassVar[int] = 512
    domain: Domain
    opens: Uint
    closes: Uint
    windows: Positive
    root: Bytes32
    previous: Bytes32 | None


class LoggedWindow(msgspec.Struct, frozen=True):
    """A window's leaf that is proved to be under `root`, a period root in the log.
    `tlog.periods.verify_window` makes one.
    """

    frames: WindowFrames
    root: PeriodRoot


def check_logged(label: Label, logged: LoggedWindow) -> LoggedWindow:
    """The logged window again, if it is the label's. Raises `Refused` R6."""
    root = logged.root
    if logged.frames.window_id != label.window_id or not logged.frames.count:
        raise Refused("R6", "The proof is of another window, or of one without frames.")
    if (root.domain, root.opens, root.closes) != (label.domain, label.opens, label.closes):
        raise Refused("R6", "The period root is of another period or domain than the window's.")
    return logged
