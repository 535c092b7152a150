"""Who sends a request: a device, an institution or the operator (docs/reference/api.md,
Authentication).

A device signs every request with its Ed25519 key; an institution with both of its keys. A nonce
counts once; a time more than 120 s off is refused, and so is one from before this process started,
because the nonces of that time are forgotten.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from counterseal.protocol.cbor import encode, tag
from counterseal.protocol.errors import NotAuthenticated
from counterseal.protocol.keys import InstitutionKey

SKEW_MS = 120_000
_DEVICE = "Counterseal-Device "
_INSTITUTION = "Counterseal-Institution "
_DEVICE_HEADER_MAX = 400
_INSTITUTION_HEADER_MAX = 6_000
_KEYS_KEPT = 50_000


class DeviceCaller(msgspec.Struct, frozen=True):
    """A device that signed the request. Whether the directory knows it is another question; both
    are 32 bytes.
    """

    account: bytes
    device: bytes


class InstitutionCaller(msgspec.Struct, frozen=True):
    """An institution that signed the request with both keys, by its kid (32 bytes)."""

    kid: bytes


class Request(msgspec.Struct, frozen=True):
    """What a signature covers besides time and nonce."""

    method: str
    path: str  # with the query
    body: bytes


class Nonces:
    """The nonces of the last 2 * 120 s, in two generations, so that forgetting costs nothing."""

    def __init__(self, started_ms: int) -> None:
        self._started = started_ms
        self._turned = started_ms
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def take(self, who: bytes, time_ms: int, nonce: bytes, now_ms: int) -> None:
        """Uses up one nonce. Raises `NotAuthenticated` "stale-request" or "replayed"."""
        if abs(now_ms - time_ms) > SKEW_MS or time_ms < self._started:
            raise NotAuthenticated(
                "The request's time is too far off; set the clock, or sign it again.",
                code="stale-request",
            )
        # a time is acceptable for 240 s: 120 s before it and 120 s after
        if now_ms - self._turned > 2 * SKEW_MS:
            self._old, self._young, self._turned = self._young, set(), now_ms
        key = who + nonce
        if key in self._young or key in self._old:
            raise NotAuthenticated(
                "This request was received before; every request needs a nonce of its own.",
                code="replayed",
            )
        self._young.add(key)


class Authenticator:
    """Verifies headers. `institutions` gives a charter's key by kid, or None."""

    def __init__(
        self,
        domain: str,
        started_ms: int,
        institutions: Callable[[bytes], InstitutionKey | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._domain = domain
        self._nonces = Nonces(started_ms)
        self._institutions = institutions
        self._now_ms = now_ms
        self._keys: dict[bytes, Ed25519PublicKey] = {}

    def device(self, header: str, request: Request) -> DeviceCaller:
        """The device that signed. Raises `NotAuthenticated`."""
        account, device, time, nonce, signature = _fields(
            header, _DEVICE, (32, 32, 0, 16, 64), _DEVICE_HEADER_MAX
        )
        now, time_ms = self._now_ms(), int.from_bytes(time, "big")
        # before the signature: a replay of last week costs nothing
        if abs(now - time_ms) > SKEW_MS:
            raise NotAuthenticated(
                "The request's time is too far off; set the clock, or sign it again.",
                code="stale-request",
            )
        try:
            self._key(device).verify(signature, self._signed("request", request, time_ms, nonce))
        except InvalidSignature:
            raise NotAuthenticated(
                "The request's signature does not verify.", code="signature"
            ) from None
        self._nonces.take(device, time_ms, nonce, now)
        return DeviceCaller(account, device)

    def institution(self, header: str, request: Request) -> InstitutionCaller:
        """The institution that signed with both keys. Raises `NotAuthenticated`, `Refused` X2."""
        kid, time, nonce, ed25519, mldsa65 = _fields(
            header, _INSTITUTION, (32, 0, 16, 64, 3309), _INSTITUTION_HEADER_MAX
        )
        time_ms = int.from_bytes(time, "big")
        key = self._institutions(kid)
        if key is None:
            raise NotAuthenticated(
                "No charter of this domain names the key that signed this request.",
                code="unknown-institution",
            )
        signed = self._signed("institution-request", request, time_ms, nonce)
        key.verify(signed, ed25519, signed, mldsa65)
        self._nonces.take(kid, time_ms, nonce, self._now_ms())
        return InstitutionCaller(kid)

    def _signed(self, name: str, request: Request, time_ms: int, nonce: bytes) -> bytes:
        digest = hashlib.sha256(request.body).digest()
        return encode(
            [tag(name), self._domain, request.method, request.path, time_ms, nonce, digest]
        )

    def _key(self, device: bytes) -> Ed25519PublicKey:
        key = self._keys.get(device)
        if key is None:
            try:
                key = Ed25519PublicKey.from_public_bytes(device)
            except ValueError:
                raise NotAuthenticated(
                    "The device key is no Ed25519 key.", code="signature"
                ) from None
            if len(self._keys) >= _KEYS_KEPT:
                self._keys.clear()
            self._keys[device] = key
        return key


def check_operator(header: str, token: str) -> None:
    """Returns if the header bears the operator's token. Raises `NotAuthenticated` "operator"."""
    if not hmac.compare_digest(header.encode(), b"Bearer " + token.encode()):
        raise NotAuthenticated(
            "This is for the operator: the token is in operator.token in the data directory.",
            code="operator",
        )


def _fields(header: str, scheme: str, sizes: tuple[int, ...], limit: int) -> list[bytes]:
    """The header's fields; the one of size 0 is the decimal time, as 8 bytes."""
    if not header.startswith(scheme) or len(header) > limit:
        raise NotAuthenticated(
            f"This needs a header `Authorization: {scheme}...`; see docs/reference/api.md.",
            code="no-authorization",
        )
    parts = header[len(scheme) :].split(".")
    if len(parts) != len(sizes):
        raise _malformed()
    return [
        _decimal(part) if size == 0 else _base64url(part, size)
        for part, size in zip(parts, sizes, strict=True)
    ]


def _decimal(text: str) -> bytes:
    if not (text.isascii() and text.isdigit() and len(text) <= 15) or str(int(text)) != text:
        raise _malformed()
    return int(text).to_bytes(8, "big")


def _base64url(text: str, size: int) -> bytes:
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
