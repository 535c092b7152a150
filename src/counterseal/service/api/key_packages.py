"""Key packages: what lets a device be added to a group while it is away. Each is given out once;
the last resort when the others are used up.
"""

from __future__ import annotations

from typing import Annotated

import apsw
from msgspec import Meta

from counterseal.protocol.errors import NotAuthorised
from counterseal.protocol.record import Bytes32, Part
from counterseal.service import mls
from counterseal.service.api.http import Answer, DeviceCall
from counterseal.service.store import accounts
from counterseal.service.store.accounts import KeyPackage

LIMIT = 100 * 8_200


class Upload(Part, frozen=True):
    """`[[package, ...]]`."""

    packages: Annotated[
        tuple[Annotated[bytes, Meta(max_length=8_192)], ...], Meta(min_length=1, max_length=100)
    ]


class Claim(Part, frozen=True):
    """`[[device_key, ...]]`."""

    devices: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=500)]


async def post(call: DeviceCall) -> Answer:
    """`POST /v1/key-packages`: a device's own, each verified by the compiled floor."""
    packages = [_checked(call, package) for package in call.decode(Upload).packages]
    limit = call.service.settings.limits.key_packages

    def job(db: apsw.Connection) -> int:
        return accounts.add_key_packages(db, call.caller.device, packages, limit)

    return [await call.service.store.write("key-packages", job)]


def _checked(call: DeviceCall, package: bytes) -> KeyPackage:
    account, device, _, ref, last_resort = mls.check_key_package(package)
    if (account, device) != (call.caller.account, call.caller.device):
        raise NotAuthorised("A device uploads its own key packages alone.", code="other-device")
    return KeyPackage(ref, package, last_resort)


async def held(call: DeviceCall) -> Answer:
    """`GET /v1/key-packages`."""
    one_time, last_resort = accounts.key_packages_held(
        call.service.store.reader, call.caller.device
    )
    return [one_time, last_resort]


async def claim(call: DeviceCall) -> Answer:
    """`POST /v1/key-packages/claim`: one of each device; a device without any is left out."""
    devices = call.decode(Claim).devices
    # emptying a stranger's store has to cost something
    call.service.rates.take(call.caller.device, len(devices))

    def job(db: apsw.Connection) -> list[list[bytes]]:
        claimed = ((device, accounts.claim_key_package(db, device)) for device in devices)
        return [[device, package] for device, package in claimed if package is not None]

    return await call.service.store.write("claim", job)
