"""The directory's devices, remembered: every request asks for one."""

from __future__ import annotations

from counterseal.protocol.errors import NotAuthorised
from counterseal.service.authentication import DeviceCaller
from counterseal.service.store.interface import Store
from counterseal.service.store.rows import StoredDevice

_KEPT = 100_000


class KnownDevices:
    """Whose a device key is, and whether it is revoked; for the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[bytes, StoredDevice] = {}

    async def require(self, caller: DeviceCaller) -> None:
        """Returns if the directory has the device, for this account, not revoked.

        Raises `NotAuthorised` "revoked" or "unknown-device".
        """
        known = self._kept.get(caller.device) or await self._find(caller.device)
        if known is None or known.account != caller.account:
            raise NotAuthorised(
                "The directory does not have this device for this account.", code="unknown-device"
            )
        if known.revoked:
            raise NotAuthorised("This device is revoked.", code="revoked")

    async def account_of(self, device: bytes) -> bytes | None:
        """The account of a device that is not revoked, or None."""
        known = self._kept.get(device) or await self._find(device)
        return known.account if known is not None and not known.revoked else None

    def revoked(self, account: bytes, device: bytes) -> None:
        """Says that a device was revoked."""
        self._kept[device] = StoredDevice(account, revoked=True)

    async def _find(self, device: bytes) -> StoredDevice | None:
        known = await self._store.read(lambda snapshot: snapshot.accounts.device(device))
        if known is not None:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            # what was said meanwhile is newer than what was read
            known = self._kept.setdefault(device, known)
        return known
