"""The period root: what the log says of every window of a period. Trees and proofs are
`tlog.periods`'s (docs/tlog.md).

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


class PeriodRecord(Record, frozen=True, tag="counterseal/v1/period-root"):
    """What the log holds of a period: the root of the tree of its windows that have frames, in
    order of window id. `previous` is the digest of the period root logged before (null: the first).
    Not signed: the log's."""

    limit: ClassVar[int] = 512
    domain: Domain
    opens: Uint
    closes: Uint
    windows: Positive
    root: Bytes32
    previous: Bytes32 | None


class WindowLeaf(Record, frozen=True, tag="counterseal/v1/window-frames"):
    """A leaf of that tree: a window, its number of frames, and the root of the tree of their stamps
    in order of `seq`.
    """

    limit: ClassVar[int] = 256
    window_id: Bytes32
    count: Positive
    root: Bytes32


class PeriodWindow(msgspec.Struct, frozen=True):
    """A window as a period has it, with the seal that the service holds for it (which the leaf does
    not name).
    """

    window_id: bytes
    seal_digest: bytes
    frames: int
    frames_root: bytes

    def encode(self) -> bytes:
        """The leaf's bytes."""
        return WindowLeaf(self.window_id, self.frames, self.frames_root).encode()


class PeriodRoot(msgspec.Struct, frozen=True):
    """A period's root as a holder has it; `frames` is how many frames it knows of, and stands in no
    record.
    """

    domain: str
    opens: int
    closes: int
    previous: bytes | None
    windows: int
    frames: int
    root: bytes

    @classmethod
    def decode(cls, data: bytes) -> PeriodRoot:
        """From the logged record. Raises `Refused` E1 to E7."""
        record = PeriodRecord.decode(data)
        return cls(
            record.domain,
            record.opens,
            record.closes,
            record.previous,
            record.windows,
            0,
            record.root,
        )


class LoggedWindow(msgspec.Struct, frozen=True):
    """A leaf whose inclusion in a logged, cosigned period root has been verified (`tlog.periods`
    makes these).
    """

    window: PeriodWindow
    root: PeriodRoot


def check_logged(label: Label, logged: LoggedWindow) -> LoggedWindow:
    """The logged window again, if it is the label's. Raises `Refused` R6."""
    root = logged.root
    if logged.window.window_id != label.window_id or not logged.window.frames:
        raise Refused(
            "R6", "The period root's proof is of another window, or of one without frames."
        )
    if (root.domain, root.opens, root.closes) != (label.domain, label.opens, label.closes):
        raise Refused("R6", "The period root is of another period or domain than the window's.")
    return logged
