"""Period roots: one small record in the log for all frames of a period (docs/protocol.md section
5).

Two trees as in RFC 6962: in each window its stamped frames in order of `seq`, and over the windows
in order of their ids. A frame's proof is its place in its window and the window's place in the
period.

P1  a period root that is not of the form, or whose period is not one P2  windows that are not in
order or occur twice, a window without frames, or stamps outside of the period P3  a window that is
not proved to be in the period P4  a frame that is not proved to be in the window at its `seq` P5  a
period root that does not follow the one before P6  a proof of another domain, period or window than
asked for
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from counterseal.protocol.cbor import encode
from counterseal.protocol.errors import Refused
from counterseal.protocol.frame import GRACE, Stamp, message_digest
from counterseal.protocol.period import LoggedWindow, PeriodRoot, WindowFrames
from counterseal.protocol.record import Record, Uint
from counterseal.tlog.errors import PeriodError, TlogError
from counterseal.tlog.proof import Path, implied_root, make_inclusion, verify_inclusion
from counterseal.tlog.tree import MemoryTree, leaf_hash


class WindowProof(Record, frozen=True, tag="counterseal/v1/window-proof"):
    """That a window, with its frames' number and root, stands at `index` of a period's tree."""

    limit: ClassVar[int] = 4_096
    frames: WindowFrames
    index: Uint
    path: Path

    def verify(self, period: PeriodRoot, window_id: bytes) -> WindowFrames:
        """The window's proved leaf; raises P3 or P6. That `period` itself is in the log is proved
        apart.
        """
        if self.frames.window_id != window_id:
            raise PeriodError("P6", "The proof is of another window.")
        try:
            verify_inclusion(
                leaf_hash(self.frames.encode()), self.index, period.windows, period.root, self.path
            )
        except TlogError as error:
            raise PeriodError(
                "P3", f"The window is not proved to be in the period of {period.opens}: {error}"
            ) from error
        return self.frames


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
        """The frame's proved stamp; raises P2, P3, P4 or P6."""
        frames = self.window.verify(period, window_id)
        if self.seq != seq:
            raise PeriodError("P6", f"The proof is of frame {self.seq}, not {seq}.")
        stamp = check_stamp(
            Stamp(message_digest(private_message), self.n, self.time), period.opens, period.closes
        )
        try:
            verify_inclusion(stamp_leaf(stamp), seq, frames.count, frames.root, self.path)
        except TlogError as error:
            raise PeriodError(
                "P4", f"Frame {seq} is not proved to be in its window: {error}"
            ) from error
        return VerifiedFrame(window_id, seq, stamp, frames.count)


class VerifiedFrame(msgspec.Struct, frozen=True):
    """A frame that is proved to be in its period: its window, its place, its stamp, and how many
    frames the window has.
    """

    window_id: bytes
    seq: int
    stamp: Stamp
    count: int


def check_period_root(
    root: PeriodRoot, domain: str, length: int, before: PeriodRoot | None
) -> PeriodRoot:
    """The record again, if it is this domain's, of one period of `length` seconds, and next after
    `before`. Raises `PeriodError` P1, P5 or P6.
    """
    if root.domain != domain:
        raise PeriodError("P6", f"This is a period root of {root.domain!r}, not of {domain!r}.")
    if root.opens % length or root.closes != root.opens + length:
        raise PeriodError("P1", f"[{root.opens}, {root.closes}) is no period of {length} s.")

    follows = root.previous == (before.digest() if before else None)
    if not follows or (before and before.closes > root.opens):
        raise PeriodError(
            "P5", f"The period root of {root.opens} does not follow the one before it."
        )
    return root


def verify_window(
    root: PeriodRoot, frames: WindowFrames, index: int, size: int, path: Sequence[bytes]
) -> LoggedWindow:
    """The window, proved to be at `index` of the tree of `size` windows under `root`. That `root`
    is in the log is proved apart. Raises `Refused` R6, `PeriodError` P3.
    """
    if size != root.windows:
        raise Refused(
            "R6", f"The proof is for a period of {size} windows; the period has {root.windows}."
        )
    proof = WindowProof(frames, index, tuple(path))
    return LoggedWindow(proof.verify(root, frames.window_id), root)


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
    return leaf_hash(encode(stamp.plain()))


def window_root_from(stamp: Stamp, seq: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root of a window of `size` frames to which the path of frame `seq` leads. It proves
    nothing until it is in a `WindowFrames` that is proved itself. Raises `PeriodError` P4.
    """
    try:
        return implied_root(stamp_leaf(stamp), seq, size, path)
    except TlogError as error:
        raise PeriodError("P4", f"The proof of frame {seq} has no root: {error}") from error


def window_root(stamps: Sequence[Stamp]) -> bytes:
    """The root, 32 bytes, over a window's stamps in order of `seq`."""
    return _window_tree(stamps).root()


class PeriodTree:
    """A whole period, built by the service from its stamps; makes the record and every proof under
    it.
    """

    def __init__(
        self,
        domain: str,
        opens: int,
        closes: int,
        windows: Mapping[bytes, Sequence[Stamp]],
        previous: bytes | None,
    ) -> None:
        """`windows` gives each window's stamps in order of `seq`. Raises P2 for an empty period or
        window, or a stamp outside.
        """
        self._windows = {window_id: tuple(windows[window_id]) for window_id in sorted(windows)}
        if not self._windows or not all(self._windows.values()):
            raise PeriodError(
                "P2", "A period root is over windows that have frames, and at least one."
            )
        for stamps in self._windows.values():
            for stamp in stamps:
                check_stamp(stamp, opens, closes)
        self._frames = {
            w: WindowFrames(w, len(stamps), window_root(stamps))
            for w, stamps in self._windows.items()
        }
        self._places = {window_id: place for place, window_id in enumerate(self._windows)}
        self._tree = MemoryTree(leaf_hash(frames.encode()) for frames in self._frames.values())
        self.record = PeriodRoot(
            domain, opens, closes, len(self._windows), self._tree.root(), previous
        )

    def prove_window(self, window_id: bytes) -> WindowProof:
        """The window's proof; raises P3 if the window has no frames in the period."""
        place = self._places.get(window_id)
        if place is None:
            raise PeriodError("P3", "The window has no frames in this period.")
        return WindowProof(
            self._frames[window_id], place, make_inclusion(place, self._tree.size, self._tree).path
        )

    def prove_frame(self, window_id: bytes, seq: int) -> FrameProof:
        """The proof of frame `seq` of a window; raises P3 or P4."""
        window = self.prove_window(window_id)
        stamps = self._windows[window_id]
        if not 0 <= seq < len(stamps):
            raise PeriodError("P4", f"The window has no frame {seq} in this period.")
        path = make_inclusion(seq, len(stamps), _window_tree(stamps)).path
        return FrameProof(seq, stamps[seq].n, stamps[seq].time, path, window)


def decode_period_root(data: bytes) -> PeriodRoot:
    """The period root in a log entry's statement, its form checked; raises P1."""
    try:
        return PeriodRoot.decode(data)
    except Refused as error:
        raise PeriodError("P1", f"This is no period root: {error}") from error


def decode_frame_proof(data: bytes) -> FrameProof:
    """A frame's proof as it came, nothing proved; raises P4."""
    try:
        return FrameProof.decode(data)
    except Refused as error:
        raise PeriodError("P4", f"This is no proof of a frame: {error}") from error


def decode_window_proof(data: bytes) -> WindowProof:
    """A window's proof as it came, nothing proved; raises P3."""
    try:
        return WindowProof.decode(data)
    except Refused as error:
        raise PeriodError("P3", f"This is no proof of a window: {error}") from error


def _window_tree(stamps: Sequence[Stamp]) -> MemoryTree:
    return MemoryTree(stamp_leaf(stamp) for stamp in stamps)
