"""The states that this device's database keeps of conversations, messages and windows.

Each is stored by its value. What moves from one to the next is decided in the module that does it;
what a state means is written here alone.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ConversationState(StrEnum):
    """Whether this device reads and writes in a conversation."""

    CREATING = "creating"
    """Made here; the service has not confirmed yet that it has the group."""
    ACTIVE = "active"
    """This device is a member: it reads and writes."""
    LEAVING = "leaving"
    """This device asked to be removed and reads on until some member's commit does it."""
    LEFT = "left"
    """Left, or removed by somebody: what was read stays readable, nothing more comes."""
    BROKEN = "broken"
    """A commit came that this device must not follow; its sentence says which rule refuses it."""
    REFUSED = "refused"
    """An invitation that a rule refuses; never entered."""


LIVE = (ConversationState.ACTIVE, ConversationState.LEAVING)
"""States in which a conversation's events are fetched."""

READABLE = (*LIVE, ConversationState.LEFT, ConversationState.BROKEN)
"""States in which a conversation has a history to show."""


class MessageState(StrEnum):
    """What a row of the history is."""

    QUEUED = "queued"
    """One's own, not yet acknowledged by the service."""
    SENT = "sent"
    """One's own, with the service's number and stamp."""
    SHOWN = "shown"
    """Another's, and every rule of docs/protocol.md section 5 holds."""
    PENDING = "pending"
    """Another's, and all holds but F11: its period is over and its inclusion is not proved yet. Not
    displayed.
    """
    REFUSED = "refused"
    """A frame that a rule refuses: the rule is named, its text is not kept."""
    UNSENT = "unsent"
    """One's own, which cannot be sent any more: this device was removed first."""
    NOTE = "note"
    """The app's own line: who came and went, a new charter, a broken conversation."""


class WindowState(IntEnum):
    """How far one of this device's own windows has come."""

    SPENT = -1
    """Not used again: the service and this device disagree about it, so K or the last seq is not
    certain, as after a restored backup.
    """
    MADE = 0
    """Opened here; the service may not have its counterseal."""
    POSTED = 1
    """The service has its counterseal."""
