"""Period roots, and a window's place under one: one small record in the log for all frames of a
period (docs/protocol.md section 5).

There are two trees as in RFC 6962: in each window its stamped frames in order of `seq`, and over
the windows in order of their ids. `period_tree.py` builds them; a frame's place in its window is
proved in `frame_proof.py`.

| rule | refuses |
| --- | --- |
| P1 | a period root that is not of the form, or whose period is not one |
| P3 | a window that is not proved to be in the period |
| P6 | a root or a proof of another domain, window or frame than asked for |
"""

from collections.abc import Sequence
from typing import ClassVar

from counterseal.protocol.errors import Refused, refuse_as
from counterseal.protocol.period import LoggedWindow, PeriodRoot, WindowFrames
from counterseal.protocol.record import Record, Uint
from counterseal.tlog.errors import PeriodError
from counterseal.tlog.proof import Path, verify_inclusion
from counterseal.tlog.tree import leaf_hash


class WindowProof(Record, frozen=True, tag="counterseal/v1/window-proof"):
    """That a window, with its frames' number and root, is at `index` of a period's tree."""

    limit: ClassVar[int] = 4_096
    frames: WindowFrames
    index: Uint
    path: Path

    def verify(self, period: PeriodRoot, window_id: bytes) -> WindowFrames:
        """The window's proved leaf. Raises `PeriodError` P3 or P6. That `period` itself is in the
        log is proved apart.
        """
        if self.frames.window_id != window_id:
            raise PeriodError("P6", "The proof is of another window.")
        with refuse_as("P3", f"The window is not in the period of {period.opens}:", PeriodError):
            verify_inclusion(
                leaf_hash(self.frames.encode()), self.index, period.windows, period.root, self.path
            )
        return self.frames


def verify_window(
    root: PeriodRoot, frames: WindowFrames, index: int, size: int, path: Sequence[bytes]
) -> LoggedWindow:
    """The window, proved to be at `index` of the tree of `size` windows under `root`. That `root`
    is in the log is proved apart. Raises `Refused` R6, `PeriodError` P3.
    """
    if size != root.windows:
        raise Refused("R6", f"The proof is not for a period of {root.windows} windows.")
    proof = WindowProof(frames, index, tuple(path))
    return LoggedWindow(proof.verify(root, frames.window_id), root)


def decode_period_root(data: bytes) -> PeriodRoot:
    """The period root in a log entry's statement, its form checked. Raises `PeriodError` P1."""
    with refuse_as("P1", "This is no period root:", PeriodError):
        return PeriodRoot.decode(data)


def decode_window_proof(data: bytes) -> WindowProof:
    """A window's proof as it came, nothing proved. Raises `PeriodError` P3."""
    with refuse_as("P3", "This is no proof of a window:", PeriodError):
        return WindowProof.decode(data)
