import pytest
from tests.support.devices import (
    CHARTER,
    CONVERSATION,
    DOMAIN,
    HOLDERS,
    HOUR,
    KEYSET,
    OPENS,
    TREE,
    content,
    conversation,
    keys,
    make_device,
    me,
    sealing_key,
    send,
)
from tests.support.refusals import refused_by_core

from counterseal.core import (
    CoreError,
    derive_prk,
    join_shares,
    open_windows,
    parse_private,
    seal_counterseal,
    split_shares,
)
from counterseal.protocol import counterseal as seals
from counterseal.protocol import sharing, window_checks
from counterseal.protocol.frame import Authenticated, Content, open_frame, verify_content
from counterseal.protocol.stamp import message_digest
from counterseal.protocol.tree import Tree
from counterseal.protocol.window import Label, Roster
from counterseal.protocol.window_checks import View, check_window

PRK, WINDOW_ID = bytes(range(32)), b"w" * 32


def read(device, sealed, now=OPENS):
    return device.frame_open(CONVERSATION, sealed.message, now)


# ---- windows


def test_a_window_is_what_the_protocol_says(tmp_path):
    (alice,) = conversation(tmp_path, "alice")
    window = alice.window_open(CONVERSATION, OPENS, 7)
    label, roster = Label.decode(window.label), Roster.decode(window.roster)
    view = alice.group_view(CONVERSATION)
    check_window(label, roster, View(DOMAIN, CHARTER, KEYSET, view.roster_epoch, HOUR))
    assert (label.window_id, label.serial, label.opens, label.closes) == (
        window.window_id,
        7,
        OPENS,
        OPENS + HOUR,
    )
    assert (window.opens, window.closes, window.serial, window.next_seq) == (
        OPENS,
        OPENS + HOUR,
        7,
        0,
    )
    sealed = seals.Counterseal.decode(window.counterseal)
    assert window_checks.check_positions(sealed, keys()).seal_digest == window.seal_digest


def test_windows_open_in_order_and_on_time(tmp_path):
    (alice,) = conversation(tmp_path, "alice")
    alice.window_open(CONVERSATION, OPENS, 7)
    with refused_by_core("L5"):
        alice.window_open(CONVERSATION, OPENS, 7)
    with refused_by_core("L5"):
        alice.window_open(CONVERSATION, OPENS, 6)
    with refused_by_core("L2"):
        alice.window_open(CONVERSATION, OPENS + 1, 8)
    second = alice.window_open(CONVERSATION, OPENS, 8)
    assert alice.window_current(CONVERSATION, OPENS).window_id == second.window_id
    assert alice.window(second.window_id).label == second.label
    assert alice.window(bytes(32)) is None


def test_any_reader_can_remake_a_window(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    with refused_by_core("usage"):
        bob.window_remake(window.window_id)
    read(bob, send(alice, window))
    for device in (alice, bob):
        remade = device.window_remake(window.window_id)
        assert (remade.label, remade.roster) == (window.label, window.roster)
        assert (remade.counterseal, remade.seal_digest, remade.next_seq) == (
            window.counterseal,
            window.seal_digest,
            1,
        )
    assert bob.window(window.window_id) is None  # not its own


def test_keys_are_erased(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    old, new = (
        alice.window_open(CONVERSATION, OPENS, 1),
        alice.window_open(CONVERSATION, OPENS + HOUR, 2),
    )
    sealed = send(alice, old)
    read(bob, sealed)
    assert alice.window_drop_keys(OPENS + HOUR - 1) == 0
    assert (alice.window_drop_keys(OPENS + HOUR), bob.window_drop_keys(OPENS + HOUR)) == (1, 1)
    for device in (alice, bob):
        with refused_by_core("usage"):
            device.window_remake(old.window_id)
        assert device.execute(
            "SELECT count(*) FROM cs_window WHERE key IS NOT NULL AND window_id = ?",
            [old.window_id],
        ) == [(0,)]
    with refused_by_core("usage"):
        alice.frame_seal(old.window_id, content())
    assert alice.window(old.window_id) is None
    assert alice.window(new.window_id) is not None
    assert read(bob, sealed).duplicate


# ---- frames


def test_frames_follow_each_other(tmp_path):
    alice, bob, carol = conversation(tmp_path, "alice", "bob", "carol")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    for seq in range(3):
        sealed = send(alice, window, f"message {seq}")
        assert (sealed.window_id, sealed.seq) == (window.window_id, seq)
        for reader in (bob, carol):
            opened = read(reader, sealed)
            assert (opened.window_id, opened.seq, opened.gap) == (window.window_id, seq, 0)
            assert (opened.account_id, opened.device_key) == me(alice)
            assert (opened.label, opened.content) == (window.label, content(f"message {seq}"))
            assert (opened.epoch, opened.current, opened.duplicate) == (1, True, False)
    assert alice.window(window.window_id).next_seq == 3


def test_duplicates_gaps_and_lateness(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    frames = [send(alice, window) for _ in range(4)]
    assert read(bob, frames[2]).gap == 2
    duplicate = read(bob, frames[2])
    assert (duplicate.duplicate, duplicate.seq, duplicate.content) == (True, 2, b"")
    assert read(alice, frames[0]).duplicate  # its own
    assert [read(bob, frames[n]).gap for n in (0, 1, 3)] == [0, 0, 0]
    assert read(bob, send(alice, window), OPENS + HOUR - 1).current
    assert not read(bob, send(alice, window), OPENS + HOUR).current


def test_a_refused_frame_is_taken_back(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    first, refused = send(alice, window), send(alice, window, "refused by the service")
    # not the newest
    with refused_by_core("usage"):
        alice.frame_unseal(window.window_id, 0)
    alice.frame_unseal(window.window_id, 1)
    with refused_by_core("usage"):
        alice.frame_unseal(window.window_id, 1)
    again = send(alice, window, "taken")
    assert again.seq == 1 and again.message != refused.message
    read(bob, first)
    # not its own
    with refused_by_core("usage"):
        bob.frame_unseal(window.window_id, 0)
    assert (read(bob, again).gap, again.seq) == (0, 1)
    with refused_by_core("F8"):
        read(bob, refused)


def test_content_that_readers_would_refuse_is_not_sent(tmp_path):
    (alice,) = conversation(tmp_path, "alice")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    for bad in (b"", b"\x80", content() + b"\0", content("x" * 70_000)):
        with refused_by_core("usage"):
            alice.frame_seal(window.window_id, bad)
    # over 64 KiB when sealed
    with refused_by_core("usage"):
        alice.frame_seal(window.window_id, content("x" * 65_000))
    with refused_by_core("F10"):
        alice.frame_seal(window.window_id, content(sent_at_ms=OPENS * 1000 - 1))
    with refused_by_core("usage"):
        alice.frame_seal(bytes(32), content())
    assert send(alice, window).seq == 0


def test_a_frame_of_another_conversation(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    sealed = send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    with refused_by_core("F1"):
        bob.frame_open(bytes(16), sealed.message, OPENS)
    stranger = make_device(tmp_path, "carol")
    with refused_by_core("usage"):
        stranger.frame_open(CONVERSATION, sealed.message, OPENS)


def test_the_reference_reads_what_the_core_seals(tmp_path):
    (alice,) = conversation(tmp_path, "alice")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    ((key,),) = alice.execute("SELECT key FROM cs_window")
    prk = derive_prk(window.label, key)
    before = None
    for text in ("first", "second", "x" * 10_000):
        sealed = send(alice, window, text)
        frame = Authenticated.decode(parse_private(sealed.message)[2])
        assert (frame.seq, frame.prev) == (sealed.seq, before)
        assert verify_content(open_frame(prk, frame), frame, me(alice)[1]) == Content(
            OPENS * 1000, "text", text, ()
        )
        before = frame.ct_digest


# ---- counterseal and opening


def test_holders_open_their_shares_with_the_public_library():
    counterseal = seals.Counterseal.decode(seal_counterseal(PRK, WINDOW_ID, CHARTER, TREE, keys()))
    shares = split_shares(TREE, PRK)
    assert tuple(shares) == sharing.split(Tree.decode(TREE), PRK)
    for i, sealed in enumerate(counterseal.sealed):
        info = ["counterseal/v1/seal", WINDOW_ID, CHARTER, i]
        assert sealing_key(i).open(info, sealed.enc + sealed.ciphertext) == shares[i]
        assert sealed.share_hash == seals.share_hash(WINDOW_ID, i, shares[i])


def test_counterseals_are_remade_byte_by_byte():
    whole = seal_counterseal(PRK, WINDOW_ID, CHARTER, TREE, keys())
    assert whole == seal_counterseal(PRK, WINDOW_ID, CHARTER, TREE, keys())
    partial = [*keys()[:5], None, *keys()[6:]]
    decoded = seals.Counterseal.decode(seal_counterseal(PRK, WINDOW_ID, CHARTER, TREE, partial))
    assert (
        decoded.sealed[5] is None and decoded.sealed[6] == seals.Counterseal.decode(whole).sealed[6]
    )
    for other in (
        (bytes(32), WINDOW_ID, CHARTER),
        (PRK, bytes(32), CHARTER),
        (PRK, WINDOW_ID, bytes(32)),
    ):
        assert seal_counterseal(*other, TREE, keys()) != whole


def test_bad_sealing_keys():
    with refused_by_core("S1"):
        seal_counterseal(PRK, WINDOW_ID, CHARTER, TREE, keys()[1:])
    key = keys()[0]
    assert key is not None
    for bad in (key[:-1], b"\xff" * 1184 + key[1184:], key[:1184] + bytes(32)):
        with refused_by_core("E6"):
            seal_counterseal(PRK, WINDOW_ID, CHARTER, TREE, [bad, *keys()[1:]])


def test_quorums():
    shares = split_shares(TREE, PRK)
    assert join_shares(TREE, list(enumerate(shares))) == PRK
    assert join_shares(TREE, [(i, shares[i]) for i in (10, 8, 0, 3, 1)]) == PRK
    for positions in ((0, 1, 7, 8), (0, 1, 2, 7), (1, 2, 3), (), range(7), range(7, HOLDERS)):
        with refused_by_core("S4"):
            join_shares(TREE, [(i, shares[i]) for i in positions])
    with refused_by_core("S4"):
        join_shares(TREE, [(i, shares[i]) for i in (0, 0, 1, 2, 7, 8)])
    with refused_by_core("S4"):
        join_shares(TREE, [(HOLDERS, shares[0])])
    with refused_by_core("usage"):
        join_shares(TREE, [(0, b"short")])
    false = [(i, bytes(32) if i == 9 else share) for i, share in enumerate(shares)]
    with refused_by_core("S4"):
        join_shares(TREE, false)


@pytest.mark.parametrize("threads", [1, 3])
def test_windows_are_opened(tmp_path, threads):
    alice, _bob = conversation(tmp_path, "alice", "bob")
    windows = []
    for serial in range(3):
        window = alice.window_open(CONVERSATION, OPENS, serial)
        texts = [f"{serial} {n}" for n in range(150 * serial)]
        windows.append((window, [send(alice, window, text).message for text in texts], texts))
    prks = {row[0]: row[1] for row in alice.execute("SELECT window_id, key FROM cs_window")}
    tasks = [
        (w.label, w.seal_digest, derive_prk(w.label, prks[w.window_id]), m) for w, m, _ in windows
    ]
    for (_, messages, texts), frames in zip(windows, open_windows(tasks, threads), strict=True):
        assert [(f.seq, f.content, f.error) for f in frames] == [
            (n, content(t), None) for n, t in enumerate(texts)
        ]
        assert [f.message_digest for f in frames] == [message_digest(m) for m in messages]
    label, seal_digest, prk, messages = tasks[2]
    altered = messages[5].replace(seal_digest, bytes(32))
    errors = [
        f.error
        for f in open_windows(
            [(label, seal_digest, prk, [messages[0], messages[0], altered, b"", messages[2]])], 1
        )[0]
    ]
    assert errors == [None, "F8", "F5", "F1", None]
    with pytest.raises(CoreError, match="S5"):
        open_windows([(label, seal_digest, bytes(32), messages)], threads)
    assert open_windows([], threads) == []
