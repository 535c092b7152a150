"""The domain itself: whether the service is well, who it is, and the clock that windows go by."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from counterseal.protocol.record import Domain, Part, Uint

from .endpoint import Authentication, Endpoint, ErrorCode

Origin = Annotated[str, Meta(min_length=1, max_length=255)]
VkeyText = Annotated[str, Meta(min_length=1, max_length=8_192)]


class Healthy(Part, frozen=True):
    """The service can do its work."""

    state: Literal["ok"] = "ok"


class ServiceIdentity(Part, frozen=True):
    """The domain and its two logs: each one's origin and its verifier keys, Ed25519 and ML-DSA-44
    (docs/tlog.md).
    """

    domain: Domain
    log_origin: Origin
    log_vkeys: tuple[VkeyText, VkeyText]
    ledger_origin: Origin
    ledger_vkeys: tuple[VkeyText, VkeyText]


class DomainTime(Part, frozen=True):
    """Unix seconds, and whether this is a demonstration's clock, which is stepped by hand."""

    now: Uint
    demonstration: bool


HEALTH: Endpoint[None, Healthy] = Endpoint(
    method="GET",
    path="/v1/health",
    authentication=Authentication.ANYBODY,
    summary="Whether the service can do its work.",
    answer=Healthy,
    errors=(ErrorCode(503, "unhealthy", "it cannot; the message says why"),),
)
IDENTITY: Endpoint[None, ServiceIdentity] = Endpoint(
    method="GET",
    path="/v1/identity",
    authentication=Authentication.ANYBODY,
    summary="The domain, its log and its ledger with their verifier keys.",
    notes="Answered before there is a charter, too.",
    answer=ServiceIdentity,
)
CLOCK: Endpoint[None, DomainTime] = Endpoint(
    method="GET",
    path="/v1/clock",
    authentication=Authentication.ANYBODY,
    summary="The clock that windows go by.",
    answer=DomainTime,
)
