"""A charter is replaced by its one successor, signed by both quorums of the one before; holders,
ledger and keysets follow.
"""

import json
import subprocess

import msgspec
import pytest
from tests.support.full_domain import running
from tests.support.person import Person
from tests.support.processes import program
from tests.support.waiting import until

from counterseal.access.authorities import ceremony, charter_draft, issuer
from counterseal.access.common import keysets
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.new_home import create_home
from counterseal.protocol.cose import sign
from counterseal.protocol.errors import BadInput
from counterseal.protocol.quarters import quarter_of

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(tmp_path_factory.mktemp("succession"), activation_delay=1)


@pytest.fixture(scope="module")
def second(rig):
    """The successor: Cec has left the court and Fay has come, whose key nobody knew before."""
    fay = create_home(rig.folder / "fay", "custodian", "fay", "court")
    (rig.folder / "cec" / "card").rename(rig.folder / "cec" / "card.old")
    draft = charter_draft.draft(
        msgspec.structs.replace(rig.rules_file(), retention="90 d"),
        charter_draft.gather([rig.folder]),
        charter_draft.identity(InstitutionClient(rig.url)),
        previous=ceremony.published(InstitutionClient(rig.url)),
    )
    (rig.folder / "cec" / "card.old").rename(rig.folder / "cec" / "card")
    with pytest.raises(BadInput):
        fay.keep_charter(rig.charter.digest, rig.charter_bytes)
        ceremony.sign_charter(fay, draft.encode())
    data = draft.encode()
    for home in (*rig.custodians, *rig.witnesses):
        rig.rules(home)  # has read the charter before
        data = ceremony.sign_charter(home, data)
    ceremony.publish_charter(
        InstitutionClient(rig.url), data, ceremony.published(InstitutionClient(rig.url))
    )
    # a change in the directory, whose root says what the time is
    rig.use(rig.keyset_digest)
    Person(rig, "carol")
    fay.pin(rig.charter_first)
    fay.remember_service(rig.url, "chat.example.org")
    return fay


def test_everybody_follows_to_the_one_successor(rig, second):
    for home in (*rig.custodians, rig.judge, second):
        rules = until(
            lambda home=home: (rules := rig.rules(home)).in_force().charter.version == 2 and rules
        )
        assert rules.latest.charter.retention == 90 * 86_400
        assert rules.latest.positions.get(second.signer.kid) is not None


def test_there_is_no_second_successor(rig, second):
    before = rig.rules(rig.custodians[0]).trusted.charters[0].charter
    other = msgspec.structs.replace(
        before.charter, version=2, previous=before.digest, retention=30 * 86_400
    )
    data = sign([home.signer for home in (*rig.custodians, *rig.witnesses)], other.encode())
    done = subprocess.run(
        program("charter", "publish", _file(rig.folder / "other", data), "--service", rig.url),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3 and "C19" in done.stderr


def _file(place, data):
    place.write_bytes(data)
    return place


def test_a_new_keyset_and_a_warrant_under_it(rig, second):
    """The new member delivers a key, signs, reads the ledger from its beginning, and releases; the
    one who left cannot.
    """
    quarter = quarter_of(rig.now())
    until(lambda: rig.rules(rig.prosecutor).in_force().charter.version == 2)
    staying = [home for home in rig.custodians if home.card.name != "cec"] + [second]
    for home in staying:
        keysets.deliver(home, rig.rules(home).latest, quarter, rig.service_for(home))
    rules = rig.rules(second)
    data = ceremony.assemble_keyset(rig.service_for(second), rules, quarter)
    for home in staying:
        data = ceremony.sign_keyset(home, rig.rules(home), data, quarter)
    digest, _ = ceremony.publish_keyset(InstitutionClient(rig.url), rules, data)
    alice, _, _ = rig.talk(digest, ["under the second charter"])
    warrant = rig.warrant(alice.account)
    rig.listed(second, warrant)
    for home in (second, *(one for one in staying if one.card.name in ("ann", "eve"))):
        assert rig.release(home, warrant).released == 1
    until(lambda: rig.status(warrant).state == "released", 60)
    told = subprocess.run(
        program("warrant", "status", "--home", rig.judge.path, "--json"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout)[0]["bodies"] == [2, 2]
    view = issuer.IssuerLedger(rig.judge, rig.service_for(rig.judge))
    assert view.sync().state.access(warrant).warrant.charter_digest == rules.latest.digest
