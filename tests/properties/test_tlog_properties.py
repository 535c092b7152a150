"""Properties of trees, tiles, notes, the ledger and the directory, over inputs nobody thought
of.
"""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterseal.protocol.errors import Refused
from counterseal.protocol.ledger_leaf import DUMMY_ITEM, TICK_ITEM
from counterseal.tlog.add_checkpoint import AddCheckpoint, parse_request
from counterseal.tlog.checkpoint import Checkpoint, CosignedCheckpoint, parse_checkpoint
from counterseal.tlog.directory import DirectoryEntry, DirectoryMap, decode_lookup
from counterseal.tlog.errors import LedgerError, TlogError
from counterseal.tlog.hash_reader import tree_root
from counterseal.tlog.ledger import Schedule, Segment, parse_chunk
from counterseal.tlog.ledger_reader import LedgerEntry, LedgerReader, ReaderState
from counterseal.tlog.ledger_writer import Waiting, WriterState, write_tick
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.note import ReceivedNote, parse_note
from counterseal.tlog.proof import implied_root, verify_inclusion
from counterseal.tlog.prove import make_consistency, make_inclusion
from counterseal.tlog.tile_store import TileReader, parse_path
from counterseal.tlog.tile_writer import encode_bundle, tiles_of, write_tiles
from counterseal.tlog.tiles import Tile, decode_bundle
from counterseal.tlog.tree import EMPTY_ROOT, Frontier, leaf_hash, node_hash

ORIGIN = "chat.example.org/ledger"
HANDLES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


class MemoryStore(dict):
    """A blob store in memory."""

    def read(self, path):
        return self.get(path)

    def write(self, path, data):
        self[path] = data

    def remove_partials(self, tile):
        for path in [p for p in self if p.startswith(tile.path + ".p/")]:
            del self[path]


def naive_root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def naive_inclusion(index, leaves):
    if len(leaves) < 2:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*naive_inclusion(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_inclusion(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_consistency(old, leaves, whole=True):
    """RFC 6962 section 2.1.2, word for word."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if old <= k:
        return [*naive_consistency(old, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_consistency(old - k, leaves[k:], False), naive_root(leaves[:k])]


@given(st.integers(1, 600), st.data())
def test_proofs_are_those_of_the_definition(size, data):
    leaves = [leaf_hash(b"%d" % i) for i in range(size)]
    tree, root = MemoryTree(leaves), naive_root(leaves)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert tree.root() == Frontier().extend(leaves).root() == root
    inclusion, consistency = make_inclusion(index, size, tree), make_consistency(old, size, tree)
    assert list(inclusion.path) == naive_inclusion(index, leaves)
    assert list(consistency.path) == naive_consistency(old, leaves)
    inclusion.verify(leaves[index], root)
    consistency.verify(naive_root(leaves[:old]), root)


@given(st.integers(1, 300), st.data())
def test_no_other_leaf_or_place_passes(size, data):
    leaves = [leaf_hash(b"%d" % i) for i in range(size)]
    tree = MemoryTree(leaves)
    index, place = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    path = make_inclusion(index, size, tree).path
    if index != place:
        for leaf, at in ((leaves[place], index), (leaves[index], place)):
            try:
                verify_inclusion(leaf, at, size, tree.root(), path)
            except TlogError as error:
                assert error.rule == "T9"
            else:
                raise AssertionError("another leaf passed")


@given(st.integers(1, 40), st.data())
def test_the_root_that_a_path_implies(size, data):
    tree = MemoryTree(leaf_hash(bytes([n])) for n in range(size))
    index = data.draw(st.integers(0, size - 1))
    path = make_inclusion(index, size, tree).path
    assert implied_root(leaf_hash(bytes([index])), index, size, path) == tree.root()
    for at, nodes in ((index, (*path, bytes(32))), (size, path)):
        with pytest.raises(TlogError):
            implied_root(leaf_hash(b""), at, size, nodes)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=8))
def test_tiles_hold_the_tree_however_it_grew(steps):
    store, size, frontier = MemoryStore(), 0, Frontier()
    for step in steps:
        entries = [b"entry %d" % (size + i) for i in range(step)]
        root = write_tiles(store, size, entries)
        frontier = frontier.extend(leaf_hash(e) for e in entries)
        size += step
        assert root == frontier.root() == tree_root(size, TileReader(store, size))
    for tile in tiles_of(size):
        if tile.width == 256:
            store.remove_partials(tile)
    assert set(store) >= {t.path for t in tiles_of(size)}
    for index in range(-(-size // 256)):
        for place, entry in enumerate(TileReader(store, size).entries(index)):
            assert entry == b"entry %d" % (256 * index + place)


@given(st.integers(-1, 7), st.integers(0, 1 << 55), st.integers(1, 256))
def test_paths_come_back(level, index, width):
    tile = Tile(level, index, width)
    assert parse_path(tile.path) == tile


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_come_back(entries):
    assert decode_bundle(encode_bundle(entries), len(entries)) == tuple(entries)


@given(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60),
    st.integers(0, (1 << 63) - 1),
    st.binary(min_size=32, max_size=32),
)
def test_checkpoints_come_back(origin, size, root):
    checkpoint = Checkpoint(origin, size, root)
    assert parse_checkpoint(checkpoint.text()) == checkpoint


@given(
    st.one_of(
        st.binary(max_size=300), st.text(max_size=300).map(lambda s: s.encode("utf-8", "replace"))
    )
)
def test_readers_of_foreign_bytes_refuse_or_give_the_same_bytes_back(data):
    for read in (
        parse_note,
        parse_request,
        decode_lookup,
        lambda d: parse_checkpoint(d.decode()),
        lambda d: parse_path(d.decode()),
    ):
        try:
            value = read(data)
        except (Refused, UnicodeDecodeError):
            continue
        if isinstance(value, ReceivedNote | AddCheckpoint):
            assert value.format() == data


@given(st.binary(max_size=400))
def test_chunks_of_foreign_bytes_are_refused_by_rule(data):
    try:
        assert all(1 <= kind <= 3 and len(part) > 0 for kind, part in parse_chunk(data))
    except LedgerError as error:
        assert error.rule == "G9"


@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.integers(500, 9_000).map(lambda n: b"L" * n)),
        max_size=25,
    ),
    st.integers(2, 12),
    st.integers(0, 3_000),
    st.integers(0, 1 << 30),
)
def test_every_statement_comes_out_once_and_every_tick_looks_alike(statements, leaves, extra, seed):
    batch = 2 * (TICK_ITEM + (leaves - 1) * DUMMY_ITEM) + extra
    schedule = Schedule([Segment(0, bytes(32), leaves, batch)])
    rng, state = random.Random(seed).randbytes, WriterState()
    queue = [Waiting(n, s) for n, s in enumerate(statements)]
    reader, size, frontier = LedgerReader(ORIGIN, schedule), 0, Frontier()
    entries: list[LedgerEntry] = []
    out: dict[int, int] = {}
    while queue or state.under_way or state.tick < 2:
        tick = write_tick(ORIGIN, schedule, state, queue, 1000 + state.tick, 5, rng)
        assert len(tick.leaves) == leaves
        assert len(tick.chunk) == batch + 16
        placed = dict(tick.placed)
        queue = [entry for entry in queue if entry.number not in placed]
        frontier = frontier.extend(leaf_hash(leaf) for leaf in tick.leaves)
        out |= placed
        state = WriterState.decode(tick.state.encode())
        reader = LedgerReader(ORIGIN, schedule, ReaderState.decode(reader.state.encode()))
        reader.feed(tick.number, tick.chunk)
        size += leaves
        checkpoint = CosignedCheckpoint(
            Checkpoint(ORIGIN, size, frontier.root()), 1000 + tick.number, (), b""
        )
        entries += reader.accept(checkpoint, checkpoint.time, 60)
        assert state.tick < 2_000
    assert [entries[out[n]].statement for n in range(len(statements))] == statements
    assert sum(e.statement is not None for e in entries) == len(statements)


@given(st.sets(HANDLES, max_size=40), HANDLES)
def test_a_map_answers_for_every_handle(handles, other):
    entries = {
        h: DirectoryEntry(h, bytes([n]) * 32, bytes([n + 100]) * 32)
        for n, h in enumerate(sorted(handles))
    }
    whole = DirectoryMap(entries.values())
    for handle in {*handles, other}:
        assert decode_lookup(whole.prove(handle).encode()).verify(
            whole.root, handle
        ).entry == entries.get(handle)
    for handle in handles:
        rest = DirectoryMap(e for h, e in entries.items() if h != handle)
        assert rest.root != whole.root
        rest.prove(handle).verify(rest.root, handle).expect_absent()
