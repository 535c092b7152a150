"""The `Authorization` header: how a device, an institution and the operator sign a request.

A **device** signs each request with its Ed25519 key:

`Authorization: Counterseal-Device ACCOUNT.DEVICE.TIME.NONCE.SIGNATURE`

Fields are base64url without padding, except TIME, which is decimal milliseconds of Unix time.
ACCOUNT and DEVICE have 32 bytes, NONCE 16, SIGNATURE 64. The signature is over the encoding of

`[tag("request"), domain, method, path with query, TIME, NONCE, SHA-256 of the body]`

An **institution** signs likewise with both of its keys, over the same array with the tag
`institution-request`:

`Authorization: Counterseal-Institution KID.TIME.NONCE.ED25519.MLDSA65`

A statement that an institution posts needs no header: its own signatures authenticate it. The
**operator** sends `Authorization: Bearer TOKEN`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterseal.protocol.cbor import encode, tag
from counterseal.protocol.errors import NotAuthenticated
from counterseal.protocol.keys import MLDSA65_SIGNATURE, InstitutionSigner

SKEW_MS = 120_000
"""How far, in milliseconds, a request's time may be off the service's clock."""
NONCE_BYTES = 16

_DEVICE = "Counterseal-Device "
_INSTITUTION = "Counterseal-Institution "
_OPERATOR = "Bearer "
_DEVICE_HEADER_MAX = 400
_INSTITUTION_HEADER_MAX = 6_000


class SignedRequest(msgspec.Struct, frozen=True):
    """What a signature covers beside time and nonce. `path` is as it is sent, with the query."""

    domain: str
    method: str
    path: str
    body: bytes

    def device_message(self, time_ms: int, nonce: bytes) -> bytes:
        """What a device signs."""
        return self._message("request", time_ms, nonce)

    def institution_message(self, time_ms: int, nonce: bytes) -> bytes:
        """What an institution signs with both keys."""
        return self._message("institution-request", time_ms, nonce)

    def _message(self, name: str, time_ms: int, nonce: bytes) -> bytes:
        digest = hashlib.sha256(self.body).digest()
        return encode([tag(name), self.domain, self.method, self.path, time_ms, nonce, digest])


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
            _text(self.account),
            _text(self.device),
            str(self.time_ms),
            _text(self.nonce),
            _text(self.signature),
        )
        return _DEVICE + ".".join(fields)

    @classmethod
    def read(cls, header: str) -> DeviceHeader:
        """The fields in a header's value. Raises `NotAuthenticated` "no-authorization"."""
        account, device, time, nonce, signature = _fields(header, _DEVICE, 5, _DEVICE_HEADER_MAX)
        return cls(
            _bytes(account, 32),
            _bytes(device, 32),
            _decimal(time),
            _bytes(nonce, NONCE_BYTES),
            _bytes(signature, 64),
        )


class InstitutionHeader(msgspec.Struct, frozen=True):
    """The fields of an institution's header; nothing is verified."""

    kid: bytes
    time_ms: int
    nonce: bytes
    ed25519: bytes
    mldsa65: bytes

    def write(self) -> str:
        """The header's value."""
        fields = (
            _text(self.kid),
            str(self.time_ms),
            _text(self.nonce),
            _text(self.ed25519),
            _text(self.mldsa65),
        )
        return _INSTITUTION + ".".join(fields)

    @classmethod
    def read(cls, header: str) -> InstitutionHeader:
        """The fields in a header's value. Raises `NotAuthenticated` "no-authorization"."""
        kid, time, nonce, ed25519, mldsa65 = _fields(
            header, _INSTITUTION, 5, _INSTITUTION_HEADER_MAX
        )
        return cls(
            _bytes(kid, 32),
            _decimal(time),
            _bytes(nonce, NONCE_BYTES),
            _bytes(ed25519, 64),
            _bytes(mldsa65, MLDSA65_SIGNATURE),
        )


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


def sign_as_institution(
    request: SignedRequest, signer: InstitutionSigner, time_ms: int, nonce: bytes
) -> str:
    """The header's value with which an institution signs a request. The nonce is 16 fresh bytes."""
    message = request.institution_message(time_ms, nonce)
    ed25519, mldsa65 = signer.sign(message, message)
    return InstitutionHeader(signer.kid, time_ms, nonce, ed25519, mldsa65).write()


def operator_header(token: str) -> str:
    """The header's value with which the operator calls."""
    return _OPERATOR + token


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


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


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
