"""The opener against a service that answers from memory: everything is fetched, opened, written,
reported; lies are met with a name.
"""

import json
import os
import subprocess
import sys

import msgspec
import pytest
from tests.support import bag as e
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.access.common.card import Card
from counterseal.access.common.home import HomeKeys, InstitutionHome
from counterseal.access.openers.opener import (
    FalseShares,
    SharesMissing,
    WarrantOpener,
    warrant_digest,
)
from counterseal.evidence.verify import verify_bag
from counterseal.protocol import cbor, cose, report
from counterseal.protocol.errors import Conflict, NotAuthorised, NotFound
from counterseal.protocol.keys import seal_to
from counterseal.protocol.release import SealedShares
from counterseal.tlog.checkpoint import parse_checkpoint
from counterseal.tlog.note import parse_note
from counterseal.tlog.tile_store import parse_path, tile_data
from counterseal.wire.ledger import LEDGER_POST, StatementQueued

NOW = e.APPROVED + e.HOUR + 60


class Memory:
    """What `InstitutionClient` is to the opener, and nothing more. `posted` is what came in."""

    def __init__(self, scene):
        self.scene, self.built = scene, scene.build()
        self.posted = []
        self.shares = scene.shares()

    def get(self, path, *, signed=False):
        answer = self.answer(path)
        if answer is None:
            raise NotFound(f"nothing at {path}")
        return answer if isinstance(answer, bytes) else cbor.encode(answer)

    def post(self, endpoint, request):
        assert endpoint is LEDGER_POST
        self.posted.append(request.statement)
        return StatementQueued(bytes(32))

    def answer(self, path):
        parts = path.split("?")[0].strip("/").split("/")
        match parts:
            case ["v1", "charters"]:
                return [[e.JUDGE.statement, self.built.charter]]
            case ["v1", "keysets", _]:
                return [[w.QUARTER, e.KEYSET.statement, self.built.keyset]]
            case ["v1", "revocations"]:
                return []
            case ["v1", "log", "proof", entry]:
                return self.proof(bytes.fromhex(entry))
            case ["v1", "warrants", _, "shares"]:
                return [
                    [
                        self.sealed(position, statement)
                        for (_, position), statement in self.shares.items()
                    ]
                ]
            case ["v1", "warrants", _, "listings", "0", "material"]:
                return self.material(path)
            case ["v1", "accounts", account, "chain"]:
                return self.chain(bytes.fromhex(account))
            case ["ledger", "chunk", number]:
                return self.built.chunks[int(number)]
            case [("log" | "ledger") as name, *rest]:
                return self.log_file(
                    self.built.log if name == "log" else self.built.ledger, "/".join(rest)
                )
        raise AssertionError(f"the opener asks for {path}, which nobody expected")

    def proof(self, entry):
        log = self.built.log
        leaf = e.leaf_hash(entry)
        index = next(i for i in range(log.tree.size) if log.tree.node(0, i) == leaf)
        return [index, log.tree.size, list(log.path(index)), log.note().decode()]

    def sealed(self, position, statement):
        listing = self.scene.listing().digest()
        empty = SealedShares(self.scene.warrant.digest(), listing, position, b"")
        sealed = seal_to(self.scene.warrant.opener_key, empty.info, statement)
        return msgspec.structs.replace(empty, sealed=sealed).encode()

    def material(self, path):
        query = dict(part.split("=") for part in path.split("?")[1].split("&"))
        rows = []
        files = sorted(self.built.windows(), key=lambda file: cbor.H(cbor.decode(file.label, 4096)))
        for file in files[int(query["after"]) :][: int(query["limit"])]:
            tree = next(tree for tree, index in self.built.trees.values() if index == file.period)
            *head, proof, index, frames = file.plain()[1:]
            rows.append([*head, proof, frames, tree.record.encode(), index])
        return rows

    def chain(self, account):
        person = next(one for one in (self.scene.alice, self.scene.bob) if one.id == account)
        first, link = person.statements
        signed, possession = cbor.decode(link, 4096)
        indices = self.built.links[account]
        return [
            "handle",
            person.name,
            [["account", first, None, indices[0]], ["device", signed, possession, indices[1]]],
        ]

    def log_file(self, log, path):
        if path == "checkpoint":
            return log.note()
        tile = parse_path(path)
        start = tile.index * 256
        return tile_data([log.tree.node(8 * tile.level, start + i) for i in range(tile.width)])


@pytest.fixture
def home(tmp_path):
    secret = HomeKeys(w.seed("sign Opener", 64), w.seed("seal Opener"), None)
    card = Card(
        "opener",
        "Opener",
        "Opener",
        w.signer("Opener").public,
        w.sealing("Opener").public,
        None,
        None,
    )
    made = InstitutionHome(tmp_path / "home", card, secret, None)
    made.pin(e.JUDGE.digest)
    return made


def opener(home, scene, tell=lambda _: None):
    return WarrantOpener(home, Memory(scene), lambda: NOW, tell)


def test_opens_and_reports(home, tmp_path):
    scene, told = e.Scene(), []
    made = opener(home, scene, told.append)
    written = made.open(scene.warrant.digest(), tmp_path / "bag")
    assert (written.tally.windows, written.tally.messages) == (2, 5)
    assert verify_bag(tmp_path / "bag", e.key_texts()).faults == ()
    [posted] = made.service.posted
    record = report.OpeningReport.decode(cose.ReceivedSign.decode(posted, 1 << 20).payload)
    assert (record.windows, record.frames, record.faults) == (2, 5, ())
    assert any("shares of 2 windows" in sentence for sentence in told)
    names = json.loads((tmp_path / "bag/data/names.json").read_text())
    assert names[scene.alice.id.hex()] == "Alice"


def test_only_what_is_about_the_warrant_is_shown(home, tmp_path):
    """Other leaves of the ledger stay shut: the bag holds this warrant's statements and their
    ticks, and no dummy.
    """
    scene = e.Scene()
    opener(home, scene).open(scene.warrant.digest(), tmp_path / "bag")
    rows = cbor.decode((tmp_path / "bag/data/ledger/events.cbor").read_bytes(), 1 << 24)[1]
    statements = {row[2] for row in rows}
    assert {signed for _, signed in scene.ledger_statements()} <= statements
    assert len(rows) == len(scene.ledger_statements()) + 6


def test_a_second_run_goes_on_from_the_first(home, tmp_path):
    scene = e.Scene()
    opener(home, scene).open(scene.warrant.digest(), tmp_path / "one")
    again = opener(home, scene)
    again.service.built.chunks = [b""] * 6  # read already, and kept
    again.open(scene.warrant.digest(), tmp_path / "two")
    assert verify_bag(tmp_path / "two", e.key_texts()).faults == ()


def test_a_place_that_is_taken(home, tmp_path):
    scene = e.Scene()
    opener(home, scene).open(scene.warrant.digest(), tmp_path / "bag")
    with pytest.raises(Conflict):
        opener(home, scene).open(scene.warrant.digest(), tmp_path / "bag")


def test_the_report_is_posted_again_after_a_cut(home, tmp_path):
    scene = e.Scene()
    written = opener(home, scene).open(scene.warrant.digest(), tmp_path / "bag")
    again = opener(home, scene)
    assert again.post_again(scene.warrant.digest(), tmp_path / "bag")
    assert again.service.posted == [written.report]
    assert not again.post_again(scene.warrant.digest(), tmp_path)
    assert not again.post_again(bytes(32), tmp_path / "bag")


def test_says_which_shares_are_missing(home, tmp_path):
    scene = e.Scene()
    made = opener(home, scene)
    made.service.shares = {
        key: value for key, value in made.service.shares.items() if key[1] in (0, 6)
    }
    with pytest.raises(SharesMissing) as missing:
        made.open(scene.warrant.digest(), tmp_path / "bag")
    assert "0 of the 2 custodian bodies needed and of 1 of the 2 witnesses" in missing.value.message
    assert "Released and not handed over yet: Bolt" in missing.value.message
    assert not (tmp_path / "bag").exists()


def test_waits_for_them(home, tmp_path, monkeypatch):
    scene = e.Scene()
    made = opener(home, scene)
    all_shares, made.service.shares = made.service.shares, {}
    monkeypatch.setattr("time.sleep", lambda _: setattr(made.service, "shares", all_shares))
    assert made.open(scene.warrant.digest(), tmp_path / "bag", wait=True).tally.messages == 5


@pytest.mark.parametrize("liar", ["Amaro", "Dede", "University"])
def test_a_false_share_in_exactly_a_quorum_names_its_holder(home, tmp_path, liar):
    scene = e.Scene()
    scene.holders = ["Amaro", "Chen", "Dede", "University", "Gazette"]
    scene.false[liar] = {scene.listed[0].id}
    with pytest.raises(FalseShares) as false:
        opener(home, scene).open(scene.warrant.digest(), tmp_path / "bag")
    assert liar in false.value.message
    assert all(name not in false.value.message for name in scene.holders if name != liar)
    assert (false.value.code, false.value.exit_status) == ("S3", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_false_share_among_enough(home, tmp_path):
    scene, told = e.Scene(), []
    scene.false["Bolt"] = {one.id for one in scene.listed}
    written = opener(home, scene, told.append).open(scene.warrant.digest(), tmp_path / "bag")
    assert written.tally.messages == 5
    assert any("Bolt" in sentence and "false share of 2 windows" in sentence for sentence in told)
    assert any(
        "found a false share" in line
        for line in (tmp_path / "bag/data/custody.jsonl").read_text().splitlines()
    )


def test_shares_that_no_holder_signed_count_as_missing(home, tmp_path):
    scene = e.Scene()
    scene.holders = ["Amaro", "Chen", "Dede", "University", "Gazette"]
    made = opener(home, scene)
    payload = cose.ReceivedSign.decode(made.service.shares[0, 0], 1 << 20).payload
    made.service.shares[0, 0] = cose.sign([w.signer("Bolt")], payload)
    with pytest.raises(SharesMissing) as missing:
        made.open(scene.warrant.digest(), tmp_path / "bag")
    assert "Refused: position 0" in missing.value.message


def test_a_service_that_shows_another_counterseal(home, tmp_path):
    scene = e.Scene()
    scene.listed[0].counterseal = scene.listed[0].seal(w.seed("prk of nobody"))
    with refused("F5"):
        opener(home, scene).open(scene.warrant.digest(), tmp_path / "bag")


def test_a_service_that_keeps_a_window_back(home, tmp_path):
    scene = e.Scene()
    made = opener(home, scene)
    rows = made.service.material
    made.service.material = lambda path: rows(path)[:0] if "after=1" in path else rows(path)[:1]
    with pytest.raises(NotFound, match="1 of the 2 windows"):
        made.open(scene.warrant.digest(), tmp_path / "bag")


def test_a_service_with_another_ledger(home, tmp_path):
    """Tiles that do not lead to the cosigned root."""
    scene = e.Scene()
    made = opener(home, scene)
    log_file = made.service.log_file
    made.service.log_file = lambda log, path: (
        log_file(log, path) if path == "checkpoint" else bytes(len(log_file(log, path)))
    )
    with pytest.raises(Exception, match=r"does not lead to the root|not those of|does not stand"):
        made.open(scene.warrant.digest(), tmp_path / "bag")
    assert not (tmp_path / "bag").exists()


def test_somebody_elses_warrant(home, tmp_path):
    scene = e.Scene()
    made = opener(home, scene)
    made.home.reader = w.sealing("Amaro")
    made.rules.home.reader = w.sealing("reader Amaro")
    with pytest.raises(NotAuthorised) as refused:
        made.open(scene.warrant.digest(), tmp_path / "bag")
    assert refused.value.code == "O1"


def test_a_lapsed_urgent_warrant_is_not_exported_and_its_destruction_logged(home, tmp_path):
    """O4."""
    scene = e.Scene()
    scene.warrant = msgspec.structs.replace(scene.warrant, urgency="urgent", ground="threat")
    scene.skip_events = {"approval"}
    made = opener(home, scene)
    with refused("O4"):
        made.open(scene.warrant.digest(), tmp_path / "bag")
    assert not (tmp_path / "bag").exists()
    made.log_destruction(scene.warrant.digest())
    [posted] = made.service.posted
    record = report.Destruction.decode(cose.ReceivedSign.decode(posted, 4096).payload)
    assert record.warrant_digest == scene.warrant.digest()


def test_a_home_without_a_charter(home, tmp_path):
    (home.path / "pin").unlink()
    with pytest.raises(NotFound, match="trusts no charter yet"):
        opener(home, e.Scene()).sync()


def test_a_warrant_is_named_by_digest_or_file(tmp_path):
    scene = e.Scene()
    digest = scene.warrant.digest()
    (tmp_path / "bare").write_bytes(scene.warrant.encode())
    (tmp_path / "signed").write_bytes(w.statement(scene.warrant, "Prosecutor"))
    assert {
        warrant_digest(given)
        for given in (digest.hex(), str(tmp_path / "bare"), str(tmp_path / "signed"))
    } == {digest}
    with pytest.raises(NotFound):
        warrant_digest(str(tmp_path / "none"))


# the command that anybody runs


def program(*arguments):
    command = [sys.executable, "-c", "from counterseal.cli.main import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, check=False
    )


def test_evidence_verify_by_command(tmp_path):
    e.Scene().package(tmp_path / "bag")
    (tmp_path / "keys").write_text("\n".join(e.key_texts()))
    keys = [part for key in e.key_texts() for part in ("--key", key)]
    stands = program("evidence", "verify", str(tmp_path / "bag"), *keys)
    assert (stands.returncode, stands.stderr) == (0, "")
    assert "5 messages in 5 frames of 2 windows" in stands.stdout
    assert (
        program("evidence", "verify", str(tmp_path / "bag"), "--key", *e.key_texts()).returncode
        == 0
    )
    assert (
        program(
            "evidence", "verify", str(tmp_path / "bag"), "--key", str(tmp_path / "keys")
        ).returncode
        == 0
    )
    without = program("evidence", "verify", str(tmp_path / "bag"))
    assert without.returncode == 2 and without.stderr.startswith("B1: ")
    (tmp_path / "bag/data/README.txt").unlink()
    wrong = program("evidence", "verify", str(tmp_path / "bag"), *keys)
    assert wrong.returncode == 1
    assert wrong.stdout.startswith("1. B2 data/README.txt: ") and "is missing" in wrong.stdout
    as_json = program("evidence", "verify", str(tmp_path / "bag"), *keys, "--json")
    assert as_json.returncode == 1 and json.loads(as_json.stdout)["faults"][0]["rule"] == "B2"


def test_opener_keygen_by_command(tmp_path):
    made = program(
        "opener", "keygen", "--home", str(tmp_path / "home"), "--name", "Forensic Office"
    )
    assert made.returncode == 0 and str(tmp_path / "home" / "card") in made.stdout
    assert (tmp_path / "home" / "keys").stat().st_mode & 0o77 == 0
    assert (
        program("opener", "keygen", "--home", str(tmp_path / "home"), "--name", "Again").returncode
        != 0
    )


def test_the_checkpoint_that_is_kept_is_the_ledgers(tmp_path):
    built = e.Scene().build()
    assert parse_checkpoint(parse_note(built.ledger.note()).text).size == built.ledger.tree.size
