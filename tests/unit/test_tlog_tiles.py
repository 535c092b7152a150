"""Tiles, bundles and their directory (rules T12 to T14)."""

import os
from pathlib import Path

import pytest
from tests.support.refusals import refused

from counterseal.tlog.checkpoint_row import CheckpointRow
from counterseal.tlog.hash_reader import tree_root
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.tile_store import DirectoryStore, TileReader, parse_path, write_durably
from counterseal.tlog.tile_writer import encode_bundle, rebuild_tiles, tiles_of, write_tiles
from counterseal.tlog.tiles import Tile, decode_bundle
from counterseal.tlog.tree import leaf_hash


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 1), "tile/0/000.p/1"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(1, 999, 255), "tile/1/999.p/255"),
        (Tile(2, 1000), "tile/2/x001/000"),
        (Tile(-1, 5, 7), "tile/entries/005.p/7"),
    ],
)
def test_paths(tile, path):
    assert tile.path == path
    assert parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0/1",
        "tile/00/001",
        "tile/0/x000/001",
        "tile/0/001.p/256",
        "tile/0/001.p/0",
        "tile/64/001",
        "tile/0/../001",
        "../tile/0/001",
        "tile/0/001/",
        "tile/0/001.p/01",
        "tile/0/٠٠١",
    ],
)
def test_T14_no_tile(path):
    with refused("T14"):
        parse_path(path)


def test_the_specifications_example_of_70000_leaves():
    tiles = list(tiles_of(70_000))
    assert sum(t.level == 0 and t.width == 256 for t in tiles) == 273
    assert {(t.level, t.width) for t in tiles if t.width < 256} == {
        (-1, 112),
        (0, 112),
        (1, 17),
        (2, 1),
    }
    assert [t.path for t in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]


def test_T13_bundles():
    entries = (b"", b"a", b"b" * 65_535)
    data = encode_bundle(entries)
    assert decode_bundle(data, 3) == entries
    with refused("T13"):
        encode_bundle([b"x" * 65_536])
    for wrong, width in [
        (data, 2),
        (data, 4),
        (data[:-1], 3),
        (data + b"\0", 3),
        (b"\0", 1),
        (b"", 1),
    ]:
        with refused("T13"):
            decode_bundle(wrong, width)


@pytest.mark.parametrize("steps", [(1, 2, 3), (255, 1, 1), (256, 256), (300, 300, 1), (1000,)])
def test_a_tree_grows_on_disk(tmp_path, steps):
    store, size, leaves = DirectoryStore(tmp_path), 0, []
    for step in steps:
        entries = [b"entry %d" % (size + i) for i in range(step)]
        root = write_tiles(store, size, entries)
        size += step
        leaves += [leaf_hash(e) for e in entries]
        reader = TileReader(store, size)
        assert root == tree_root(size, reader) == MemoryTree(leaves).root()
        assert reader.entries((size - 1) // 256)[-1] == entries[-1]


def test_a_full_tile_serves_for_a_partial_one_that_is_gone(tmp_path):
    store = DirectoryStore(tmp_path)
    write_tiles(store, 0, [b"%d" % i for i in range(100)])
    write_tiles(store, 100, [b"%d" % i for i in range(100, 300)])
    before = tree_root(100, TileReader(store, 100))
    for tile in (Tile(0, 0), Tile(-1, 0)):
        store.remove_partials(tile)
    assert not (tmp_path / "tile/0/000.p").exists()
    assert tree_root(100, TileReader(store, 100)) == before
    assert len(TileReader(store, 100).entries(0)) == 100


def test_T12_a_tile_that_is_missing_or_cut_short(tmp_path):
    store = DirectoryStore(tmp_path)
    write_tiles(store, 0, [b"a", b"b", b"c"])
    with refused("T12"):
        TileReader(store, 4).node(0, 3)
    with refused("T12"):
        TileReader(store, 3).node(2, 0)
    with refused("T12"):
        TileReader(store, 3).entries(1)
    store.write("tile/0/000.p/3", b"short")
    with refused("T12"):
        TileReader(store, 3).node(0, 0)


def test_no_path_leads_out_of_the_directory(tmp_path):
    store = DirectoryStore(tmp_path / "log")
    with refused("T14"):
        store.read("../secret")
    with refused("T14"):
        store.write("/etc/passwd", b"")


def test_rebuild_from_entries(tmp_path):
    entries = [b"%d" % i for i in range(5000)]
    root = MemoryTree(leaf_hash(e) for e in entries).root()
    rebuild_tiles(DirectoryStore(tmp_path), entries, CheckpointRow("o", 5000, root, 1))
    assert tree_root(5000, TileReader(DirectoryStore(tmp_path), 5000)) == root


def test_a_write_is_synced_in_file_and_directory_before_it_returns(tmp_path, monkeypatch):
    events = []
    real = os.fsync

    def sync(handle):
        events.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    write_durably(tmp_path / "a" / "b", b"data")
    assert events[0] == str(tmp_path)  # the new directory's name
    assert events[1].startswith(str(tmp_path / "a" / ".new-"))
    assert events[2] == str(tmp_path / "a")


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    write_durably(tmp_path / "file", b"old")

    def broken(_):
        raise OSError("no space")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="no space"):
        write_durably(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
