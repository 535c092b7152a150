"""What the service answers, as arrays with types: the form alone. A wrong one is refused as E6
before anything is done with it.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import Meta

from counterseal.protocol.errors import Refused
from counterseal.protocol.record import Bytes16, Bytes32, Part, Uint

Hashes = Annotated[tuple[Bytes32, ...], Meta(max_length=80)]
T = TypeVar("T")
FRAME, COMMIT, PROPOSAL = 0, 1, 2


class Statement(Part, frozen=True):
    """One signed statement."""

    statement: bytes


class Clock(Part, frozen=True):
    """Unix seconds by the domain's clock."""

    now: Uint
    demonstration: bool


class LogProof(Part, frozen=True):
    """Inclusion of an entry in the log under a checkpoint."""

    index: Uint
    size: Uint
    path: Hashes
    note: str


class ChainStatement(Part, frozen=True):
    """One statement of an account's chain."""

    kind: str
    cose: bytes
    possession: bytes | None
    log_index: Uint


class AccountAnswer(Part, frozen=True):
    """An account as the service tells it."""

    handle: Annotated[str, Meta(max_length=256)]
    name: Annotated[str, Meta(max_length=256)]
    statements: Annotated[tuple[ChainStatement, ...], Meta(max_length=4096)]


class HandleAnswer(Part, frozen=True):
    """Where a handle points, with the map's proof and the logged root it is under."""

    account: Bytes32
    proof: Any
    root: bytes
    log_index: Uint


class Packages(Part, frozen=True):
    """Key packages that the service holds for this device."""

    one_time: Uint
    last_resort: bool


class Claimed(Part, frozen=True):
    """One device's key package."""

    device: Bytes32
    package: bytes


class Number(Part, frozen=True):
    """The number of an event."""

    n: Uint


class Event(Part, frozen=True):
    """One event of a conversation: kind 0 frame, 1 commit, 2 proposal; `time` is the service's
    stamp, Unix seconds.
    """

    n: Uint
    kind: Uint
    time: Uint
    message: bytes


class EventPage(Part, frozen=True):
    """Events in order, and the number of the conversation's last one."""

    events: tuple[Event, ...]
    last: Uint


class Welcome(Part, frozen=True):
    """One inbox entry: a welcome, the tree beside it, and the commit it belongs to."""

    n: Uint
    kind: Uint
    conversation: Bytes16
    welcome: bytes
    tree: bytes
    commit: Uint


class InboxPage(Part, frozen=True):
    """Inbox entries in order."""

    entries: tuple[Welcome, ...]


class Accepted(Part, frozen=True):
    """A frame's place and stamp."""

    n: Uint
    time: Uint


class Refusal(Part, frozen=True):
    """Why the first frame that was not appended was not."""

    code: Annotated[str, Meta(max_length=64)]
    message: Annotated[str, Meta(max_length=500)]


class FramesAnswer(Part, frozen=True):
    """The frames before the first refused one, and that one's refusal."""

    accepted: tuple[Accepted, ...]
    refusal: Refusal | None


class Place(Part, frozen=True):
    """A leaf's place in a tree."""

    index: Uint
    size: Uint


class InclusionAnswer(Part, frozen=True):
    """One frame in its window, the window in its period, the period in the log."""

    stamp: Any
    window_path: Hashes
    window_place: Place
    period_path: Hashes
    period_place: Place
    period_root: bytes
    log_index: Uint


def field(value: Any, kind: type[T]) -> T:
    """`value` if it is of exactly that type. Errors: E6."""
    if type(value) is not kind:
        raise Refused(
            "E6", "The service's answer is not of the form that docs/reference/api.md gives."
        )
    return value


def row(value: Any, *kinds: type) -> tuple[Any, ...]:
    """`value` if it is an array of exactly these types. Errors: E6."""
    elements: tuple[Any, ...] = field(value, tuple)
    if len(elements) != len(kinds):
        raise Refused(
            "E6",
            "The service's answer has another number of elements than docs/reference/api.md gives.",
        )
    for element, kind in zip(elements, kinds, strict=True):
        field(element, kind)
    return elements
