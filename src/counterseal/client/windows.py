"""This device's own windows: which one a frame goes into, and when its keys are erased
(docs/protocol.md section 3).

A window is written down in the transaction that opens it and posted before its first frame is
sealed.
"""

from __future__ import annotations

from counterseal import failpoint
from counterseal.client.session import Session
from counterseal.client.states import WindowState
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.store.windows import WindowRow
from counterseal.core._core import Window
from counterseal.wire.windows import WINDOW_POST, PostWindow

KEYS_KEPT = 26 * 3600
"""Seconds after a window closes in which this device still has its K: a day, so that a device which
comes back the next day can remake a counterseal that the service lost or withheld, and two hours
more for the period to be rooted and logged. Then it is erased: whoever seizes the device later
finds no key of an old window in it.
"""
_SKIP_MAX = 16


async def make_ready(session: Session, conversation: bytes, wanted_ms: int | None) -> Window:
    """The window that the next frame goes into, its counterseal stored by the service.

    `wanted_ms` is the first message's time: a demonstration's clock is asked again when that lies
    in a later period than last heard. Raises what the core and the service raise.
    """
    now = await session.now(at_least=(wanted_ms or 0) // 1000)
    with session.transaction() as store:
        charter = store.device.group_view(conversation).charter_digest
        length = session.directory.rules.period_length(store, charter)
        window, state = _choose(store, conversation, now - now % length)
        failpoint.reach("window.before-commit")
    failpoint.reach("window.opened")

    if state is WindowState.MADE:
        posted = PostWindow(window.label, window.roster, window.counterseal)
        await session.service.call(WINDOW_POST, posted)
        failpoint.reach("window.posted")
        with session.transaction() as store:
            store.windows.set_posted(window.window_id)
    return window


def _choose(store: DeviceStore, conversation: bytes, opens: int) -> tuple[Window, WindowState]:
    """The newest window of the period that still fits and its state, or a new one with the next
    serial.
    """
    window = store.device.window_current(conversation, opens)
    if window is not None:
        state = store.windows.state(window.window_id)
        if state is not None and state is not WindowState.SPENT:
            return window, state

    newest = store.windows.newest(conversation)
    step = serial_step(store.windows.spent_since_posted(conversation))
    serial = (newest.serial if newest else 0) + step
    window = store.device.window_open(conversation, opens, serial)
    store.windows.add(
        WindowRow(
            window=window.window_id,
            conversation=conversation,
            opens=window.opens,
            closes=window.closes,
            serial=window.serial,
            state=WindowState.MADE,
        )
    )
    return window, WindowState.MADE


def serial_step(spent: int) -> int:
    """How far the next serial is beyond the last one, after `spent` windows that the service
    refused: it knows higher serials than a restored backup does, so each refusal doubles the step.
    """
    return 1 << min(spent, _SKIP_MAX)


def spend(store: DeviceStore, conversation: bytes) -> None:
    """Has the newest window not used again: the service has something else under its place (V2,
    L5).
    """
    newest = store.windows.newest(conversation)
    if newest is not None:
        store.windows.set_spent(newest.window)


def post_again(store: DeviceStore, conversation: bytes) -> None:
    """Has every window of the conversation posted again before use: the service lost a counterseal
    (V1).
    """
    store.windows.set_unposted(conversation)


def erase_old_keys(store: DeviceStore, now: int) -> int:
    """Erases K of the windows that closed more than KEYS_KEPT seconds before `now`; returns how
    many.
    """
    return store.device.window_drop_keys(now - KEYS_KEPT)
