"""Windows, counterseals, shares and frames (rules L, S, F, V)."""

from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.protocol import (
    counterseal,
    frame,
    keys,
    sharing,
    window,
    window_checks,
    window_key,
)
from counterseal.protocol.cbor import encode, expand, tag
from counterseal.protocol.sign1 import sign1
from counterseal.protocol.stamp import Stamp, message_digest
from counterseal.protocol.tree import BodyNode, CustodiansNode, Tree, WitnessesNode

replace = msgspec.structs.replace
TREE = w.CHARTER.tree
LABEL = w.make_label(bytes(32))
PRK = window_key.derive_prk(LABEL, w.WINDOW_KEY)
HOLDERS = [w.sealing(f"holder {position}") for position in range(TREE.count)]


def make_counterseal(prk=PRK):
    """As the compiled floor makes it, but with the library's own randomness."""
    sealed = []
    for position, share in enumerate(sharing.split(TREE, prk)):
        info = [tag("seal"), LABEL.window_id, LABEL.charter_digest, position]
        box = keys.seal_to(HOLDERS[position].public, info, share)
        digest = counterseal.share_hash(LABEL.window_id, position, share)
        sealed.append(counterseal.SealedShare(box[:1120], box[1120:], digest))
    return counterseal.Counterseal(tuple(sealed))


def test_windows():
    view = window_checks.View(w.DOMAIN, bytes(32), bytes(32), 3, w.HOUR)
    assert window_checks.check_window(LABEL, w.ROSTER, view).window_id == LABEL.window_id
    with refused("L1"):
        window_checks.check_window(LABEL, w.ROSTER, view._replace(keyset_digest=b"x" * 32))
    with refused("L2"):
        window_checks.check_window(LABEL, w.ROSTER, view._replace(period_length=2 * w.HOUR))
    with refused("L3"):
        window_checks.check_window(LABEL, window.Roster.of([(w.ALICE, w.BOB)]), view)
    with refused("L6"):
        window_checks.check_window(LABEL, w.ROSTER, view._replace(roster_epoch=4))
    other = replace(LABEL, device_key=w.public("Eve's phone"))
    with refused("L4"):
        window_checks.check_window(other, w.ROSTER, view)
    with refused("L4"):
        window_checks.check_uploader(LABEL, w.BOB, LABEL.device_key)
    assert window_checks.check_uploader(LABEL, w.ALICE, LABEL.device_key) is LABEL
    with refused("L3"):
        window.Roster(tuple(reversed(w.ROSTER.entries))).check()
    with refused("L3"):
        window.Roster.of([(w.ALICE, w.BOB), (w.EVE, w.BOB)])
    with refused("L5"):
        window_checks.check_serial(LABEL, 1, 0)
    with refused("L5"):
        window_checks.check_serial(LABEL, None, 16)
    assert window_checks.check_serial(LABEL, 0, 15) is LABEL


def test_the_commitment_plays_no_part_in_the_key():
    assert window_key.derive_prk(replace(LABEL, key_commitment=bytes(32)), w.WINDOW_KEY) == PRK
    assert window_key.derive_prk(replace(LABEL, serial=2), w.WINDOW_KEY) != PRK


def test_quorums_join_and_less_does_not():
    shares = dict(enumerate(sharing.split(TREE, PRK)))
    for positions in ((0, 1, 3, 6, 7), (0, 2, 5, 7, 8), (4, 5, 6, 8), tuple(range(9))):
        assert sharing.join(TREE, LABEL, {i: shares[i] for i in positions}) == PRK
    for positions in ((0, 3, 6, 7), (0, 1, 2, 6, 7), (0, 1, 3, 6), (6, 7, 8), (0, 1, 2, 3, 4, 5)):
        with refused("S4"):
            sharing.join(TREE, LABEL, {i: shares[i] for i in positions})
    with refused("S4"):
        sharing.combine(TREE, {99: bytes(32)})
    with refused("S5"):
        sharing.join(TREE, LABEL, {**shares, 0: bytes(32)})


def test_trees():
    assert Tree.decode(TREE.encode()) == TREE
    bad = Tree(CustodiansNode(1, (BodyNode(2, 1),)), WitnessesNode(1, 1))
    with refused("S4"):
        Tree.decode(bad.encode())
    with refused("E6"):
        Tree.decode(encode([[0, [[1, 1]]], [1, 1]]))
    one = Tree(CustodiansNode(1, (BodyNode(1, 1),)), WitnessesNode(1, 1))
    custodian, witness = sharing.split(one, PRK)
    assert bytes(a ^ b ^ c for a, b, c in zip(custodian, witness, PRK, strict=True)) != PRK
    assert sharing.combine(one, {0: custodian, 1: witness}) == PRK
    big = Tree(
        CustodiansNode(255, tuple(BodyNode(1, 1) for _ in range(255))), WitnessesNode(255, 255)
    ).check()
    assert sharing.combine(big, dict(enumerate(sharing.split(big, PRK)))) == PRK


def test_holders_open_their_shares():
    sealed = make_counterseal()
    assert window_checks.check_positions(sealed, [holder.public for holder in HOLDERS]) is sealed
    with refused("S1"):
        window_checks.check_positions(sealed, [None, *(holder.public for holder in HOLDERS[1:])])
    parts: Any = sealed.sealed
    shares = {i: counterseal.open_share(HOLDERS[i], LABEL, i, parts[i]) for i in (0, 1, 3, 6, 7)}
    assert sharing.join(TREE, LABEL, shares) == PRK
    with refused("X5"):
        counterseal.open_share(HOLDERS[1], LABEL, 0, sealed.sealed[0])
    with refused("S3"):
        counterseal.check_share(LABEL.window_id, 1, shares[0], sealed.sealed[0])
    assert counterseal.Counterseal.decode(sealed.encode()).seal_digest == sealed.seal_digest


def make_frame(seq=0, before=None, sent_at=w.T0 * 1000, device="Alice's phone", text="hello"):
    empty = frame.Authenticated(
        LABEL.window_id,
        bytes(32),
        seq,
        w.seed(f"r{seq}", 16),
        before.ct_digest if before else None,
        bytes(20),
    )
    content = frame.Content(
        sent_at, "text", text, (frame.Attachment(bytes(32), 5, bytes(32), "a.png", "image/png"),)
    )
    return frame.seal_frame(PRK, empty, sign1(w.ed25519(device), content.encode(), empty.external))


def test_frames():
    first = make_frame()
    second = make_frame(1, first)
    signed = frame.open_frame(PRK, first)
    content = frame.verify_content(signed, first, LABEL.device_key)
    assert content.text == "hello"
    assert frame.check_sent_at(content, LABEL) is content
    assert frame.check_prev(second, first) is second
    assert frame.check_prev(second, None) is second  # a gap is shown, not refused
    with refused("F2"):
        frame.received_part(frame.Authenticated, b"\x80")
    with refused("F2"):
        frame.received_part(frame.Key, first.encode())
    with refused("F6"):
        frame.open_frame(bytes(32), first)
    with refused("F6"):
        frame.open_frame(PRK, replace(first, seq=1))
    with refused("F7"):
        frame.verify_content(signed, second, LABEL.device_key)
    with refused("F7"):
        frame.verify_content(signed, first, w.public("Eve"))
    with refused("F7"):
        frame.verify_content(b"", first, LABEL.device_key)
    with refused("F9"):
        frame.check_prev(replace(second, prev=bytes(32)), first)
    with refused("F2"):
        frame.received_part(frame.Authenticated, replace(second, prev=None).encode())
    with refused("F2"):
        frame.received_part(frame.Authenticated, replace(first, prev=bytes(32)).encode())
    assert frame.received_part(frame.Authenticated, second.encode()) == second
    late = replace(content, sent_at_ms=LABEL.closes * 1000)
    with refused("F10"):
        frame.check_sent_at(late, LABEL)


def test_padding():
    for length in [*range(600), 5_000, 65_000]:
        padded = frame.pad(bytes(length))
        assert len(padded) - 4 - length <= max(0.12 * (length + 4), 1)
        assert frame.unpad(padded) == bytes(length)
    with refused("F6"):
        frame.unpad(frame.pad(bytes(101))[:-1] + b"\x01")
    with refused("F6"):
        frame.unpad(frame.pad(bytes(101)) + bytes(8))
    with refused("F6"):
        frame.unpad(b"")
    with refused("F6"):
        frame.unpad(b"\xff\xff\xff\xff")
    key = expand(PRK, [tag("frame"), 0, w.seed("r0", 16)], 32)
    first = make_frame()
    unpadded = ChaCha20Poly1305(key).encrypt(bytes(12), b"\0\0\0\x09short", first.external)
    with refused("F6"):
        frame.open_frame(PRK, replace(first, ct=unpadded))


def test_posting():
    first = make_frame()
    place = frame.WindowPlace(LABEL, 0, 7, 12)
    body, device = b"PrivateMessage", LABEL.device_key
    stamp = frame.check_posting(first, body, place, device, 7, w.T0)
    assert stamp == Stamp(message_digest(body), 12, w.T0)
    with refused("V1"):
        frame.check_posting(first, body, None, device, 7, w.T0)
    with refused("V2"):
        frame.check_posting(first, body, place._replace(next_seq=1), device, 7, w.T0)
    with refused("V3"):
        frame.check_posting(first, body, place, device, 7, w.T0 - 1)
    with refused("V3"):
        frame.check_posting(first, body, place, device, 7, LABEL.closes + 300)
    with refused("V4"):
        frame.check_posting(first, body, place, device, 8, w.T0)
    with refused("V5"):
        frame.check_posting(first, body, place, w.public("Eve"), 7, w.T0)
    with refused("V6"):
        frame.check_posting(first, bytes(65_537), place, device, 7, w.T0)
