"""Objection: "the target will never be told". A notice that is due is published by its witness
without anybody's leave; a log that refuses it gets no more cosignatures, and so stops."""

import http.server
import threading

import pytest
from tests.support.full_domain import running
from tests.support.waiting import until

from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.new_home import cosigner_of
from counterseal.access.common.sources import ask
from counterseal.protocol.errors import CountersealError, Refused
from counterseal.protocol.notice import SealedNotice, open_notice, verify_notice
from counterseal.tlog.add_checkpoint import AddCheckpoint, origin_digest
from counterseal.tlog.note import parse_note
from counterseal.tlog.witness_client import WitnessClient
from counterseal.wire.notices import NOTICES
from counterseal.wire.witness import WITNESS_NOTICES

pytestmark = pytest.mark.system


class Proxy:
    """Stands between a witness and the service and, when told to, refuses the notices that it
    posts.
    """

    def __init__(self, url):
        self.refusing = False
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._pass("GET", b"")

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if proxy.refusing and self.path == "/v1/notices":
                    self._send(403, b'{"code": "no", "message": "not this one"}')
                else:
                    self._pass("POST", body)

            def _pass(self, method, body):
                headers = {
                    name: self.headers[name]
                    for name in ("Authorization", "Content-Type")
                    if self.headers[name]
                }
                self._send(*InstitutionClient(url)._send(method, self.path, body, headers))

            def _send(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(
        tmp_path_factory.mktemp("silenced"), notices={"delay": 3, "cadence": 1, "per_cadence": 2}
    )


@pytest.fixture(scope="module")
def proxy(rig):
    made = Proxy(rig.url)
    ivy = rig.witnesses[2]
    rig.kill_witness("ivy")
    rig.run_witness(ivy, made.url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def released(rig, proxy):
    alice, bob, _ = rig.talk(rig.keyset_digest, ["hello"])
    digest = rig.warrant(alice.account)
    rig.listed(rig.custodians[0], digest)
    for home in rig.custodians:
        if home.card.body in ("bar", "ombudsman"):
            rig.release(home, digest)
    until(lambda: rig.status(digest).witnesses[0] == 3)
    return digest, alice, bob


def told(rig, address, person):
    """The notices at `address` that this person's key opens, verified."""
    found = []
    endpoint, after = (NOTICES, 0) if address == rig.url else (WITNESS_NOTICES, -1)
    for row in ask(InstitutionClient(address), endpoint, after=after).rows:
        try:
            sealed = SealedNotice.decode(row.sealed)
            statement = open_notice(person.notice, sealed, "chat.example.org")
        except Refused:
            continue
        found.append(verify_notice(statement, rig.charter).notice)
    return found


def test_the_target_is_told_when_it_is_due_and_not_before(rig, released):
    digest, alice, bob = released
    assert told(rig, rig.url, alice) == []
    notices = until(lambda: len(found := told(rig, rig.url, alice)) == 3 and found)
    assert {notice.warrant_digest for notice in notices} == {digest}
    assert {notice.position for notice in notices} == set(rig.charter.tree.witness_positions())
    assert told(rig, rig.url, bob) == []


def test_apps_find_it_at_the_witnesses_as_well(rig, released):
    for home in rig.witnesses:
        assert len(told(rig, home.card.url, released[1])) == 1


def test_nobody_else_can_tell_a_notice_from_a_dummy(rig, released):
    rows = ask(InstitutionClient(rig.url), NOTICES, after=0).rows
    assert len({len(row.sealed) for row in rows}) == 1
    assert len(rows) > 3


def test_a_log_that_refuses_a_due_notice_gets_no_more_cosignatures(rig, proxy, released):
    _, alice, _ = released
    until(lambda: len(told(rig, rig.url, alice)) == 3)  # the first warrant's are out
    proxy.refusing = True
    digest = rig.warrant(alice.account, reference="again")
    rig.listed(rig.custodians[0], digest)
    for home in rig.custodians:
        if home.card.body in ("bar", "ombudsman"):
            rig.release(home, digest)
    ivy = rig.witnesses[2]
    until(lambda: holding(ivy), 30)
    assert cosigning(rig, ivy) == "T18"  # 403: this witness holds back
    size = int(InstitutionClient(rig.url).get("/ledger/checkpoint").split(b"\n")[1])

    proxy.refusing = False  # the log gives in: the notice is taken, and the witness goes on
    until(lambda: len(told(rig, rig.url, alice)) == 6, 30)
    until(
        lambda: int(InstitutionClient(rig.url).get("/ledger/checkpoint").split(b"\n")[1]) > size, 30
    )


def holding(home):
    """What a witness that holds back says of itself."""
    status, said = InstitutionClient(home.card.url)._send("GET", "/health", b"", {})
    return said.decode() if status == 503 and b"cosigns nothing more" in said else None


def cosigning(rig, home):
    """The rule by which a witness refuses what it cosigned last, asked again."""
    origin = rig.charter.charter.ledger.origin
    client = WitnessClient(home.card.url, cosigner_of(home.keys, home.card.name).keys)
    note = parse_note(InstitutionClient(home.card.url).get(f"/{origin_digest(origin)}/checkpoint"))
    size = int(note.text.split("\n")[1])
    with pytest.raises(CountersealError) as refused:
        client.add_checkpoint(AddCheckpoint(size, (), note))
    return refused.value.code
