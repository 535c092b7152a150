"""Trees and proofs against a second, recursive reading of RFC 6962 (rules T9 to T12)."""

import hashlib

import pytest
from tests.support.refusals import refused

from counterseal.tlog.hash_reader import complete_subtrees
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.proof import verify_consistency, verify_inclusion
from counterseal.tlog.prove import make_consistency, make_inclusion
from counterseal.tlog.tree import EMPTY_ROOT, Frontier, leaf_hash

LEAVES = [leaf_hash(b"%d" % i) for i in range(70)]


def naive_root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


@pytest.mark.parametrize("size", [*range(18), 31, 32, 33, 63, 64, 65, 70])
def test_every_proof_of_a_size_verifies(size):
    tree = MemoryTree(LEAVES[:size])
    root = naive_root(LEAVES[:size])
    assert (
        tree.root()
        == root
        == Frontier().extend(LEAVES[:size]).root()
        == Frontier(size, tuple(tree.node(*place) for place in complete_subtrees(0, size))).root()
    )
    for index in range(size):
        assert make_inclusion(index, size, tree).verify(LEAVES[index], root).root == root
    for old in range(size + 1):
        assert (
            make_consistency(old, size, tree).verify(naive_root(LEAVES[:old]), root).new_root
            == root
        )


def test_rfc_6962_hashes_of_leaf_and_empty_tree():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (
        leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )


@pytest.mark.parametrize("change", ["leaf", "root", "index", "path", "short", "long"])
def test_T9_an_altered_inclusion(change):
    tree = MemoryTree(LEAVES[:21])
    leaf, index, root, path = LEAVES[5], 5, tree.root(), list(make_inclusion(5, 21, tree).path)
    if change == "leaf":
        leaf = LEAVES[6]
    if change == "root":
        root = bytes(32)
    if change == "index":
        index = 4
    if change == "path":
        path[1] = bytes(32)
    if change == "short":
        path.pop()
    if change == "long":
        path.append(bytes(32))
    with refused("T9"):
        verify_inclusion(leaf, index, 21, root, path)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (4, 9), (6, 7), (7, 21), (8, 16), (0, 5), (9, 9)])
def test_T10_an_altered_consistency(old, new):
    tree = MemoryTree(LEAVES[:new])
    old_root, new_root = naive_root(LEAVES[:old]), tree.root()
    path = list(make_consistency(old, new, tree).path)
    with refused("T10"):
        verify_consistency(old, bytes(32), new, new_root, path)
    with refused("T10"):
        verify_consistency(old, old_root, new, new_root, [*path, bytes(32)])
    if path:
        with refused("T10"):
            verify_consistency(old, old_root, new, bytes(32), path)
        with refused("T10"):
            verify_consistency(old, old_root, new, new_root, path[:-1])
        with refused("T10"):
            verify_consistency(old, old_root, new, new_root, [])


def test_T10_an_empty_tree_has_one_root():
    with refused("T10"):
        verify_consistency(0, EMPTY_ROOT, 0, bytes(32), [])


def test_T11_out_of_range():
    tree = MemoryTree(LEAVES[:5])
    with refused("T11"):
        make_inclusion(5, 5, tree)
    with refused("T11"):
        make_consistency(6, 5, tree)
    with refused("T11"):
        verify_inclusion(LEAVES[0], 5, 5, tree.root(), [])
    with refused("T11"):
        verify_inclusion(LEAVES[0], 0, 1 << 63, tree.root(), [])
    with refused("T11"):
        verify_inclusion(b"short", 0, 1, tree.root(), [])
    with refused("T11"):
        verify_consistency(2, bytes(32), 5, bytes(32), [b"short"])
    with refused("T11"):
        Frontier(3, (bytes(32),)).check()


def test_T12_a_subtree_that_is_not_there():
    with refused("T12"):
        MemoryTree(LEAVES[:5]).node(2, 1)
    with refused("T12"):
        MemoryTree(LEAVES[:5]).node(9, 0)
