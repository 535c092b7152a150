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

The service refuses a time more than 120 s off its real clock ("stale-request") and a nonce that it
has seen in that span ("replayed"). It forgets nonces when it ends, so it also refuses a time from
before its own start: such a request is signed again.
"""

from __future__ import annotations

import base64
import hashlib

import msgspec

from counterseal.protocol.cbor import encode, tag
from counterseal.protocol.keys import InstitutionSigner

SKEW_MS = 120_000
"""How far, in milliseconds, a request's time may be off the service's clock."""
NONCE_BYTES = 16

INSTITUTION_SCHEME = "Counterseal-Institution "


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
            base64url(self.kid),
            str(self.time_ms),
            base64url(self.nonce),
            base64url(self.ed25519),
            base64url(self.mldsa65),
        )
        return INSTITUTION_SCHEME + ".".join(fields)


def sign_as_institution(
    request: SignedRequest, signer: InstitutionSigner, time_ms: int, nonce: bytes
) -> str:
    """The header's value with which an institution signs a request. The nonce is 16 fresh bytes."""
    message = request.institution_message(time_ms, nonce)
    ed25519, mldsa65 = signer.sign(message, message)
    return InstitutionHeader(signer.kid, time_ms, nonce, ed25519, mldsa65).write()


def base64url(data: bytes) -> str:
    """The text of some bytes in base64url, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
