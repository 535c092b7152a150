"""Who sends a request: a device, an institution or the operator.

What is signed is laid down in wire/authentication.py. A nonce counts once; a time more than 120 s
off is refused, and so is one from before this process started, because the nonces of that time are
forgotten.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from counterseal.protocol.errors import NotAuthenticated, TooMany
from counterseal.protocol.keys import InstitutionKey
from counterseal.wire.authentication import SKEW_MS, InstitutionHeader, SignedRequest
from counterseal.wire.device_authentication import DeviceHeader, operator_header
from counterseal.wire.read_authentication import read_device_header, read_institution_header

_KEYS_KEPT = 50_000
_NONCES_KEPT = 2_000_000


class DeviceCaller(msgspec.Struct, frozen=True):
    """A device that signed the request, 32 bytes each.

    Whether the directory has it is another question.
    """

    account: bytes
    device: bytes


class InstitutionCaller(msgspec.Struct, frozen=True):
    """An institution that signed the request with both keys, by its kid (32 bytes)."""

    kid: bytes


class Nonces:
    """The nonces of the last 2 * 120 s, in two generations, so that forgetting costs nothing."""

    def __init__(self, started_ms: int) -> None:
        self._started = started_ms
        self._turned = started_ms
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def take(self, who: bytes, time_ms: int, nonce: bytes, now_ms: int) -> None:
        """Uses up one nonce. Raises `NotAuthenticated` "stale-request" or "replayed"."""
        if time_ms < self._started:
            raise _stale()
        check_time(time_ms, now_ms)

        # a time is acceptable for 240 s: 120 s before it and 120 s after
        if now_ms - self._turned > 2 * SKEW_MS:
            self._old, self._young, self._turned = self._young, set(), now_ms
        key = who + nonce
        if key in self._young or key in self._old:
            raise NotAuthenticated(
                "This request was received before; every request needs a nonce of its own.",
                code="replayed",
            )
        # without this bound, strangers with fresh keys fill the memory
        if len(self._young) >= _NONCES_KEPT:
            raise TooMany("The service has as many requests as it can remember; try again later.")
        self._young.add(key)


class Authenticator:
    """Verifies headers. `institutions` returns a charter's key by kid, or None."""

    def __init__(
        self,
        institutions: Callable[[bytes], InstitutionKey | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._nonces = Nonces(now_ms())
        self._institutions = institutions
        self._now_ms = now_ms
        self._keys: dict[bytes, Ed25519PublicKey] = {}

    def claimed_device(self, value: str) -> DeviceHeader:
        """What a device's header says, near in time and not verified: a replay of last week, or a
        device that nobody knows, costs nothing more. Raises `NotAuthenticated`.
        """
        header = read_device_header(value)
        check_time(header.time_ms, self._now_ms())
        return header

    def claimed_institution(self, value: str) -> InstitutionHeader:
        """What an institution's header says, near in time, by a key of a charter, and not verified.
        Raises `NotAuthenticated`.
        """
        header = read_institution_header(value)
        check_time(header.time_ms, self._now_ms())
        self._institution_key(header)
        return header

    def device(self, header: DeviceHeader, request: SignedRequest) -> DeviceCaller:
        """The device that signed. Raises `NotAuthenticated`."""
        now = self._now_ms()
        message = request.device_message(header.time_ms, header.nonce)
        try:
            self._key(header.device).verify(header.signature, message)
        except InvalidSignature:
            raise NotAuthenticated(
                "The request's signature does not verify.", code="signature"
            ) from None
        self._nonces.take(header.device, header.time_ms, header.nonce, now)
        return DeviceCaller(header.account, header.device)

    def institution(self, header: InstitutionHeader, request: SignedRequest) -> InstitutionCaller:
        """The institution that signed with both keys. Raises `NotAuthenticated`, `Refused` X2."""
        key = self._institution_key(header)
        message = request.institution_message(header.time_ms, header.nonce)
        key.verify(message, header.ed25519, message, header.mldsa65)
        self._nonces.take(header.kid, header.time_ms, header.nonce, self._now_ms())
        return InstitutionCaller(header.kid)

    def _institution_key(self, header: InstitutionHeader) -> InstitutionKey:
        key = self._institutions(header.kid)
        if key is None:
            raise NotAuthenticated(
                "No charter of this domain names the key that signed this request.",
                code="unknown-institution",
            )
        return key

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


def check_time(time_ms: int, now_ms: int) -> None:
    """Returns if a request's time is near. Raises `NotAuthenticated` "stale-request"."""
    if abs(now_ms - time_ms) > SKEW_MS:
        raise _stale()


def check_operator(value: str, token: str) -> None:
    """Returns if the header bears the operator's token. Raises `NotAuthenticated` "operator"."""
    if not hmac.compare_digest(value.encode(), operator_header(token).encode()):
        raise NotAuthenticated(
            "This is for the operator: the token is in operator.token in the data directory.",
            code="operator",
        )


def _stale() -> NotAuthenticated:
    return NotAuthenticated(
        "The request's time is too far off; set the clock, or sign it again.", code="stale-request"
    )
