"""Key packages: what others need to bring this device into a conversation while it is away."""

from __future__ import annotations

import time

from counterseal.client.session import Session
from counterseal.core import _core
from counterseal.wire.key_packages import KEY_PACKAGES, KEY_PACKAGES_POST, PostKeyPackages

ONE_TIME = 20
"""Key packages that are each used once, left with the service at a time."""
_LOW = 8
# seconds after which new ones are left beside the old, which expire after 84 days
_STOCK_KEPT = 30 * 86_400
_STOCK_EVERY = 600.0  # seconds of real time


async def stock(session: Session) -> None:
    """Sees to it that the service has enough key packages of this device, and one that may be used
    as a last resort; asked every ten minutes.

    Raises what the service raises.
    """
    if not session.due("key packages", _STOCK_EVERY):
        return

    held = await session.service.call(KEY_PACKAGES)
    with session.transaction() as store:
        old = time.time() - (store.settings.stocked or 0) > _STOCK_KEPT
        if held.one_time >= _LOW and held.last_resort and not old:
            return
        packages = store.device.key_packages(
            ONE_TIME - min(held.one_time, _LOW), False, _core.DEFAULT_SUITE
        )
        if old or not held.last_resort:
            packages += store.device.key_packages(1, True, _core.DEFAULT_SUITE)
        store.settings.stocked = int(time.time())

    # the private halves are stored before the service has the public ones
    await session.service.call(KEY_PACKAGES_POST, PostKeyPackages(tuple(packages)))
