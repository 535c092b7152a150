"""That a frame was stamped in a period: its place in its window, the window's in the period.

| rule | refuses |
| --- | --- |
| P2 | a window without frames, an empty period, a stamp outside `[opens, closes + 300)` |
| P4 | a frame that is not proved to be in its window at its `seq` |
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from counterseal.protocol.cbor import encode
from counterseal.protocol.errors import refuse_as
from counterseal.protocol.period import PeriodRoot
from counterseal.protocol.record import Record, Uint
from counterseal.protocol.stamp import Stamp, message_digest
from counterseal.protocol.window import GRACE
from counterseal.tlog.errors import PeriodError
from counterseal.tlog.periods import WindowProof
from counterseal.tlog.proof import Path, implied_root, verify_inclusion
from counterseal.tlog.tree import leaf_hash


class FrameProof(Record, frozen=True, tag="counterseal/v1/frame-proof"):
    """That a frame with this stamp has this `seq` in its window, and its window's proof."""

    limit: ClassVar[int] = 8_192
    seq: Uint
    n: Uint
    time: Uint
    path: Path
    window: WindowProof

    def verify(
        self, period: PeriodRoot, window_id: bytes, seq: int, private_message: bytes
    ) -> "VerifiedFrame":
        """The frame's proved stamp. Raises `PeriodError` P2, P3, P4 or P6."""
        frames = self.window.verify(period, window_id)
        if self.seq != seq:
            raise PeriodError("P6", f"The proof is of frame {self.seq}, not {seq}.")

        stamp = check_stamp(
            Stamp(message_digest(private_message), self.n, self.time), period.opens, period.closes
        )
        with refuse_as("P4", f"Frame {seq} is not proved to be in its window:", PeriodError):
            verify_inclusion(stamp_leaf(stamp), seq, frames.count, frames.root, self.path)

        return VerifiedFrame(window_id, seq, stamp, frames.count)


class VerifiedFrame(msgspec.Struct, frozen=True):
    """A frame that is proved to be in its period: its window, its place, its stamp, and how many
    frames the window has.
    """

    window_id: bytes
    seq: int
    stamp: Stamp
    count: int


def check_stamp(stamp: Stamp, opens: int, closes: int) -> Stamp:
    """The stamp again, if its time is in the period `[opens, closes)` or its grace. Raises
    `PeriodError` P2.
    """
    if len(stamp.message_digest) != 32 or not opens <= stamp.time < closes + GRACE:
        raise PeriodError(
            "P2", f"A stamp of {stamp.time} is not in the period [{opens}, {closes}) or its grace."
        )
    return stamp


def stamp_leaf(stamp: Stamp) -> bytes:
    """The leaf hash, 32 bytes, of a stamp in its window's tree."""
    # the record's encoding without its checks: a period has a great many stamps
    return leaf_hash(encode([Stamp.tag(), stamp.message_digest, stamp.n, stamp.time]))


def window_root_from(stamp: Stamp, seq: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root of a window of `size` frames to which the path of frame `seq` leads. It proves
    nothing until it is in a `WindowFrames` that is proved itself. Raises `PeriodError` P4.
    """
    with refuse_as("P4", f"The proof of frame {seq} has no root:", PeriodError):
        return implied_root(stamp_leaf(stamp), seq, size, path)


def decode_frame_proof(data: bytes) -> FrameProof:
    """A frame's proof as it came, nothing proved. Raises `PeriodError` P4."""
    with refuse_as("P4", "This is no proof of a frame:", PeriodError):
        return FrameProof.decode(data)
