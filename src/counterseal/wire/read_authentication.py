"""How the service reads the headers of devices and institutions (authentication.py)."""

from __future__ import annotations

import base64
import binascii

from counterseal.protocol.errors import NotAuthenticated
from counterseal.protocol.keys import MLDSA65_SIGNATURE

from .authentication import INSTITUTION_SCHEME, NONCE_BYTES, InstitutionHeader
from .device_authentication import DEVICE_SCHEME, DeviceHeader

_DEVICE_HEADER_MAX = 400
_INSTITUTION_HEADER_MAX = 6_000


def read_device_header(header: str) -> DeviceHeader:
    """The fields in a header's value. Raises `NotAuthenticated` "no-authorization"."""
    account, device, time, nonce, signature = _fields(header, DEVICE_SCHEME, 5, _DEVICE_HEADER_MAX)
    return DeviceHeader(
        _bytes(account, 32),
        _bytes(device, 32),
        _decimal(time),
        _bytes(nonce, NONCE_BYTES),
        _bytes(signature, 64),
    )


def read_institution_header(header: str) -> InstitutionHeader:
    """The fields in a header's value. Raises `NotAuthenticated` "no-authorization"."""
    kid, time, nonce, ed25519, mldsa65 = _fields(
        header, INSTITUTION_SCHEME, 5, _INSTITUTION_HEADER_MAX
    )
    return InstitutionHeader(
        _bytes(kid, 32),
        _decimal(time),
        _bytes(nonce, NONCE_BYTES),
        _bytes(ed25519, 64),
        _bytes(mldsa65, MLDSA65_SIGNATURE),
    )


def _fields(header: str, scheme: str, count: int, limit: int) -> list[str]:
    if not header.startswith(scheme) or len(header) > limit:
        raise NotAuthenticated(
            f"This needs a header `Authorization: {scheme}...`; see docs/reference/api.md.",
            code="no-authorization",
        )
    parts = header[len(scheme) :].split(".")
    if len(parts) != count:
        raise _malformed()
    return parts


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15) or str(int(text)) != text:
        raise _malformed()
    return int(text)


def _bytes(text: str, size: int) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise _malformed() from None
    if len(data) != size or len(text) != -(-size * 4 // 3):
        raise _malformed()
    return data


def _malformed() -> NotAuthenticated:
    return NotAuthenticated(
        "The Authorization header is not as docs/reference/api.md says.", code="no-authorization"
    )
