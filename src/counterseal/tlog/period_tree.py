"""A period's trees, built from its stamps: they make the log's record and every proof under it."""

from collections.abc import Mapping, Sequence

from counterseal.protocol.period import PeriodRoot, WindowFrames
from counterseal.protocol.stamp import Stamp
from counterseal.tlog.errors import PeriodError
from counterseal.tlog.frame_proof import FrameProof, check_stamp, stamp_leaf
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.periods import WindowProof
from counterseal.tlog.prove import make_inclusion
from counterseal.tlog.tree import leaf_hash


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
        """`windows` gives each window's stamps in order of `seq`. Raises `PeriodError` P2 for an
        empty period or window, or a stamp outside.
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
        """The window's proof. Raises `PeriodError` P3 if the window has no frames in the period."""
        place = self._places.get(window_id)
        if place is None:
            raise PeriodError("P3", "The window has no frames in this period.")
        return WindowProof(
            self._frames[window_id], place, make_inclusion(place, self._tree.size, self._tree).path
        )

    def prove_frame(self, window_id: bytes, seq: int) -> FrameProof:
        """The proof of frame `seq` of a window. Raises `PeriodError` P3 or P4."""
        window = self.prove_window(window_id)
        stamps = self._windows[window_id]
        if not 0 <= seq < len(stamps):
            raise PeriodError("P4", f"The window has no frame {seq} in this period.")
        path = make_inclusion(seq, len(stamps), _window_tree(stamps)).path
        return FrameProof(seq, stamps[seq].n, stamps[seq].time, path, window)


def _window_tree(stamps: Sequence[Stamp]) -> MemoryTree:
    return MemoryTree(stamp_leaf(stamp) for stamp in stamps)
