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
from typing import ClassVar, Self

import msgspec

from counterseal.protocol.cbor import H, encode, tag
from counterseal.protocol.errors import Refused
from counterseal.protocol.frame import GRACE
from counterseal.protocol.record import Bytes32, Domain, Positive, Record, Uint
from counterseal.tlog.errors import PeriodError, TlogError
from counterseal.tlog.proof import Path, make_inclusion, verify_inclusion
from counterseal.tlog.tree import MemoryTree, leaf_hash


class Stamp(msgspec.Struct, frozen=True):
    """What the service stamped a frame with: `H([tag("message"), PrivateMessage])` (32 bytes), the
    frame's number in its conversation (so that the order between senders is fixed too) and a time
    in Unix seconds."""

    message_digest: bytes
    n: int
    time: int

    def encode(self) -> bytes:
        """The leaf of a window's tree."""
        return encode([tag("stamp"), self.message_digest, self.n, self.time])


class WindowFrames(Record, frozen=True, tag="counterseal/v1/window-frames"):
    """The leaf of a period's tree: a window, how many frames it has in the period, and the root
    over their stamps.
    """

    limit: ClassVar[int] = 256
    window_id: Bytes32
    count: Positive
    root: Bytes32


class PeriodRoot(Record, frozen=True, tag="counterseal/v1/period-root"):
    """A period `[opens, closes)` (Unix seconds), its number of windows, the root over them, and the
    digest of the root before.

    Not signed: the log's. Periods without frames have none, so that the root before may be of any
    earlier period.
    """

    limit: ClassVar[int] = 512
    domain: Domain
    opens: Uint
    closes: Uint
    windows: Positive
    root: Bytes32
    previous: Bytes32 | None

    def check(self, domain: str, length: int, before: "PeriodRoot | None") -> Self:
        """The record itself, if it is this domain's, of one period of `length` seconds, and next
        after `before`; raises P1, P5, P6.
        """
        if self.domain != domain:
            raise PeriodError("P6", f"This is a period root of {self.domain!r}, not of {domain!r}.")
        if self.opens % length or self.closes != self.opens + length:
            raise PeriodError("P1", f"[{self.opens}, {self.closes}) is no period of {length} s.")
        if self.previous != (before.digest() if before else None) or (
            before and before.closes > self.opens
        ):
            raise PeriodError(
                "P5", f"The period root of {self.opens} does not follow the one before it."
            )
        return self


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
            verify_inclusion(leaf_hash(stamp.encode()), seq, frames.count, frames.root, self.path)
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


def message_digest(private_message: bytes) -> bytes:
    """What a stamp names a frame by, 32 bytes."""
    return H([tag("message"), private_message])


def check_stamp(stamp: Stamp, opens: int, closes: int) -> Stamp:
    """The stamp itself, if its time is in `[opens, closes + 300)`; raises P2."""
    if len(stamp.message_digest) != 32 or not opens <= stamp.time < closes + GRACE:
        raise PeriodError(
            "P2", f"A stamp of {stamp.time} is not in the period [{opens}, {closes}) or its grace."
        )
    return stamp


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
    return MemoryTree(leaf_hash(stamp.encode()) for stamp in stamps)
