"""The header with which a device signs a request, and the operator's (authentication.py)."""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .authentication import SignedRequest, base64url

DEVICE_SCHEME = "Counterseal-Device "
_OPERATOR = "Bearer "


class DeviceHeader(msgspec.Struct, frozen=True):
    """The fields of a device's header; nothing is verified."""

    account: bytes
    device: bytes
    time_ms: int
    nonce: bytes
    signature: bytes

    def write(self) -> str:
        """The header's value."""
        fields = (
            base64url(self.account),
            base64url(self.device),
            str(self.time_ms),
            base64url(self.nonce),
            base64url(self.signature),
        )
        return DEVICE_SCHEME + ".".join(fields)


def sign_as_device(
    request: SignedRequest,
    account: bytes,
    device: bytes,
    key: Ed25519PrivateKey,
    time_ms: int,
    nonce: bytes,
) -> str:
    """The header's value with which a device signs a request. The nonce is 16 fresh bytes."""
    signature = key.sign(request.device_message(time_ms, nonce))
    return DeviceHeader(account, device, time_ms, nonce, signature).write()


def operator_header(token: str) -> str:
    """The header's value with which the operator calls."""
    return _OPERATOR + token
