"""Windows: storing a window's label, roster and counterseal before frames name it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.record import Bytes32, Part
from counterseal.protocol.window import Label, Roster
from counterseal.protocol.window_checks import RESTARTS_MAX

from .endpoint import Authentication, Endpoint, ErrorCode, Header

RESTARTS_LEFT = "Counterseal-Restarts-Left"


class PostWindow(Part, frozen=True):
    """The encoded records of a window."""

    label: Annotated[bytes, Meta(max_length=Label.limit)]
    roster: Annotated[bytes, Meta(max_length=Roster.limit)]
    counterseal: Annotated[bytes, Meta(max_length=Counterseal.limit)]


class WindowPosted(Part, frozen=True):
    """The window's id: the label's digest."""

    window_id: Bytes32


WINDOW_POST: Endpoint[PostWindow, WindowPosted] = Endpoint(
    method="POST",
    path="/v1/windows",
    authentication=Authentication.DEVICE,
    summary="Stores a window. The same bytes again get the same answer.",
    request=PostWindow,
    answer=WindowPosted,
    headers=(
        Header(
            RESTARTS_LEFT,
            f"how many restarts this period still allows, {RESTARTS_MAX} at first; not when the "
            "same window is posted again",
        ),
    ),
    errors=(
        ErrorCode(403, "not-a-member", "the device is not in the label's conversation"),
        ErrorCode(403, "revoked", "the device is revoked"),
        ErrorCode(422, "L1 to L6, S1", "the window is refused"),
    ),
    request_max=Label.limit + Roster.limit + Counterseal.limit + 64,
    repeatable=True,
)
