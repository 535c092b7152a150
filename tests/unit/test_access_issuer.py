import pytest
from tests.support.http import Answer
from tests.support.refusals import refused

from counterseal.access.authorities import issuer
from counterseal.access.common import signing
from counterseal.access.common.bundle import Recording
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.sources import Folder, file_name
from counterseal.describe import phrases
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import (
    BadInput,
    Conflict,
    NotAuthorised,
    NotFound,
    Refused,
    Unavailable,
)
from counterseal.protocol.keys import InstitutionSigner

HOUR = 3_600


@pytest.mark.parametrize(
    ("start", "until", "whole", "notes"),
    [
        (0, HOUR, (0, HOUR), 0),
        (1, HOUR, (0, HOUR), 1),
        (0, HOUR + 1, (0, 2 * HOUR), 1),
        (HOUR - 1, HOUR + 1, (0, 2 * HOUR), 2),
    ],
)
def test_periods_are_made_whole_outward_and_that_is_said(start, until, whole, notes):
    found, said = issuer.whole_periods(start, until, HOUR)
    assert found == whole
    assert len(said) == notes
    assert all("periods are whole" in note for note in said)


def test_a_period_that_ends_before_it_begins():
    with pytest.raises(BadInput):
        issuer.whole_periods(HOUR, HOUR, HOUR)


def test_signing_in_turn_keeps_the_payload_and_sorts_the_signers():
    payload = b"\x81\x63abc"
    first, second = InstitutionSigner.generate(), InstitutionSigner.generate()
    data = payload
    for signer in (first, second, first):
        data = signing.add(data, signer, 100)
    received = ReceivedSign.decode(data, 100)
    assert received.kids == tuple(sorted((first.kid, second.kid)))
    assert signing.payload_of(data, 100) == payload
    received.verify({first.kid: first.public, second.kid: second.public})


def test_files_signed_apart_are_joined():
    payload = b"\x81\x63abc"
    signers = [InstitutionSigner.generate() for _ in range(3)]
    apart = [signing.add(payload, signer, 100) for signer in signers]
    joined = signing.merge([payload, *apart, apart[0]], 100)
    assert set(signing.signers_of(joined, 100)) == {signer.kid for signer in signers}
    with refused("X4"):
        signing.merge([apart[0], signing.add(b"\x81\x63abd", signers[1], 100)], 100)


def test_words_count_and_list():
    assert phrases.count(1, "window") == "1 window"
    assert phrases.count(2, "custodian body") == "2 custodian bodies"
    assert phrases.count(3, "day") == "3 days"
    assert phrases.names(["a", "b", "c"]) == "a, b and c"
    assert phrases.names([]) == "nobody"
    assert phrases.span(86_400) == "1 day"
    assert phrases.span(5_400) == "90 minutes"
    assert phrases.when(0) == "1970-01-01 00:00 UTC"
    assert phrases.quarter_name(4 * 2026 + 3) == "2026Q4"


@pytest.mark.parametrize("url", ["chat.example.org", "ftp://x", "http://", "https://x/?q=1"])
def test_an_address_of_another_form(url):
    with pytest.raises(BadInput):
        InstitutionClient(url)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadInput),
        (422, Refused),
        (401, NotAuthorised),
        (403, NotAuthorised),
        (404, NotFound),
        (409, Conflict),
        (429, Unavailable),
        (503, Unavailable),
    ],
)
def test_a_refusal_carries_the_services_code_and_sentence(answering, status, kind):
    answering.say("GET", "/x", Answer(status, b'{"code": "V9", "message": "No."}'))
    with pytest.raises(kind) as refused:
        InstitutionClient(answering.url).get("/x")
    assert (refused.value.code, refused.value.message) == ("V9", "No.")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code": 1}'])
def test_an_error_in_another_form_is_a_sentence_all_the_same(answering, body):
    answering.say("GET", "/x", Answer(502, body))
    with pytest.raises(Unavailable) as refused:
        InstitutionClient(answering.url).get("/x")
    assert "502" in refused.value.message


def test_a_redirect_is_not_followed(answering):
    answering.say("GET", "/x", Answer(302))
    with pytest.raises(BadInput):
        InstitutionClient(answering.url).get("/x")


def test_nobody_answers():
    with pytest.raises(Unavailable):
        InstitutionClient("http://127.0.0.1:9", timeout=2).get("/x")


def test_what_is_for_institutions_needs_a_key(answering):
    with pytest.raises(BadInput):
        InstitutionClient(answering.url).get("/x", signed=True)


def test_a_folder_answers_as_the_service_did(answering, tmp_path):
    answering.say("GET", "/v1/a?b=1", Answer(200, b"first"))
    recording = Recording(InstitutionClient(answering.url), tmp_path)
    assert recording.get("/v1/a?b=1") == b"first"
    answering.say("GET", "/v1/a?b=1", Answer(200, b"second"))
    assert recording.get("/v1/a?b=1") == b"first"
    assert Folder(tmp_path).get("/v1/a?b=1") == b"first"
    with pytest.raises(NotFound):
        Folder(tmp_path).get("/v1/other")


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/a/../b", "//x", "/a\x00b"])
def test_a_path_never_leads_out_of_the_folder(path):
    assert "/" not in file_name(path) and "\x00" not in file_name(path)
    assert file_name(path) not in {".", ".."}
