"""A window's place in its period's root, and its frames' place in the window: the one room here
that knows how those trees are made.

| rule | finds |
| --- | --- |
| B13 | a window that is not under its period root; frames or stamps that are not the ones it was made from |
"""

from __future__ import annotations

from counterseal.evidence.records import WindowFile
from counterseal.protocol.errors import Refused
from counterseal.protocol.frame import message_digest
from counterseal.protocol.period import LoggedWindow, PeriodRoot, PeriodWindow
from counterseal.protocol.window import Label
from counterseal.tlog import periods
from counterseal.tlog.periods import decode_period_root

__all__ = ["check_frames", "decode_period_root", "prove_window"]


def prove_window(
    file: WindowFile, window_id: bytes, seal_digest: bytes, roots: dict[int, periods.PeriodRoot]
) -> LoggedWindow:
    """The window's proved leaf under its logged period root. Raises `Refused` R6, `PeriodError` P3
    or P6.
    """
    record = roots.get(file.period)
    if record is None or record.windows != file.proof.size:
        raise Refused(
            "R6",
            f"There is no period root of {file.proof.size} windows at log index {file.period} in the bag.",
        )
    leaf = periods.WindowFrames(window_id, file.proof.frames, file.proof.root)
    periods.WindowProof(leaf, file.proof.index, file.proof.path).verify(record, window_id)
    window = PeriodWindow(window_id, seal_digest, file.proof.frames, file.proof.root)
    root = PeriodRoot(
        record.domain,
        record.opens,
        record.closes,
        record.previous,
        record.windows,
        file.proof.frames,
        record.root,
    )
    return LoggedWindow(window, root)


def check_frames(file: WindowFile, label: Label, logged: LoggedWindow) -> None:
    """Returns if the frames, with their stamps, are those the logged window was made from, all of
    them and in order.

    Raises `Refused` R6, or `PeriodError` P2 for a stamp outside of the period.
    """
    stamps = [
        periods.Stamp(message_digest(frame.message), frame.number, frame.time)
        for frame in file.frames
    ]
    if (
        len(stamps) != logged.window.frames
        or periods.window_root(stamps) != logged.window.frames_root
    ):
        raise Refused(
            "R6",
            f"Its {len(stamps)} frames are not the {logged.window.frames} that were logged: one is missing, added, altered or moved.",
        )
    for stamp in stamps:
        periods.check_stamp(stamp, label.opens, label.closes)
