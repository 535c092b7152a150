"""The service's answers: their form, their errors, and the WebSocket's messages."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterseal.client import answers, api, stream
from counterseal.client.answers import EventPage, FramesAnswer, field, row
from counterseal.client.sending import fitting_time
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
from counterseal.protocol.record import convert


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
    error = api.error_of(status, body)
    assert type(error) is kind
    assert error.code == code
    assert error.message.startswith("The service")


def test_a_request_is_signed_as_the_reference_says():
    key = Ed25519PrivateKey.generate()
    service = api.Service(
        "http://127.0.0.1:1/", api.Identity("chat.example.org", b"a" * 32, b"d" * 32, key)
    )
    header = service.authorization("GET", "/v1/inbox?after=0", b"")["Authorization"]
    scheme, _, rest = header.partition(" ")
    assert scheme == "Counterseal-Device"
    assert len(rest.split(".")) == 5
    assert api.Service("http://127.0.0.1:1").authorization("GET", "/", b"") == {}
    with pytest.raises(BadInput, match="https"):
        api.Service("ftp://x")


@pytest.mark.parametrize(
    "value",
    [
        (),
        (1,),
        ((), 1, 2),
        (((1, 0, 0, b"", 1),), 0),
        (((1, 0, -1, b""),), 0),
        ((("1", 0, 0, b""),), 0),
    ],
)
def test_a_page_of_another_form_is_refused(value):
    """E6."""
    with pytest.raises(Refused, match="E6"):
        convert(value, EventPage)


def test_forms():
    assert convert((((1, 9),), ("V4", "No.")), FramesAnswer).refusal.code == "V4"
    assert row((1, b"x"), int, bytes) == (1, b"x")
    for wrong in ((1,), (b"x", 1), 5, None):
        with pytest.raises(Refused, match="E6"):
            row(wrong, int, bytes)
    with pytest.raises(Refused, match="E6"):
        field(True, int)
    assert answers.COMMIT == 1


def test_signals():
    events = ["events", b"c" * 16, [[1, 0, 5, b"m"]]]
    assert stream.parse(cbor.encode(events)).events[0].message == b"m"
    assert stream.parse(cbor.encode(["inbox", 3])) == stream.WelcomeArrived(3)
    assert stream.parse(cbor.encode(["clock", 3])) == stream.ClockMoved(3)
    assert stream.parse(cbor.encode(["notice", 3])) == stream.NoticePublished(3)
    assert stream.parse(cbor.encode(["news of a later version", 1])) is None
    for bad in (b"", b"\x80", cbor.encode(["events", b"c", [[1]]]), cbor.encode([1, 2])):
        with pytest.raises(Refused):
            stream.parse(bad)


def test_a_message_says_when_it_was_said_or_when_it_was_sealed():
    """F10."""
    assert fitting_time(5_500, 3, 9, 7) == 5_500
    assert fitting_time(None, 3, 9, 7) == 7_000
    assert fitting_time(2_999, 3, 9, 7) == 7_000
    assert fitting_time(9_000, 3, 9, 12) == 8_000
