"""A row of the history as it is shown at a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from counterseal.client.history import HistoryEntry
from counterseal.client.states import MessageState
from counterseal.terminal import safe


def words(line: HistoryEntry) -> str:
    """One line of the history as a person reads it; further lines of a text are indented, so that
    none can look like another message.
    """
    gap = (
        f"[{line.gap} message{'s' if line.gap > 1 else ''} missing before this one]\n"
        if line.gap
        else ""
    )
    if line.state is MessageState.NOTE:
        return f"-- {safe(line.text)}"
    if line.state is MessageState.REFUSED:
        return f"-- refused: not sealed as the charter says ({safe(line.rule or 'F1')})"
    if line.state is MessageState.PENDING:
        why = "its period is over, and the log has not proved yet that it was sent in it (F11)"
        return f"{_stamp(line)} {_who(line)}: [pending: {why}]"
    mark = {
        MessageState.QUEUED: " [waiting to be sent]",
        MessageState.UNSENT: " [not sent: you were no longer in the conversation]",
    }.get(line.state, "")
    files = "".join(f" [file: {safe(a.name)}, {a.size} bytes]" for a in line.attachments)
    text = safe(line.text, lines=True).replace("\n", "\n    ")
    return f"{gap}{_stamp(line)} {_who(line)}: {text}{files}{mark}"


def _who(line: HistoryEntry) -> str:
    return "you" if line.mine else safe(line.sender) or "somebody"


def _stamp(line: HistoryEntry) -> str:
    if line.sent_at_ms is None:
        return "[       --       ]"
    return datetime.fromtimestamp(line.sent_at_ms / 1000, UTC).strftime("[%Y-%m-%d %H:%M]")
