"""This device's own windows: which one a frame goes into, and when its keys are erased
(docs/protocol.md section 3).

A window is written down in the transaction that opens it and posted before its first frame is
sealed. Its row says `posted` 0 (made here), 1 (the service has the counterseal) or -1 (spent: the
service and this device disagree about it, so K or the last seq is not certain, as after a restored
backup; then a new window is opened and the service counts a restart).
"""

from __future__ import annotations

from counterseal import failpoint
from counterseal.client.session import Session
from counterseal.client.vault import Vault
from counterseal.core._core import Window

KEYS_KEPT = 26 * 3600
"""Seconds after a window closes in which this device still has its K: a day, so that a device which
comes back the next day can remake a counterseal that the service lost or withheld, and two hours
more for the period to be rooted and logged. Then it is erased: whoever seizes the device later
finds no key of an old window in it."""
_SPENT, _MADE, _POSTED = -1, 0, 1


async def ready(session: Session, conversation: bytes, wanted_ms: int | None) -> Window:
    """The window that the next frame goes into, its counterseal stored by the service.

    `wanted_ms` is the first message's time: a demonstration's clock is asked again when that lies
    in a later period than last heard.
    """
    now = await session.now(at_least=(wanted_ms or 0) // 1000)
    with session.transaction() as vault:
        length = session.directory.period_length(
            vault, vault.device.group_view(conversation).charter_digest
        )
        window, posted = _choose(vault, conversation, now - now % length)
        failpoint.reach("window.before-commit")
    failpoint.reach("window.opened")
    if not posted:
        await session.service.add_window(window.label, window.roster, window.counterseal)
        failpoint.reach("window.posted")
        with session.transaction() as vault:
            vault.execute(
                "UPDATE client_window SET posted = ? WHERE window = ? AND posted = ?",
                _POSTED,
                window.window_id,
                _MADE,
            )
    return window


def _choose(vault: Vault, conversation: bytes, opens: int) -> tuple[Window, bool]:
    """The newest window that still fits, or a new one with the next serial; and whether it is
    posted.
    """
    window = vault.device.window_current(conversation, opens)
    if window is not None:
        row = vault.one("SELECT posted FROM client_window WHERE window = ?", window.window_id)
        if row is not None and row[0] != _SPENT:
            return window, row[0] == _POSTED
    serial = 1 + vault.count(
        "SELECT coalesce(max(serial), 0) FROM client_window WHERE conversation = ?", (conversation,)
    )
    window = vault.device.window_open(conversation, opens, serial + _skip(vault, conversation))
    vault.execute(
        "INSERT INTO client_window (window, conversation, opens, closes, serial, posted) VALUES (?, ?, ?, ?, ?, ?)",
        window.window_id, conversation, window.opens, window.closes, window.serial, _MADE,
    )  # fmt: skip
    return window, False


def _skip(vault: Vault, conversation: bytes) -> int:
    """How far beyond the last serial: after a restored backup the service knows higher ones, so
    each refusal doubles the step.
    """
    row = vault.one(
        "SELECT count(*) FROM client_window WHERE conversation = ? AND posted = ? AND serial > coalesce("
        "(SELECT max(serial) FROM client_window WHERE conversation = ? AND posted = ?), 0)",
        conversation, _SPENT, conversation, _POSTED,
    )  # fmt: skip
    refused = int(row[0]) if row else 0
    return (1 << min(refused, 16)) - 1


def spend(vault: Vault, conversation: bytes) -> None:
    """Uses none of the conversation's windows again: the service holds something else under their
    places (V2, V5, L5).
    """
    last = vault.one(
        "SELECT window FROM client_window WHERE conversation = ? ORDER BY serial DESC LIMIT 1",
        conversation,
    )
    if last is not None:
        vault.execute("UPDATE client_window SET posted = ? WHERE window = ?", _SPENT, last[0])


def post_again(vault: Vault, conversation: bytes) -> None:
    """Has every window of the conversation posted again before use: the service lost a counterseal
    (V1).
    """
    vault.execute(
        "UPDATE client_window SET posted = ? WHERE conversation = ? AND posted = ?",
        _MADE,
        conversation,
        _POSTED,
    )


def erase(vault: Vault, now: int) -> int:
    """Erases K of the windows that closed more than KEYS_KEPT seconds before `now`; gives how
    many.
    """
    return vault.device.window_drop_keys(now - KEYS_KEPT)
