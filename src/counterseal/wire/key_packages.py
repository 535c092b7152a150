"""Key packages: what lets a device be added to a group while it is away."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.record import Bytes32, Part, Uint

from .body import KIB, Rows
from .endpoint import Authentication, Endpoint, ErrorCode

KEY_PACKAGE_MAX = 8_192
UPLOAD_MAX = 100
"""Key packages in one upload, at most."""
CLAIM_MAX = 500
"""Devices in one claim, at most."""
KeyPackageBytes = Annotated[bytes, Meta(max_length=KEY_PACKAGE_MAX)]


class PostKeyPackages(Part, frozen=True):
    """Key packages of the device that calls."""

    packages: Annotated[tuple[KeyPackageBytes, ...], Meta(min_length=1, max_length=UPLOAD_MAX)]


class KeyPackagesPosted(Part, frozen=True):
    """How many one-time packages the service holds for the device now."""

    one_time: Uint


class KeyPackagesHeld(Part, frozen=True):
    """How many one-time packages the service holds for the device, and whether it holds one of
    last resort.
    """

    one_time: Uint
    last_resort: bool


class ClaimKeyPackages(Part, frozen=True):
    """The devices (keys of 32 bytes) to be added."""

    devices: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=CLAIM_MAX)]


class ClaimedKeyPackage(Part, frozen=True):
    """A device's key package."""

    device: Bytes32
    package: KeyPackageBytes


class KeyPackagesClaimed(Rows, frozen=True):
    """One key package of each device that has any."""

    rows: Annotated[tuple[ClaimedKeyPackage, ...], Meta(max_length=CLAIM_MAX)]


KEY_PACKAGES_POST: Endpoint[PostKeyPackages, KeyPackagesPosted] = Endpoint(
    method="POST",
    path="/v1/key-packages",
    authentication=Authentication.DEVICE,
    summary="Hands in key packages, at most 100 at once.",
    request=PostKeyPackages,
    answer=KeyPackagesPosted,
    errors=(
        ErrorCode(403, "other-device", "a package is another device's"),
        ErrorCode(409, "too-many-key-packages", "the service holds as many as it takes"),
        ErrorCode(422, "mls", "a package does not verify"),
    ),
    request_max=UPLOAD_MAX * (KEY_PACKAGE_MAX + 8),
    repeatable=True,
)
KEY_PACKAGES: Endpoint[None, KeyPackagesHeld] = Endpoint(
    method="GET",
    path="/v1/key-packages",
    authentication=Authentication.DEVICE,
    summary="How many key packages the service holds for the caller.",
    answer=KeyPackagesHeld,
)
KEY_PACKAGES_CLAIM: Endpoint[ClaimKeyPackages, KeyPackagesClaimed] = Endpoint(
    method="POST",
    path="/v1/key-packages/claim",
    authentication=Authentication.DEVICE,
    summary="Takes one key package of each device.",
    notes=(
        "Each is given out once; the last resort when the others are used up. A device without any "
        "is left out. Each device counts as one request against the caller's rate."
    ),
    request=ClaimKeyPackages,
    answer=KeyPackagesClaimed,
    request_max=32 * KIB,
    answer_max=CLAIM_MAX * (KEY_PACKAGE_MAX + 64) + KIB,
)
