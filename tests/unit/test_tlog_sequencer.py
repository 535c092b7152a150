"""The sequencer's order, and what stops it (rules T8, T24 to T28, T31). Every durable write is
failed both ways.
"""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.support.refusals import fatal, refused

from counterseal.tlog.checkpoint import parse_checkpoint, verify_cosigned
from counterseal.tlog.checkpoint_row import CheckpointRow
from counterseal.tlog.cosigned_note import cosign_note
from counterseal.tlog.cosigner import Cosigner
from counterseal.tlog.errors import TlogError
from counterseal.tlog.file_log_store import FileLogStore
from counterseal.tlog.hash_reader import tree_root
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.note import parse_signatures
from counterseal.tlog.sequencer import Sequencer
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.tile_store import CHECKPOINT, DirectoryStore, TileReader, parse_path
from counterseal.tlog.tree import leaf_hash
from counterseal.tlog.witness_state import FileWitnessStore
from counterseal.tlog.writing_errors import NotPublished, WitnessConflict, WitnessUnavailable

ORIGIN = "chat.example.org/log"


def pair(seed):
    return Ed25519PrivateKey.from_private_bytes(
        bytes([seed]) * 32
    ), MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)


LOG = LogSigner(ORIGIN, *pair(1))


class LocalWitness:
    """A witness in the same process that answers as one over HTTP does."""

    def __init__(self, witness, keys):
        self._witness, self.keys = witness, keys

    def add_checkpoint(self, request):
        answer = self._witness.add_checkpoint(request.format())
        if answer.status == 409:
            raise WitnessConflict(int(answer.body))
        if answer.status != 200:
            raise TlogError(answer.rule, answer.body.decode())
        lines = parse_signatures(answer.body.decode())
        return cosign_note(request.note, parse_checkpoint(request.note.text), self.keys, lines)

    def latest(self, origin):
        state = self._witness.head(origin)
        return state.note if state else None


class Flaky:
    """A witness that can be switched off, or told to claim a size."""

    def __init__(self, local):
        self.local, self.keys, self.off, self.claims = local, local.keys, False, None

    def add_checkpoint(self, request):
        if self.off:
            raise WitnessUnavailable("off")
        if self.claims is not None:
            raise WitnessConflict(self.claims)
        return self.local.add_checkpoint(request)

    def latest(self, origin):
        if self.off:
            raise WitnessUnavailable("off")
        return None if self.claims is not None else self.local.latest(origin)


class Blobs(DirectoryStore):
    """Fails the n-th write from now on, before or after it reached the disk."""

    fail_at, persists, events = None, False, None

    def write(self, path, data):
        if self.events is not None:
            self.events.append(path)
        if self.fail_at == 0:
            if self.persists:
                super().write(path, data)
            raise OSError("no space left")
        if self.fail_at is not None:
            self.fail_at -= 1
        super().write(path, data)


class Rows(FileLogStore):
    broken, persists, events = False, False, None

    def swap(self, old, new):
        if self.events is not None:
            self.events.append("row")
        if self.broken:
            if self.persists:
                super().swap(old, new)
            raise OSError("the disk is gone")
        return super().swap(old, new)


class World:
    def __init__(self, directory):
        self.directory = directory
        self.blobs, self.rows = Blobs(directory / "log"), Rows(directory / "rows")
        self.witnesses = []
        for i in range(3):
            signer = WitnessSigner(f"w{i}.example", *pair(10 + i))
            store = FileWitnessStore(directory / f"w{i}")
            witness = Cosigner(signer, {ORIGIN: LOG.keys}, store, lambda: 2000)
            self.witnesses.append(Flaky(LocalWitness(witness, signer.keys)))

    def open(self, **options):
        return Sequencer.open(
            LOG, self.rows, self.blobs, self.witnesses, 2, lambda: 1500, **options
        )

    def published(self):
        keys = [w.keys for w in self.witnesses]
        return verify_cosigned(
            (self.directory / "log/checkpoint").read_bytes(), LOG.keys, keys, 2
        ).checkpoint


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def entries(start, end):
    return [b"entry %d" % i for i in range(start, end)]


def root_of(size):
    return MemoryTree(leaf_hash(e) for e in entries(0, size)).root()


def test_a_log_grows_through_restarts(world):
    log, size = world.open(create=True), 0
    for step in (1, 2, 253, 1, 0, 300):
        cosigned = log.append(entries(size, size + step), size)
        size += step
        assert cosigned.checkpoint == world.published()
        assert (cosigned.checkpoint.size, cosigned.checkpoint.root) == (size, root_of(size))
        assert cosigned.time == 2000
        log = world.open()
        assert log.row.size == size
    tree = TileReader(world.blobs, size)
    assert [e for i in range(3) for e in tree.entries(i)] == entries(0, size)


def test_order_tiles_then_row_then_checkpoint(world):
    log = world.open(create=True)
    events = world.blobs.events = world.rows.events = []
    log.append(entries(0, 300))
    row = events.index("row")
    assert all(parse_path(path) for path in events[:row])
    assert events[row + 1 :] == [CHECKPOINT]


def test_partial_tiles_go_when_the_full_one_is_published(world):
    log = world.open(create=True)
    log.append(entries(0, 10))
    log.commit(entries(10, 256))
    assert (world.directory / "log/tile/0/000.p/10").exists()
    log.publish()
    assert not (world.directory / "log/tile/0/000.p").exists()
    assert (world.directory / "log/tile/1/000.p/1").exists()


def test_T8_too_few_witnesses_publish_nothing_and_may_come_back(world):
    log = world.open(create=True)
    log.append(entries(0, 3))
    world.witnesses[0].off = world.witnesses[1].off = True
    with pytest.raises(NotPublished) as caught:
        log.append(entries(3, 5))
    assert caught.value.code == "T8"
    assert world.published().size == 3
    assert log.row.size == 5
    log.commit(entries(5, 9))
    world.witnesses[0].off = False
    assert log.publish().checkpoint.size == 9
    world.witnesses[1].off = False
    assert len(log.publish().witnesses) == 3


def test_T8_a_start_needs_enough_witnesses_to_ask(world):
    world.open(create=True).append(entries(0, 3))
    world.witnesses[0].off = world.witnesses[1].off = True
    with pytest.raises(NotPublished):
        world.open()


def test_T24_a_lost_row_does_not_begin_a_second_history(world):
    with fatal("T24"):
        world.open()
    world.open(create=True).append(entries(0, 3))
    assert world.open(create=True).row.size == 3
    for file in (world.directory / "rows").glob("*.row"):
        file.write_bytes(b"damaged")
    with fatal("T24"):
        world.open()


@pytest.mark.parametrize("damage", ["tile", "bundle", "missing", "checkpoint", "ahead", "row"])
def test_T24_what_does_not_agree(world, damage):
    world.open(create=True).append(entries(0, 3))
    path = {"bundle": "tile/entries/000.p/3", "checkpoint": CHECKPOINT, "ahead": CHECKPOINT}.get(
        damage, "tile/0/000.p/3"
    )
    file = world.directory / "log" / path
    if damage == "tile":
        file.write_bytes(file.read_bytes()[::-1])
    if damage == "bundle":
        file.write_bytes(file.read_bytes().replace(b"entry 1", b"entry 7"))
    if damage == "missing":
        file.unlink()
    if damage == "checkpoint":
        file.write_bytes(b"damaged")
    if damage == "ahead":
        file.write_bytes(file.read_bytes().replace(b"\n3\n", b"\n4\n"))
    if damage == "row":
        world.rows.swap(world.rows.load(ORIGIN), CheckpointRow(ORIGIN, 3, bytes(32), 1500))
    with fatal("T24"):
        world.open()


def test_T25_a_restored_backup_refuses_to_start(world):
    world.open(create=True).append(entries(0, 3))
    backup = world.rows.load(ORIGIN)
    (world.directory / "log/checkpoint").unlink()
    world.open().append(entries(3, 8))
    world.rows.swap(world.rows.load(ORIGIN), backup)
    (world.directory / "log/checkpoint").unlink()
    with fatal("T25"):
        world.open()


def test_T25_a_fork_of_the_same_size(world, tmp_path):
    world.open(create=True).append(entries(0, 8))
    other = World(tmp_path / "other")
    lonely = Sequencer.open(LOG, other.rows, other.blobs, [], 0, lambda: 1500, create=True)
    lonely.commit(entries(100, 108))
    other.witnesses = world.witnesses
    with fatal("T25"):
        other.open()


def test_T25_a_running_second_sequencer_is_found_out_by_a_witness(world, tmp_path):
    log = world.open(create=True)
    other = World(tmp_path / "other")
    other.witnesses = world.witnesses
    second = other.open(create=True)
    second.append(entries(100, 108))
    with fatal("T25") as caught:
        log.append(entries(0, 3))
    assert "second sequencer" in caught.value.message
    with fatal("T28"):
        log.publish()


def test_a_mere_claim_does_not_stop_a_running_log_but_has_to_be_overruled_at_a_start(world):
    log = world.open(create=True)
    log.append(entries(0, 3))
    world.witnesses[0].claims = 99
    assert len(log.append(entries(3, 5)).witnesses) == 2
    with fatal("T25"):
        world.open()
    assert (
        world.open(overruled=frozenset({"w0.example"})).append(entries(5, 6)).checkpoint.size == 6
    )


@pytest.mark.parametrize("persists", [False, True])
@pytest.mark.parametrize("fail_at", range(5))
def test_T26_every_write_of_an_append_failed_and_found_again(world, fail_at, persists):
    log = world.open(create=True)
    log.append(entries(0, 254))
    world.blobs.fail_at, world.blobs.persists = fail_at, persists
    with fatal("T26"):
        log.append(entries(254, 258))
    world.blobs.fail_at = None
    with fatal("T28"):
        log.commit(entries(254, 258))
    again = world.open()
    assert again.row.size == 254 + (4 if fail_at == 5 else 0)
    assert world.published().size == 254
    # other entries than those that failed: nothing of the failed attempt may be left over
    again.append([b"other"])
    leaves = [leaf_hash(e) for e in [*entries(0, 254), b"other"]]
    assert world.published().root == MemoryTree(leaves).root()
    assert tree_root(255, TileReader(world.blobs, 255)) == MemoryTree(leaves).root()


@pytest.mark.parametrize("persists", [False, True])
def test_T26_the_row(world, persists):
    log = world.open(create=True)
    log.append(entries(0, 3))
    world.rows.broken, world.rows.persists = True, persists
    with fatal("T26"):
        log.append(entries(3, 5))
    world.rows.broken = False
    again = world.open()
    # the caller's outbox tells from the row which entries are in
    assert again.row.size == (5 if persists else 3)
    again.append(entries(again.row.size, 9), again.row.size)
    assert world.published().root == root_of(9)


@pytest.mark.parametrize("persists", [False, True])
def test_T26_the_published_checkpoint(world, persists):
    log = world.open(create=True)
    log.append(entries(0, 3))
    log.commit(entries(3, 5))
    world.blobs.fail_at, world.blobs.persists = 0, persists
    with fatal("T26"):
        log.publish()
    world.blobs.fail_at = None
    assert world.published().size == (5 if persists else 3)
    assert world.open().publish().checkpoint.size == 5


def test_T24_other_bytes_than_were_written(world, monkeypatch):
    log = world.open(create=True)
    honest = Blobs.write
    monkeypatch.setattr(
        Blobs, "write", lambda self, path, data: honest(self, path, data[:-1] + b"x")
    )
    with fatal("T24"):
        log.append(entries(0, 3))
    assert world.rows.load(ORIGIN).size == 0


def test_T27_somebody_else_moves_the_row(world):
    log, second = world.open(create=True), world.open()
    second.commit(entries(0, 1))
    with fatal("T27"):
        log.commit(entries(5, 7))
    log = world.open()
    second.commit(entries(1, 2))
    with fatal("T27"):
        log.publish()


def test_T31_an_index_that_is_not_the_next(world):
    log = world.open(create=True)
    log.append(entries(0, 3))
    for first in (0, 2, 4):
        with refused("T31", kind=TlogError):
            log.append(entries(3, 4), first)
    with refused("T13", kind=TlogError):
        log.append([b"x" * 65_536])
    assert log.append(entries(3, 4), 3).checkpoint.size == 4
