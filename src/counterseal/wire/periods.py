"""Logged period roots, and the proof of one frame under its period's root."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.period import PeriodRoot
from counterseal.protocol.record import Part, Uint
from counterseal.protocol.stamp import Stamp

from .body import KIB, Hashes, Rows
from .endpoint import Authentication, Endpoint, ErrorCode, Query
from .log import PeriodRootBytes

PERIODS_PAGE = 500
"""Period roots in an answer, at most."""


class ShownPeriodRoot(Part, frozen=True):
    """The log index of a period root, and the encoded period-root record."""

    log_index: Uint
    root: PeriodRootBytes


class ShownPeriodRoots(Rows, frozen=True):
    """Period roots by rising log index."""

    rows: Annotated[tuple[ShownPeriodRoot, ...], Meta(max_length=PERIODS_PAGE)]


class TreePlace(Part, frozen=True):
    """The leaf at `index` of a tree of `size` leaves."""

    index: Uint
    size: Uint


class FrameInclusion(Part, frozen=True):
    """A frame's stamp in its window's tree, the window in its period's tree, the period's root in
    the log. `frame.index` is the frame's seq, `frame.size` the window's number of frames.
    """

    stamp: Annotated[bytes, Meta(min_length=1, max_length=Stamp.limit)]
    frame_path: Hashes
    frame: TreePlace
    window_path: Hashes
    window: TreePlace
    root: PeriodRootBytes
    log_index: Uint


PERIODS: Endpoint[None, ShownPeriodRoots] = Endpoint(
    method="GET",
    path="/v1/periods",
    authentication=Authentication.ANYBODY,
    summary="The period roots after a log index, at most 500.",
    answer=ShownPeriodRoots,
    query=(Query("after", "the last log index that is known", default=-1, least=-1),),
    answer_max=PERIODS_PAGE * (PeriodRoot.limit + 16) + KIB,
)
FRAME_INCLUSION: Endpoint[None, FrameInclusion] = Endpoint(
    method="GET",
    path="/v1/conversations/{conversation}/inclusion/{window}/{seq}",
    authentication=Authentication.DEVICE,
    summary="That a frame is under its period's logged root.",
    notes="For the conversation's devices, past ones included.",
    answer=FrameInclusion,
    errors=(
        ErrorCode(403, "not-a-member", "the device was never in the conversation"),
        ErrorCode(404, "conversation", "there is no such conversation"),
        ErrorCode(404, "frame", "the conversation has no such frame"),
        ErrorCode(404, "period", "the period's root is not logged yet"),
    ),
)
