"""A row of the history as it is shown at a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from counterseal.client.history import HistoryEntry
from counterseal.client.states import MessageState
from counterseal.terminal import safe


def describe_entry(entry: HistoryEntry) -> str:
    """One row of the history as a person reads it; further lines of a text are indented, so that
    none can look like another message.
    """
    gap = (
        f"[{entry.gap} message{'s' if entry.gap > 1 else ''} missing before this one]\n"
        if entry.gap
        else ""
    )
    if entry.state is MessageState.NOTE:
        return f"-- {safe(entry.text)}"
    if entry.state is MessageState.REFUSED:
        return f"-- refused: not sealed as the charter says ({safe(entry.rule or 'F1')})"
    if entry.state is MessageState.PENDING:
        why = "its period is over, and the log has not proved yet that it was sent in it (F11)"
        return f"{_stamp(entry)} {_who(entry)}: [pending: {why}]"
    mark = {
        MessageState.QUEUED: " [waiting to be sent]",
        MessageState.UNSENT: " [not sent: you were no longer in the conversation]",
    }.get(entry.state, "")
    files = "".join(f" [file: {safe(a.name)}, {a.size} bytes]" for a in entry.attachments)
    text = safe(entry.text, lines=True).replace("\n", "\n    ")
    return f"{gap}{_stamp(entry)} {_who(entry)}: {text}{files}{mark}"


def _who(entry: HistoryEntry) -> str:
    return "you" if entry.mine else safe(entry.sender) or "somebody"


def _stamp(entry: HistoryEntry) -> str:
    if entry.sent_at_ms is None:
        return "[       --       ]"
    return datetime.fromtimestamp(entry.sent_at_ms / 1000, UTC).strftime("[%Y-%m-%d %H:%M]")
