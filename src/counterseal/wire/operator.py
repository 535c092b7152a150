"""The operator's calls, on loopback, with the token in `DIR/operator.token`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.record import Bytes16, Bytes32, Part, Uint

from .body import MIB, Rows
from .endpoint import Authentication, Endpoint, ErrorCode


class StepClock(Part, frozen=True):
    """The new time of a demonstration's clock, Unix seconds."""

    now: Uint


class ClockStepped(Part, frozen=True):
    """The clock's time, Unix seconds."""

    now: Uint


class DeviceCursor(Part, frozen=True):
    """The last event that a connected device was handed in a conversation; 0 while something still
    waits for it.
    """

    device: Bytes32
    conversation_id: Bytes16
    cursor: Uint


class DeviceCursors(Rows, frozen=True):
    """A cursor for each conversation that a connected device follows."""

    rows: Annotated[tuple[DeviceCursor, ...], Meta(max_length=1_000_000)]


CLOCK_STEP: Endpoint[StepClock, ClockStepped] = Endpoint(
    method="POST",
    path="/v1/operator/clock",
    authentication=Authentication.OPERATOR,
    summary="Steps a demonstration's clock, forward only.",
    notes=(
        "Only under a demonstration charter. Ends the periods before `now`, logs their roots, and "
        "answers when they are cosigned."
    ),
    request=StepClock,
    answer=ClockStepped,
    errors=(
        ErrorCode(403, "not-a-demonstration", "the charter is no demonstration's"),
        ErrorCode(409, "clock", "the clock is past that time"),
    ),
)
DRAINED: Endpoint[None, DeviceCursors] = Endpoint(
    method="GET",
    path="/v1/operator/drained",
    authentication=Authentication.OPERATOR,
    summary="What connected devices were handed.",
    answer=DeviceCursors,
    answer_max=64 * MIB,
)
