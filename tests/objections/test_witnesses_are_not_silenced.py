"""Objection: "the target will never be told". A notice that is due is published by its witness
without anybody's leave; a log that refuses it gets no more cosignatures, and so stops."""

import time

import pytest
from tests.support.full_domain import running
from tests.support.http import Answer, Server
from tests.support.waiting import until

from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.new_home import cosigner_of
from counterseal.access.common.sources import ask
from counterseal.protocol.errors import CountersealError, Refused
from counterseal.protocol.notice import SealedNotice
from counterseal.protocol.received_notice import open_notice, verify_notice
from counterseal.tlog.add_checkpoint import AddCheckpoint, origin_digest
from counterseal.tlog.note import parse_note
from counterseal.tlog.witness_client import WitnessClient
from counterseal.wire.notices import NOTICES
from counterseal.wire.witness import WITNESS_NOTICES

pytestmark = pytest.mark.system

DELAY = 3
"""Seconds between the witnesses' release and the notice."""


class Proxy(Server):
    """Between a witness and the service; when told to, it refuses the notices that the witness
    posts.
    """

    def __init__(self, url):
        self.refusing = False
        self._service = InstitutionClient(url)
        super().__init__(self._pass)

    def _pass(self, request):
        if self.refusing and (request.method, request.path) == ("POST", "/v1/notices"):
            return Answer(403, b'{"code": "no", "message": "not this one"}')
        headers = {
            name: request.headers[name]
            for name in ("Authorization", "Content-Type")
            if request.headers[name]
        }
        return Answer(*self._service._send(request.method, request.path, request.body, headers))


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(
        tmp_path_factory.mktemp("silenced"),
        notices={"delay": DELAY, "cadence": 1, "per_cadence": 2},
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

    def all_told():
        found = told(rig, rig.url, alice)
        now = int(time.time())
        assert all(notice.issued + DELAY <= notice.due <= now for notice in found)
        return len(found) == 3 and found

    notices = until(all_told)
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
