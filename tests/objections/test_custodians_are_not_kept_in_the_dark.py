"""Objection: "the custodians see only what the service shows them". A holder that is shown less
than the whole ledger, or another one, does nothing at all: it fails closed."""

import time

import pytest
from tests.support.full_domain import Tampered, running
from tests.support.refusals import refused
from tests.support.waiting import until

from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.holders.holder import Holder
from counterseal.protocol import cbor
from counterseal.protocol.errors import NotFound
from counterseal.tlog.ledger_reader import ReaderState

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(tmp_path_factory.mktemp("dark"))


@pytest.fixture
def home(rig):
    return rig.custodians[0]


def desk(rig, home, change, clock=lambda: int(time.time())):
    return Holder(home, Tampered(rig.service_for(home), change), clock)


def grown(rig, home):
    """The number of the first chunk that this home has not read, once a published checkpoint covers
    it.
    """
    reader = rig.desk(home)
    size = until(lambda: reader.sync().size)  # the ledger begins at its first tick
    number = ReaderState.decode((home.path / "ledger" / "reader").read_bytes()).chunk
    until(lambda: int(InstitutionClient(rig.url).get("/ledger/checkpoint").split(b"\n")[1]) > size)
    return number


def test_a_missing_chunk(rig, home):
    path = f"/ledger/chunk/{grown(rig, home)}"
    dark = desk(rig, home, lambda asked, data: None if asked == path else data)
    with pytest.raises(NotFound):
        dark.sync()


def test_an_altered_chunk(rig, home):
    path = f"/ledger/chunk/{grown(rig, home)}"
    dark = desk(
        rig, home, lambda asked, data: data[:-1] + bytes([data[-1] ^ 1]) if asked == path else data
    )
    with refused("G1"):
        dark.sync()


def test_an_older_chunk_in_its_place(rig, home):
    number = grown(rig, home)
    older = InstitutionClient(rig.url).get(f"/ledger/chunk/{number - 1}")
    dark = desk(
        rig, home, lambda asked, data: older if asked == f"/ledger/chunk/{number}" else data
    )
    with refused("G1"):
        dark.sync()


def test_a_smaller_checkpoint_than_one_seen(rig, home):
    old = InstitutionClient(rig.url).get("/ledger/checkpoint")
    size = rig.desk(home).sync().size
    until(lambda: rig.desk(home).sync().size > size + 4)
    dark = desk(rig, home, lambda asked, data: old if asked == "/ledger/checkpoint" else data)
    with refused("G3"):
        dark.sync()


def test_a_stale_checkpoint(rig, home):
    """An hour is the charter's rule online: the service has stopped, or shows this holder a ledger
    that has.
    """
    dark = desk(rig, home, lambda _, data: data, clock=lambda: int(time.time()) + 3_700)
    with refused("G4"):
        dark.sync()


def test_a_checkpoint_with_too_few_cosignatures(rig, home):
    def strip(asked, data):
        if asked != "/ledger/checkpoint":
            return data
        lines = data.decode().split("\n")
        return "\n".join(line for line in lines if "gazette" not in line).encode()

    with refused("G5", "T8"):
        desk(rig, home, strip).sync()


def test_another_ledgers_checkpoint(rig, home):
    log = InstitutionClient(rig.url).get("/log/checkpoint")
    dark = desk(rig, home, lambda asked, data: log if asked == "/ledger/checkpoint" else data)
    with refused("T6"):
        dark.sync()


def test_after_all_that_the_honest_ledger_is_taken(rig, home):
    """None of the attempts left the holder stuck or changed what it knows."""
    assert rig.desk(home).sync().size > 0


def test_a_listing_with_another_window_than_the_ledgers(rig, home):
    alice, _, conversation = rig.talk(rig.keyset_digest, ["one"])
    rig.write(alice, conversation, ["two"], serial=2)
    digest = rig.warrant(alice.account)
    rig.listed(home, digest)
    honest = rig.desk(home)
    case = honest.case(honest.sync(), digest)
    pages = {
        number: f"/v1/warrants/{digest.hex()}/listings/{number}/holder/{case.position}"
        for number in range(len(case.warrant.access.listings))
    }

    def cut(asked, data):
        if asked != pages[0]:
            return data
        listing, rows = cbor.decode(data, 1 << 26)
        return cbor.encode([listing, rows[:-1]])

    dark = desk(rig, home, cut)
    fresh = dark.sync()
    with refused("R7"):
        dark.verify(fresh, dark.case(fresh, digest), case.warrant.access.listings[0][0])
