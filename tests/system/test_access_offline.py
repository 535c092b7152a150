"""A custodian's member on a machine without a network: files in, a file out, and every check in
between.
"""

import shutil
import time

import pytest
from tests.support.full_domain import running
from tests.support.waiting import until

from counterseal.access.common.bundle import fetch_bundle, seen_so_far
from counterseal.access.common.sources import Folder
from counterseal.access.holders import custodian, offline
from counterseal.access.holders.holder import Holder
from counterseal.protocol.errors import CountersealError, NotFound

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(tmp_path_factory.mktemp("offline"))


@pytest.fixture(scope="module")
def dan(rig):
    return next(home for home in rig.custodians if home.card.name == "dan")


@pytest.fixture(scope="module")
def digest(rig):
    alice, _, _ = rig.talk(rig.keyset_digest, ["hello"])
    digest = rig.warrant(alice.account)
    rig.listed(rig.custodians[0], digest)
    return digest


@pytest.fixture(scope="module")
def bundle(rig, dan, digest, tmp_path_factory):
    """What the requester's office gathered for Dan's machine, which had said how far it has
    read.
    """
    folder = tmp_path_factory.mktemp("bundle")
    position = rig.charter.positions[dan.signer.kid]
    assert (
        fetch_bundle(
            rig.prosecutor, rig.service_for(rig.prosecutor), folder, [position], seen_so_far(dan)
        )
        == 1
    )
    return folder


def test_review_and_release_from_a_folder(rig, dan, digest, bundle):
    [reviewed] = custodian.review(Holder(dan, Folder(bundle), offline=True))
    assert reviewed.case.warrant.digest == digest
    assert not reviewed.refused
    words = "\n".join(reviewed.lines)
    for said in (
        "Requested by prosecutor of prosecution",
        "approved by judge of judiciary",
        "homicide",
        "1 window",
        "24 units",
    ):
        assert said in words
    outbox = offline.release_offline(Holder(dan, Folder(bundle), offline=True), digest)
    assert offline.submit(rig.service_for(rig.prosecutor), outbox) == 2  # anybody may carry it
    position = rig.charter.positions[dan.signer.kid]
    until(lambda: position in rig.shares(digest))
    assert rig.opener.reader.open(
        rig.shares(digest)[position].info, rig.shares(digest)[position].sealed
    )


def carry(rig, home, folder):
    """A fresh bundle for a home, in an empty folder."""
    position = rig.charter.positions[home.signer.kid]
    fetch_bundle(
        rig.prosecutor, rig.service_for(rig.prosecutor), folder, [position], seen_so_far(home)
    )
    return Holder(home, Folder(folder), offline=True)


def test_a_second_bundle_holds_only_what_is_new(rig, dan, digest, tmp_path):
    size = carry(rig, dan, tmp_path / "one").sync().size
    until(lambda: rig.desk(rig.custodians[0]).sync().size > size)
    assert carry(rig, dan, tmp_path / "two").sync().size > size
    first, second = (
        {place.name for place in (tmp_path / name).glob("ledger_chunk_*")}
        for name in ("one", "two")
    )
    assert second and first.isdisjoint(second)


def test_an_old_bundle_is_refused_after_a_newer_one(rig, dan, digest, tmp_path):
    old = carry(rig, dan, tmp_path / "one")
    size = rig.desk(rig.custodians[0]).sync().size
    until(lambda: rig.desk(rig.custodians[0]).sync().size > size)
    carry(rig, dan, tmp_path / "two").sync()
    with pytest.raises(CountersealError) as refused:
        old.sync()
    assert refused.value.code == "G3"


def test_a_bundle_older_than_the_charter_allows_offline(rig, dan, digest, tmp_path):
    limit = rig.charter.charter.ledger.fresh_offline
    carry(rig, dan, tmp_path)
    late = Holder(dan, Folder(tmp_path), lambda: int(time.time()) + limit + 60, offline=True)
    with pytest.raises(CountersealError) as refused:
        late.sync()
    assert refused.value.code == "G4"


@pytest.mark.parametrize("pattern", ["ledger_chunk_*", "ledger_checkpoint", "v1_charters"])
def test_a_bundle_with_a_file_missing_says_what_to_do(rig, pattern, tmp_path):
    """On a machine that has read nothing yet, every file counts."""
    cec = next(home for home in rig.custodians if home.card.name == "cec")
    carry(rig, cec, tmp_path / "b")
    for place in (tmp_path / "b").glob(pattern):
        place.unlink()
    with pytest.raises(NotFound) as missing:
        Holder(cec, Folder(tmp_path / "b"), offline=True).sync()
    assert "custodian fetch" in missing.value.message
    shutil.rmtree(tmp_path / "b")
