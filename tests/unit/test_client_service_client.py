"""Calls of the service: how they are signed, and what its errors mean."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterseal.client.service_client import DeviceIdentity, ServiceClient, read_failure
from counterseal.protocol import cbor
from counterseal.protocol.errors import (
    BadInput,
    Conflict,
    EpochConflict,
    NotAuthenticated,
    NotAuthorised,
    NotFound,
    Refused,
    TooLarge,
    TooMany,
    Unavailable,
)
from counterseal.wire.accounts import HANDLE
from counterseal.wire.authentication import SignedRequest
from counterseal.wire.conversations import COMMIT_POST
from counterseal.wire.events import INBOX
from counterseal.wire.read_authentication import read_device_header


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (409, cbor.encode(["epoch", 7]), EpochConflict, "epoch"),
        (409, b'{"code": "handle", "message": "Taken."}', Conflict, "handle"),
        (404, b'{"code": "account", "message": "No."}', NotFound, "account"),
        (404, cbor.encode([None, b"proof"]), NotFound, "not-found"),
        (401, b'{"code": "stale-request", "message": "No."}', NotAuthenticated, "stale-request"),
        (403, b'{"code": "revoked", "message": "No."}', NotAuthorised, "revoked"),
        (422, b'{"code": "L1", "message": "No."}', Refused, "L1"),
        (413, b'{"code": "V6", "message": "No."}', TooLarge, "V6"),
        (429, b'{"code": "too-many", "message": "No."}', TooMany, "too-many"),
        (500, b"<html>", Unavailable, "unavailable"),
        (302, b"", BadInput, "bad-input"),
    ],
)
def test_errors(status, body, kind, code):
    error = read_failure(HANDLE if status == 404 else COMMIT_POST, status, body)
    assert type(error) is kind
    assert error.code == code
    assert error.message.startswith("The service")


def test_an_array_that_says_less_than_it_should_is_still_a_conflict():
    for body in (cbor.encode(["epoch"]), cbor.encode(["other", 7]), b"\xff"):
        error = read_failure(COMMIT_POST, 409, body)
        assert type(error) is Conflict
        assert error.code == "conflict"


def test_a_request_is_signed_as_the_reference_says():
    key = Ed25519PrivateKey.generate()
    who = DeviceIdentity("chat.example.org", b"a" * 32, b"d" * 32, key)
    service = ServiceClient("http://127.0.0.1:1/", who)
    path = INBOX.at(after=0)
    header = read_device_header(service.authorization("GET", path, b"")["Authorization"])
    assert (header.account, header.device) == (who.account, who.device)
    signed = SignedRequest(who.domain, "GET", path, b"")
    key.public_key().verify(header.signature, signed.device_message(header.time_ms, header.nonce))
    again = read_device_header(service.authorization("GET", path, b"")["Authorization"])
    assert again.nonce != header.nonce
    assert ServiceClient("http://127.0.0.1:1").authorization("GET", "/", b"") == {}
    with pytest.raises(BadInput, match="https"):
        ServiceClient("ftp://x")
