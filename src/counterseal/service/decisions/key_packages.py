"""Key packages: each is given out once; the last resort when the others are used up."""

from __future__ import annotations

from collections.abc import Iterable

from counterseal.protocol.errors import Conflict, NotAuthorised
from counterseal.service import mls
from counterseal.service.authentication import DeviceCaller
from counterseal.service.store.interface import Transaction
from counterseal.service.store.rows import StoredKeyPackage


def check(package: bytes, caller: DeviceCaller) -> StoredKeyPackage:
    """A device's own key package, verified by the compiled core.

    Raises `Refused` "mls", `NotAuthorised` "other-device".
    """
    account, device, _, ref, last_resort = mls.check_key_package(package)
    if (account, device) != (caller.account, caller.device):
        raise NotAuthorised("A device uploads its own key packages alone.", code="other-device")
    return StoredKeyPackage(ref, package, last_resort)


def add(
    tables: Transaction, device: bytes, packages: Iterable[StoredKeyPackage], limit: int
) -> int:
    """Stores key packages; returns how many one-time ones wait.

    Raises `Conflict` "too-many-key-packages".
    """
    for package in packages:
        tables.key_packages.add(device, package)
    held, _ = tables.key_packages.held(device)
    if held > limit:
        raise Conflict(
            f"A device may have {limit} key packages waiting.", code="too-many-key-packages"
        )
    return held


def claim(tables: Transaction, devices: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """(device, package) of each device that has one and is not revoked."""
    claimed = []
    for device in devices:
        known = tables.accounts.device(device)
        if known is None or known.revoked:
            continue
        package = tables.key_packages.following(device)
        if package is None:
            continue
        if not package.last_resort:
            tables.key_packages.claim(package.ref)
        claimed.append((device, package.package))
    return claimed
