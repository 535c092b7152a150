"""The `Authorization` header, both kinds: written by one side, read by the other."""

from __future__ import annotations

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterseal.protocol import cbor
from counterseal.protocol.errors import NotAuthenticated
from counterseal.protocol.keys import InstitutionSigner
from counterseal.wire.authentication import InstitutionHeader, SignedRequest, sign_as_institution
from counterseal.wire.device_authentication import DeviceHeader, operator_header, sign_as_device
from counterseal.wire.read_authentication import read_device_header, read_institution_header

REQUEST = SignedRequest("example.org", "POST", "/v1/windows?a=1", b"body")
NONCE = bytes(range(16))


def test_a_device_signs_method_path_time_nonce_and_body() -> None:
    key = Ed25519PrivateKey.generate()
    device = key.public_key().public_bytes_raw()
    header = sign_as_device(REQUEST, b"\x01" * 32, device, key, 1_700_000_000_123, NONCE)
    read = read_device_header(header)
    assert (read.account, read.device, read.time_ms, read.nonce) == (
        b"\x01" * 32,
        device,
        1_700_000_000_123,
        NONCE,
    )
    signed = cbor.decode(REQUEST.device_message(read.time_ms, read.nonce), 1_000)
    assert signed[:6] == (
        "counterseal/v1/request",
        "example.org",
        "POST",
        "/v1/windows?a=1",
        1_700_000_000_123,
        NONCE,
    )
    key.public_key().verify(read.signature, REQUEST.device_message(read.time_ms, NONCE))
    other = SignedRequest("example.org", "POST", "/v1/windows?a=1", b"other")
    with pytest.raises(InvalidSignature):
        key.public_key().verify(read.signature, other.device_message(read.time_ms, NONCE))


def test_an_institution_signs_with_both_keys() -> None:
    signer = InstitutionSigner.generate()
    read = read_institution_header(sign_as_institution(REQUEST, signer, 5, NONCE))
    assert (read.kid, read.time_ms, read.nonce) == (signer.kid, 5, NONCE)
    message = REQUEST.institution_message(5, NONCE)
    signer.public.verify(message, read.ed25519, message, read.mldsa65)
    assert message != REQUEST.device_message(5, NONCE)


def header(**changed: str) -> str:
    fields = {
        "account": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="),
        "device": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="),
        "time": "5",
        "nonce": base64.urlsafe_b64encode(bytes(16)).decode().rstrip("="),
        "signature": base64.urlsafe_b64encode(bytes(64)).decode().rstrip("="),
    } | changed
    return "Counterseal-Device " + ".".join(fields.values())


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "Bearer x",
        header().replace("Device", "device"),
        header() + ".",
        header() + "A" * 400,
        header(time="05"),
        header(time="-5"),
        header(time="1" * 16),
        header(time="\u0661"),
        header(nonce="AAAA"),
        header(account=base64.urlsafe_b64encode(bytes(32)).decode()),
        header(signature="!" * 86),
        header(signature="\u00e9" * 86),
    ],
)
def test_a_header_of_another_form_is_refused(wrong: str) -> None:
    with pytest.raises(NotAuthenticated, match="no-authorization"):
        read_device_header(wrong)


def test_fields_of_a_header_are_as_they_were_written() -> None:
    given = DeviceHeader(b"\x01" * 32, b"\x02" * 32, 7, b"\x03" * 16, b"\x04" * 64)
    assert read_device_header(given.write()) == given
    institution = InstitutionHeader(b"\x01" * 32, 7, b"\x03" * 16, b"\x04" * 64, b"\x05" * 3_309)
    assert read_institution_header(institution.write()) == institution
    assert operator_header("token") == "Bearer token"
