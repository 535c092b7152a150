"""The directory's map, its proofs and its roots (rules D1 to D7)."""

import msgspec
from tests.support.refusals import refused

from counterseal.protocol.cbor import H, tag
from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.tlog.directory import (
    EMPTY_MAP,
    DirectoryEntry,
    DirectoryMap,
    LookupProof,
    MapLeaf,
    check_fresh_root,
    check_next_root,
    decode_directory_root,
    decode_lookup,
    handle_key,
    map_node,
)

DOMAIN = "chat.example.org"
ENTRIES = [
    DirectoryEntry(f"@user{i}:{DOMAIN}", H([tag("a"), i]), H([tag("h"), i])) for i in range(40)
]
MAP = DirectoryMap(ENTRIES)


def look(handle, of=MAP, root=None):
    return decode_lookup(of.prove(handle).encode()).verify(root or of.root, handle)


def leaf_of(entry):
    return MapLeaf(handle_key(entry.handle), entry.account_id, entry.head)


def test_presence_and_absence():
    for entry in ENTRIES:
        assert look(entry.handle).expect(entry.account_id, entry.head) == entry
    for i in range(40, 80):
        look(f"@user{i}:{DOMAIN}").expect_absent()


def test_small_maps():
    empty, one, two = (DirectoryMap(ENTRIES[:n]) for n in (0, 1, 2))
    assert empty.root == EMPTY_MAP
    look("@anyone:x", empty).expect_absent()
    look("@anyone:x", one).expect_absent()
    assert look(ENTRIES[0].handle, one).entry == ENTRIES[0]
    assert [look(e.handle, two).entry for e in ENTRIES[:2]] == ENTRIES[:2]


def test_the_root_does_not_depend_on_order():
    assert DirectoryMap(reversed(ENTRIES)).root == MAP.root


def test_one_root_gives_a_handle_one_answer_even_if_it_was_made_wrongly():
    """A map that holds one handle twice: only the leaf that the handle's bits lead to can be
    proved.
    """
    leaf = leaf_of(ENTRIES[0])
    other = msgspec.structs.replace(leaf, account_id=bytes(32))
    depth = 0
    side = handle_key(ENTRIES[0].handle)[0] >> 7
    root = map_node(depth, *((other.hash(), leaf.hash()) if side else (leaf.hash(), other.hash())))
    right = LookupProof.decode(LookupProof((MAP.prove(ENTRIES[0].handle).steps[0],), leaf).encode())
    good = msgspec.structs.replace(
        right, steps=(msgspec.structs.replace(right.steps[0], depth=0, sibling=other.hash()),)
    )
    assert good.verify(root, ENTRIES[0].handle).entry == ENTRIES[0]
    bad = msgspec.structs.replace(
        good, steps=(msgspec.structs.replace(good.steps[0], sibling=leaf.hash()),), leaf=other
    )
    with refused("D4"):
        bad.verify(root, ENTRIES[0].handle)


def test_D1_no_directory_root():
    root = DirectoryRoot(DOMAIN, 5, 100, bytes(32))
    assert decode_directory_root(root.encode(), DOMAIN) == root
    with refused("D1"):
        decode_directory_root(b"", DOMAIN)
    with refused("D1"):
        decode_directory_root(root.encode(), "else.example")


def test_D2_roots_that_go_back():
    before, after = (
        DirectoryRoot(DOMAIN, 5, 100, bytes(32)),
        DirectoryRoot(DOMAIN, 5, 200, bytes(32)),
    )
    assert check_next_root(before, after, 6) is after
    assert check_next_root(None, before, 5) is before
    with refused("D2"):
        check_next_root(None, before, 4)
    with refused("D2"):
        check_next_root(after, before, 6)
    with refused("D2"):
        check_next_root(after, after, 6)
    with refused("D2"):
        check_next_root(after, DirectoryRoot(DOMAIN, 4, 300, bytes(32)), 6)


def test_D3_proofs_without_form():
    with refused("D3"):
        decode_lookup(b"")
    with refused("D3"):
        handle_key("")
    with refused("D3"):
        handle_key("@" * 321)
    with refused("D3"):
        handle_key("\ud800")
    proof = MAP.prove(ENTRIES[0].handle)
    with refused("D3"):
        msgspec.structs.replace(proof, steps=proof.steps[::-1]).verify(MAP.root, ENTRIES[0].handle)
    with refused("D3"):
        msgspec.structs.replace(proof, steps=proof.steps[:1] * 2).verify(
            MAP.root, ENTRIES[0].handle
        )


def test_D3_absence_shown_with_a_leaf_from_elsewhere():
    key = handle_key(ENTRIES[0].handle)
    far = next(e for e in ENTRIES if handle_key(e.handle)[0] >> 7 != key[0] >> 7)
    with refused("D3"):
        MAP.prove(far.handle).verify(MAP.root, ENTRIES[0].handle)


def test_D4_proofs_that_lead_elsewhere():
    handle = ENTRIES[0].handle
    proof = MAP.prove(handle)
    with refused("D4"):
        proof.verify(bytes(32), handle)
    with refused("D4"):
        msgspec.structs.replace(proof, leaf=None).verify(MAP.root, handle)
    with refused("D4"):
        LookupProof((), None).verify(MAP.root, handle)
    with refused("D4"):
        msgspec.structs.replace(proof, steps=proof.steps[1:]).verify(MAP.root, handle)
    leaf = msgspec.structs.replace(leaf_of(ENTRIES[0]), account_id=bytes(32))
    with refused("D4"):
        msgspec.structs.replace(proof, leaf=leaf).verify(MAP.root, handle)


def test_D5_not_what_was_expected():
    verified = look(ENTRIES[0].handle)
    with refused("D5"):
        verified.expect(bytes(32))
    with refused("D5"):
        verified.expect(ENTRIES[0].account_id, bytes(32))
    with refused("D5"):
        verified.expect_absent()
    with refused("D5"):
        look("@nobody:x").expect(bytes(32))


def test_D6_an_old_root():
    root = DirectoryRoot(DOMAIN, 5, 100, bytes(32))
    assert check_fresh_root(root, 86_500, 86_400) is root
    with refused("D6"):
        check_fresh_root(root, 86_501, 86_400)


def test_D7_a_handle_twice():
    with refused("D7"):
        DirectoryMap([ENTRIES[0], msgspec.structs.replace(ENTRIES[0], head=bytes(32))])
