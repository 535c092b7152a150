"""A listing in words: what releasing it opens."""

from __future__ import annotations

from collections.abc import Sequence

from counterseal.protocol.window import Label

from .phrases import count, when


def describe_listing(number: int, labels: Sequence[Label], units: int, allowed: int) -> str:
    """One sentence. `units` are those of all listings so far, `allowed` those of the warrant."""
    accounts = {label.account_id for label in labels}
    conversations = {label.conversation_id for label in labels}
    opens, closes = min(label.opens for label in labels), max(label.closes for label in labels)
    return (
        f"Listing {number}: {count(len(labels), 'window')} of {count(len(accounts), 'account')} in "
        f"{count(len(conversations), 'conversation')}, between {when(opens)} and {when(closes)}; "
        f"{count(units, 'unit')} so far of the warrant's {allowed:,}."
    )
