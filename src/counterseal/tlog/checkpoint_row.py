"""The checkpoint row: what a log has committed itself to, and where it is kept."""

from typing import Protocol

import msgspec

from counterseal.tlog.checkpoint import (
    Checkpoint,
)


class CheckpointRow(msgspec.Struct, frozen=True):
    """The checkpoint row: what this log has committed itself to. `time` is Unix seconds and never
    falls.
    """

    origin: str
    size: int
    root: bytes
    time: int

    def checkpoint(self) -> Checkpoint:
        """The row as a checkpoint."""
        return Checkpoint(self.origin, self.size, self.root)


class LogStore(Protocol):
    """Where the checkpoint rows lie: the one place that decides which of two writers is the log."""

    def load(self, origin: str) -> CheckpointRow | None:
        """The row of a log as it is on the disk now, or None if the log was never begun."""
        ...

    def swap(self, old: CheckpointRow | None, new: CheckpointRow) -> bool:
        """Puts `new` in the place of `old` durably and says True; says False, and changes nothing,
        if the row is not `old`.

        Raises OSError if it is not certain which of the two is on the disk.
        """
        ...
