"""A window's place in its period's root, and its frames' place in the window (B13): the one file
here that knows how those trees are made.
"""

from __future__ import annotations

from counterseal.evidence.records import WindowFile
from counterseal.protocol.errors import Refused
from counterseal.protocol.period import LoggedWindow, PeriodRoot, WindowFrames
from counterseal.protocol.stamp import Stamp, message_digest
from counterseal.protocol.window import Label
from counterseal.tlog.frame_proof import check_stamp
from counterseal.tlog.period_tree import window_root
from counterseal.tlog.periods import verify_window


def prove_window(file: WindowFile, window_id: bytes, roots: dict[int, PeriodRoot]) -> LoggedWindow:
    """The window's proved leaf under its logged period root. Raises `Refused` R6, `PeriodError` P3
    or P6.
    """
    root = roots.get(file.period)
    if root is None:
        raise Refused("R6", f"There is no period root at log index {file.period} in the bag.")
    proof = file.proof
    frames = WindowFrames(window_id, proof.frames, proof.root)
    return verify_window(root, frames, proof.index, proof.size, proof.path)


def check_frames(file: WindowFile, label: Label, logged: LoggedWindow) -> None:
    """Returns if the frames, with their stamps, are those the logged window was made from, all of
    them and in order.

    Raises `Refused` R6, or `PeriodError` P2 for a stamp outside of the period.
    """
    stamps = [
        Stamp(message_digest(frame.message), frame.number, frame.time) for frame in file.frames
    ]
    if len(stamps) != logged.frames.count or window_root(stamps) != logged.frames.root:
        raise Refused(
            "R6",
            f"Its {len(stamps)} frames are not the {logged.frames.count} that were logged: one is"
            " missing, added, altered or moved.",
        )
    for stamp in stamps:
        check_stamp(stamp, label.opens, label.closes)
