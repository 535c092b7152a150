"""The log and its charter: what is published, what follows, what witnesses stop, and how the
service starts and ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from tests.support import world
from tests.support.domain import Domain, unopened
from tests.support.person import Person
from tests.support.refusals import refused_by_service
from tests.support.waiting import until
from tests.support.world import DOMAIN

from counterseal.cli.service import service as service_group
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.cose import sign
from counterseal.protocol.errors import BadInput
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.keyset import HolderKey, Keyset, ReceivedKeyset
from counterseal.protocol.verified_charter import ReceivedCharter
from counterseal.service.settings import load
from counterseal.tlog.checkpoint import log_keys, verify_cosigned
from counterseal.tlog.hash_reader import tree_root
from counterseal.tlog.proof import verify_consistency, verify_inclusion
from counterseal.tlog.tile_store import DirectoryStore, TileReader
from counterseal.tlog.tree import leaf_hash

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    with unopened(tmp_path_factory.mktemp("log")) as domain:
        yield domain


def cosigned(domain: Domain, name: str = "log") -> Any:
    """The published checkpoint, verified."""
    note = domain.http.raw("GET", f"/{name}/checkpoint")[1]
    return verify_cosigned(
        note, log_keys(domain.identity[name]), [w.signer.keys for w in domain.witnesses], 3
    )


def test_before_the_charter(served: Domain) -> None:
    assert served.http.array("GET", "/v1/health") == ("ok",)
    assert served.http.array("GET", "/v1/identity")[:2] == (DOMAIN, f"{DOMAIN}/log")
    with refused_by_service(503, "no-charter"):
        served.http.array("GET", "/v1/charter")
    assert served.http.array("GET", "/v1/charters") == ()


def test_charter_of_another_service(served: Domain) -> None:
    """C14: other log keys than this service's; C2: another domain."""
    mine, swapped = dict(served.identity), dict(served.identity)
    swapped["log"], swapped["ledger"] = mine["ledger"], mine["log"]
    record = served.make_charter(domain="other.example")
    with refused_by_service(422):
        served.post_charter(sign(served.holders, record.encode()))


def test_charter_lacks_a_quorum(served: Domain) -> None:
    """C18."""
    statement = sign(served.holders[:2], served.make_charter().encode())
    with refused_by_service(422, "C18"):
        served.post_charter(statement)


def test_a_fresh_domain_takes_its_first_charter_from_its_operator_alone(served: Domain) -> None:
    statement = sign(served.holders, served.make_charter().encode())
    with refused_by_service(401, "operator"):
        served.http.array("POST", "/v1/charters", [statement])
    with refused_by_service(401, "operator"):
        served.http.array("POST", "/v1/charters", [statement], {"Authorization": "Bearer x"})
    assert served.http.array("GET", "/v1/charters") == ()


def test_charter_keyset_and_their_proofs(served: Domain) -> None:
    digest = served.publish_charter().digest
    assert served.http.array("POST", "/v1/charters", [served.charter.statement]) == (digest, 0)
    served.publish_keyset()
    assert served.http.array("GET", f"/v1/charters/{digest.hex()}") == (served.charter.statement,)
    entry = H([tag("entry"), served.charter.statement])
    index, size, path, note = until(
        lambda: served.http.array("GET", f"/v1/log/proof/{entry.hex()}")
    )
    received = verify_cosigned(
        note.encode(),
        log_keys(served.identity["log"]),
        [w.signer.keys for w in served.witnesses],
        3,
    )
    assert received.checkpoint.size == size
    verify_inclusion(leaf_hash(entry), index, size, received.checkpoint.root, path)
    assert served.http.array("GET", f"/v1/statements/{entry.hex()}") == (served.charter.statement,)
    with refused_by_service(404, "entry"):
        served.http.array("GET", f"/v1/statements/{bytes(32).hex()}")


def test_second_first_charter(served: Domain) -> None:
    other = sign(served.holders, served.make_charter(retention=86_400 * 91).encode())
    with refused_by_service(409, "charter-published"):
        served.http.array("POST", "/v1/charters", [other])


def test_log_only_grows_and_its_files_are_the_tree(served: Domain) -> None:
    before = cosigned(served).checkpoint
    for i in range(3):
        Person(served, f"grower{i}")
    after = until(lambda: (now := cosigned(served).checkpoint).size >= before.size + 6 and now)
    [path] = served.http.array("GET", f"/v1/log/consistency?from={before.size}&to={after.size}")
    verify_consistency(before.size, before.root, after.size, after.root, path)
    reader = TileReader(DirectoryStore(served.data / "log"), after.size)
    assert tree_root(after.size, reader) == after.root
    assert served.http.raw("GET", "/log/tile/0/000")[0] == 404
    assert served.http.raw("GET", "/log/../service.key")[0] in (400, 404, 422)
    assert served.http.raw("GET", "/log/tile/0/%2e%2e/%2e%2e/%2e%2e/service.key")[0] in (
        400,
        404,
        422,
    )


def test_keyset_draft_stays_and_a_forged_ledger_key_is_refused(served: Domain) -> None:
    quarter = served.keyset.keyset.quarter + 1
    [first] = served.http.array("GET", f"/v1/keysets/draft/{quarter}")
    assert served.http.array("GET", f"/v1/keysets/draft/{quarter}") == (first,)
    draft = Keyset.decode(first)
    assert draft.ledger_key.predecessor is not None
    assert draft.previous == served.keyset.digest
    assert all(key is None for key in draft.holder_keys)
    for position, holder in enumerate(served.holders):
        key = HolderKey(
            DOMAIN, served.charter.digest, quarter, position, SealingKey.generate().public
        )
        served.http.array("POST", "/v1/keysets/holder-keys", [sign([holder], key.encode())])
    whole = Keyset.decode(served.http.array("GET", f"/v1/keysets/draft/{quarter}")[0])
    forged = msgspec.structs.replace(
        whole, ledger_key=msgspec.structs.replace(whole.ledger_key, commitment=bytes(32))
    )
    statement = sign(served.holders, forged.encode())
    with refused_by_service(409, "ledger-key"):
        served.http.array("POST", "/v1/keysets", [statement])


def test_next_keyset_takes_over_the_ledger(served: Domain) -> None:
    before = served.keyset.digest
    quarter = served.keyset.keyset.quarter
    served.publish_keyset(quarter + 1)
    rows = served.http.array("GET", f"/v1/keysets/{served.charter.digest.hex()}")
    assert [row[0] for row in rows] == [quarter, quarter + 1]
    charter = ReceivedCharter.decode(served.charter.statement).check(None)
    first = ReceivedKeyset.decode(rows[0][1]).check(charter, None)
    second = ReceivedKeyset.decode(rows[1][1]).check(charter, first)
    assert first.digest == before
    assert second.keyset.ledger_key.first_chunk > 0


def test_successor_charter_needs_its_predecessors_quorums(served: Domain) -> None:
    """C19, C18: signed by somebody else's holders it is refused; by its own predecessor's it
    follows.
    """
    successor = served.next_charter(retention=30 * world.DAY)
    strangers = [type(served.requester).generate() for _ in range(6)]
    with refused_by_service(422):
        served.http.array("POST", "/v1/charters", [sign(strangers, successor.encode())])
    wrong = served.next_charter(version=3)
    with refused_by_service(422, "C19"):
        served.http.array("POST", "/v1/charters", [sign(served.holders, wrong.encode())])
    digest, index = served.http.array(
        "POST", "/v1/charters", [sign(served.holders, successor.encode())]
    )
    assert [row[1] for row in served.http.array("GET", "/v1/charters")] == [0, index]
    assert served.http.array("GET", "/v1/charter") == served.http.array(
        "GET", f"/v1/charters/{digest.hex()}"
    )


def test_nothing_is_published_without_the_witnesses(served: Domain) -> None:
    """T8: entries are taken, the checkpoint waits until enough witnesses cosign again."""
    served.witnesses[0].down = True
    # what was cosigned before may still be on its way
    time.sleep(1)
    size = until(lambda: cosigned(served)).checkpoint.size
    person = Person(served, "waiting")
    entry = H([tag("entry"), person.account_statement])
    time.sleep(1)
    assert cosigned(served).checkpoint.size == size
    with refused_by_service(404, "not-yet"):
        served.http.array("GET", f"/v1/log/proof/{entry.hex()}")
    served.witnesses[0].down = False
    assert until(lambda: served.http.array("GET", f"/v1/log/proof/{entry.hex()}"))


def test_blobs_resume_and_are_read_in_parts(served: Domain) -> None:
    person, other = Person(served, "uploader"), Person(served, "reader")
    data = os.urandom(3_000_000)
    digest = hashlib.sha256(data).digest()
    path = f"/v1/blobs/{digest.hex()}"

    def patch(offset: int, part: bytes) -> Any:
        target = f"{path}?offset={offset}"
        return person.http.raw(
            "PATCH", target, part, {"Authorization": person.authorization("PATCH", target, part)}
        )

    def get(headers: dict[str, str]) -> Any:
        return other.http.raw(
            "GET", path, b"", {"Authorization": other.authorization("GET", path, b""), **headers}
        )

    assert person.call("POST", "/v1/blobs", [digest, len(data)]) == (0,)
    assert patch(0, data[:1_000_000])[0] == 200
    assert get({})[0] == 404
    assert patch(0, data[:10])[0] == 409
    served.process.kill()
    served.restart()
    assert person.call("POST", "/v1/blobs", [digest, len(data)]) == (1_000_000,)
    assert patch(1_000_000, data[1_000_000:])[0] == 200
    assert get({})[:2] == (200, data)
    assert get({"Range": "bytes=100-199"})[:2] == (206, data[100:200])
    assert person.call("POST", "/v1/blobs", [digest, len(data)]) == (len(data),)
    false = hashlib.sha256(b"another").digest()
    person.call("POST", "/v1/blobs", [false, 4])
    target = f"/v1/blobs/{false.hex()}?offset=0"
    status, body, _ = person.http.raw(
        "PATCH", target, b"data", {"Authorization": person.authorization("PATCH", target, b"data")}
    )
    assert (status, json.loads(body)["code"]) == (400, "blob-digest")
    with refused_by_service(413, "blob-size"):
        person.call("POST", "/v1/blobs", [false, 200 << 20])


def test_graceful_end_and_one_service_a_directory(served: Domain) -> None:
    with pytest.raises(RuntimeError, match="Another process serves"):
        served.serve(0)
    (served.data / "address").write_text(served.url)
    assert served.process.stop() == 0
    served.restart()
    assert served.http.array("GET", "/v1/health") == ("ok",)


def test_service_init_once(tmp_path: Path) -> None:
    arguments = ["init", "--data", str(tmp_path / "data"), "--domain", DOMAIN]
    runner = CliRunner()
    assert "log: chat.example.org/log+" in runner.invoke(service_group, arguments).output
    assert runner.invoke(service_group, arguments).exception is not None
    modes = {
        name: (tmp_path / "data" / name).stat().st_mode & 0o777
        for name in ("service.key", "operator.token")
    }
    assert modes == {"service.key": 0o600, "operator.token": 0o600}


def test_wrong_setting_names_the_nearest(tmp_path: Path) -> None:
    place = tmp_path / "settings.toml"
    place.write_text("[network]\nprot = 1\n")
    with pytest.raises(BadInput, match='no setting "prot"; the nearest is "port"'):
        load(place)
    place.write_text('[network]\nport = "x"\n')
    with pytest.raises(BadInput):
        load(place)
    place.write_text("[log]\nbatch_ms = 50\n")
    assert load(place).log.batch_ms == 50


def test_rates(tmp_path: Path) -> None:
    from counterseal.protocol.errors import TooMany
    from counterseal.service.limits import Rates

    rates = Rates(1.0, 3.0)
    for _ in range(3):
        rates.take(b"device")
    with pytest.raises(TooMany):
        rates.take(b"device")
    rates.take(b"another")
