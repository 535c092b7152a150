"""Frames: posting them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.frame import BODY_MAX
from counterseal.protocol.record import Part, Positive, Uint

from .endpoint import Authentication, Endpoint, ErrorCode
from .failure import CODE_MAX, MESSAGE_MAX

BATCH = 64
"""Frames in one request, at most."""
BATCH_BYTES = BATCH * (BODY_MAX + 16) + 16


class PostFrames(Part, frozen=True):
    """MLS PrivateMessages, in order. One over 65,536 bytes is refused by itself (V6)."""

    messages: Annotated[
        tuple[Annotated[bytes, Meta(max_length=BATCH_BYTES)], ...],
        Meta(min_length=1, max_length=BATCH),
    ]


class FrameAccepted(Part, frozen=True):
    """A frame's number in the conversation and its time in Unix seconds."""

    n: Positive
    time: Uint


class FrameRefused(Part, frozen=True):
    """Why a frame was refused: the rule, and a sentence."""

    code: Annotated[str, Meta(max_length=CODE_MAX)]
    message: Annotated[str, Meta(max_length=MESSAGE_MAX)]


class FramesPosted(Part, frozen=True):
    """The frames before the first refused one, and that one's refusal."""

    accepted: Annotated[tuple[FrameAccepted, ...], Meta(max_length=BATCH)]
    refused: FrameRefused | None


FRAMES_POST: Endpoint[PostFrames, FramesPosted] = Endpoint(
    method="POST",
    path="/v1/conversations/{conversation}/frames",
    authentication=Authentication.DEVICE,
    summary="Appends frames, at most 64.",
    notes=(
        "Those before the first refused one are appended, durably, before this is answered. The "
        "same bytes again get their first stamp again."
    ),
    request=PostFrames,
    answer=FramesPosted,
    errors=(
        ErrorCode(403, "not-a-member", "the device is not in the conversation"),
        ErrorCode(404, "conversation", "there is no such conversation"),
    ),
    request_max=BATCH_BYTES,
    answer_max=8 * 1_024,
    repeatable=True,
)
