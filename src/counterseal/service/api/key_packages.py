"""Key packages: what lets a device be added to a group while it is away."""

from __future__ import annotations

from counterseal.service.api.gate import DeviceCall, Gate, ServedEndpoint
from counterseal.service.decisions import key_packages
from counterseal.service.limits import Rates
from counterseal.service.settings import LimitSettings
from counterseal.service.store.interface import Store
from counterseal.wire.key_packages import (
    KEY_PACKAGES,
    KEY_PACKAGES_CLAIM,
    KEY_PACKAGES_POST,
    ClaimedKeyPackage,
    ClaimKeyPackages,
    KeyPackagesClaimed,
    KeyPackagesHeld,
    KeyPackagesPosted,
    PostKeyPackages,
)


class KeyPackageRoutes:
    """Handing in, counting and claiming key packages."""

    def __init__(self, store: Store, limits: LimitSettings, rates: Rates) -> None:
        self._store = store
        self._limits = limits
        self._rates = rates

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.device(KEY_PACKAGES_POST, self.post),
            gate.device(KEY_PACKAGES, self.held),
            gate.device(KEY_PACKAGES_CLAIM, self.claim),
        ]

    async def post(self, call: DeviceCall[PostKeyPackages]) -> KeyPackagesPosted:
        """A device's own packages, each verified by the compiled core."""
        caller, limit = call.caller, self._limits.key_packages
        packages = [key_packages.check(package, caller) for package in call.request.packages]
        held = await self._store.write(
            "key-packages",
            lambda tables: key_packages.add(tables, caller.device, packages, limit),
        )
        return KeyPackagesPosted(held)

    async def held(self, call: DeviceCall[None]) -> KeyPackagesHeld:
        """How many there are."""
        device = call.caller.device
        return KeyPackagesHeld(
            *await self._store.read(lambda snapshot: snapshot.key_packages.held(device))
        )

    async def claim(self, call: DeviceCall[ClaimKeyPackages]) -> KeyPackagesClaimed:
        """One of each device; a device without any is left out."""
        devices = call.request.devices
        # emptying a stranger's store has to cost something
        self._rates.take(call.caller.device, len(devices))
        claimed = await self._store.write(
            "claim", lambda tables: key_packages.claim(tables, devices)
        )
        return KeyPackagesClaimed(tuple(ClaimedKeyPackage(*one) for one in claimed))
