import subprocess
import sys
import threading

import pytest
from tests.support.devices import (
    CHARTER,
    CONVERSATION,
    HOUR,
    KEYSET,
    OPENS,
    TREE,
    content,
    conversation,
    create,
    digest,
    follow,
    join,
    keys,
    make_device,
    me,
    open_device,
    package,
    send,
)
from tests.support.refusals import refused_by_core

from counterseal.core import SQLITE_VERSION, CoreError, Device
from counterseal.protocol.keys import verify_ed25519


def read(device, sealed):
    return device.frame_open(CONVERSATION, sealed.message, OPENS)


def test_the_file_is_encrypted_and_opens_with_its_key_alone(tmp_path):
    device = make_device(tmp_path, "alice")
    device.execute("CREATE TABLE note (text TEXT)")
    device.execute("INSERT INTO note VALUES (?)", ["a sentence that must not stand in the file"])
    device.close()
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        assert b"a sentence" not in data and b"SQLite format" not in data and b"cs_meta" not in data
    path = str(tmp_path / "alice.db")
    with refused_by_core("store"):
        Device.open(path, bytes(32))
    with refused_by_core("usage"):
        Device.open(path, b"short")
    with refused_by_core("usage"):
        Device.create(path, bytes(32))
    with refused_by_core("usage"):
        Device.open(str(tmp_path / "nobody.db"), bytes(32))
    assert open_device(tmp_path, "alice").execute("SELECT count(*) FROM note") == [(1,)]


def test_one_process_at_a_time(tmp_path):
    device = make_device(tmp_path, "alice")
    script = (
        "import sys; from counterseal.core import *\n"
        "try: Device.open(sys.argv[1], bytes(32))\nexcept CoreError as e: print(e.code)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "alice.db")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "busy"
    # In the same process as well, and only for as long as the first is open.
    waiting = threading.Timer(0.3, device.close)
    waiting.start()
    again = open_device(tmp_path, "alice")
    waiting.join()
    assert again.identity() == me(again)


def test_sql(tmp_path):
    device = make_device(tmp_path, "alice")
    device.execute("CREATE VIRTUAL TABLE words USING fts5(body)")
    device.execute("INSERT INTO words VALUES ('the quick brown fox')")
    assert device.execute("SELECT body FROM words WHERE words MATCH 'quick'") == [
        ("the quick brown fox",)
    ]
    row = (None, -5, 2.5, "text", b"bytes", 1)
    assert device.execute("SELECT ?, ?, ?, ?, ?, ?", [None, -5, 2.5, "text", b"bytes", True]) == [
        row
    ]
    assert device.execute("PRAGMA journal_mode") == [("wal",)]
    assert device.execute("PRAGMA synchronous") == [(2,)]
    assert device.execute("PRAGMA secure_delete") == [(1,)]
    assert device.execute("PRAGMA foreign_keys") == [(1,)]
    assert SQLITE_VERSION.split(".")[0] == "3"
    for bad in ("SELECT", "SELECT * FROM nothing", "SELECT 1; SELECT 2"):
        with refused_by_core("store"):
            device.execute(bad)
    for control in ("BEGIN", "commit", " ROLLBACK;", "savepoint x", "ATTACH 'x' AS y"):
        with refused_by_core("usage"):
            device.execute(control)
    with refused_by_core("usage"):
        device.execute("SELECT ?", [object()])


def test_identity(tmp_path):
    device = Device.create(str(tmp_path / "new.db"), bytes(32))
    assert device.identity() is None
    with refused_by_core("usage"):
        device.sign(b"x")
    with refused_by_core("usage"):
        device.key_packages(1, False, 0x4F)
    with refused_by_core("usage"):
        create(device)
    with refused_by_core("usage"):
        device.set_identity(b"short", bytes(32))
    device.begin()
    device.set_identity(digest("a"), digest("seed"))
    device.rollback()
    assert device.identity() is None
    device.set_identity(digest("a"), digest("seed"))
    with refused_by_core("usage"):
        device.set_identity(digest("a"), digest("seed"))
    account, key = me(device)
    assert account == digest("a")
    verify_ed25519(key, device.sign(b"message"), b"message")


def test_keysets(tmp_path):
    device = make_device(tmp_path, "alice")
    # the same again
    device.register_keyset("chat.example.org", CHARTER, KEYSET, TREE, keys(), HOUR)
    with refused_by_core("usage"):
        device.register_keyset("chat.example.org", CHARTER, KEYSET, TREE, keys(), 60)
    with refused_by_core("usage"):
        device.register_keyset("other.example.org", CHARTER, KEYSET, TREE, keys(), HOUR)
    with refused_by_core("usage"):
        device.register_keyset("x", bytes(32), KEYSET, TREE, keys(), 7)
    with refused_by_core("S1"):
        device.register_keyset("x", bytes(32), KEYSET, TREE, keys()[1:], HOUR)
    with refused_by_core("E6"):
        device.register_keyset("x", bytes(32), KEYSET, b"\x80", keys(), HOUR)
    for length in (0, 1183, 1184, 1215, 1217):
        with refused_by_core("E6"):
            device.register_keyset("x", bytes(32), KEYSET, TREE, [bytes(length), *keys()[1:]], HOUR)


def test_an_unregistered_keyset_consumes_nothing(tmp_path):
    (alice,) = conversation(tmp_path, "alice")
    bob = Device.create(str(tmp_path / "bob.db"), bytes(32))
    bob.set_identity(digest("bob"), digest("bob's seed"))
    commit = alice.group_commit(CONVERSATION, [package(bob)], [], None)
    alice.group_merge(CONVERSATION)
    join(commit, bob)
    sealed = send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    with refused_by_core("usage"):
        read(bob, sealed)
    bob.register_keyset("chat.example.org", CHARTER, KEYSET, TREE, keys(), HOUR)
    assert read(bob, sealed).seq == 0


# ---- transactions


def test_transactions_take_everything_with_them(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    alice.execute("CREATE TABLE outbox (message BLOB)")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    alice.begin()
    with refused_by_core("usage"):
        alice.begin()
    lost = send(alice, window, "never sent")
    alice.execute("INSERT INTO outbox VALUES (?)", [lost.message])
    alice.rollback()
    with refused_by_core("usage"):
        alice.rollback()
    with refused_by_core("usage"):
        alice.commit()
    assert alice.execute("SELECT count(*) FROM outbox") == [(0,)]
    alice.begin()
    sealed = send(alice, window, "sent")
    alice.execute("INSERT INTO outbox VALUES (?)", [sealed.message])
    alice.commit()
    assert (lost.seq, sealed.seq) == (0, 0)
    assert alice.execute("SELECT message FROM outbox") == [(sealed.message,)]
    assert read(bob, sealed).content == content("sent")


def test_an_error_inside_a_transaction_undoes_only_its_own_operation(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    alice.begin()
    window = alice.window_open(CONVERSATION, OPENS, 1)
    first = send(alice, window)
    with refused_by_core("usage"):
        alice.frame_seal(window.window_id, content("x" * 65_000))
    with refused_by_core("mls"):
        alice.group_commit(CONVERSATION, [], [me(alice)], None)
    second = send(alice, window)
    alice.commit()
    assert [read(bob, sealed).seq for sealed in (first, second)] == [0, 1]


def test_rollback_of_handshakes(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    carol = make_device(tmp_path, "carol")
    alice.begin()
    alice.group_commit(CONVERSATION, [package(carol)], [], None)
    assert len(alice.group_merge(CONVERSATION).roster) == 3
    alice.rollback()
    assert alice.group_view(CONVERSATION).epoch == 1
    with refused_by_core("usage"):
        alice.group_merge(CONVERSATION)
    commit = alice.group_commit(CONVERSATION, [], [], None)
    alice.group_merge(CONVERSATION)
    bob.begin()
    follow(commit, bob)
    bob.rollback()
    assert bob.group_view(CONVERSATION).epoch == 1
    # what was staged is gone as well
    with refused_by_core("usage"):
        bob.group_accept(CONVERSATION)
    follow(commit, bob)
    assert read(bob, send(alice, alice.window_open(CONVERSATION, OPENS, 1))).epoch == 2


def test_rollback_of_a_read_frame(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    sealed = send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    for _ in range(3):
        bob.begin()
        assert not read(bob, sealed).duplicate
        bob.rollback()
    assert not read(bob, sealed).duplicate
    assert read(bob, sealed).duplicate


def test_rollback_of_a_join(tmp_path):
    (alice,) = conversation(tmp_path, "alice")
    bob = make_device(tmp_path, "bob")
    commit = alice.group_commit(CONVERSATION, [package(bob)], [], None)
    alice.group_merge(CONVERSATION)
    bob.begin()
    join(commit, bob)
    bob.rollback()
    assert bob.groups() == []
    join(commit, bob)
    assert bob.groups() == [CONVERSATION]


CRASH = """
import os, sys
from tests.support.devices import *
device = open_device(Path(sys.argv[1]), "alice")
device.begin()
send(device, device.window_current(CONVERSATION, OPENS), "lost")
device.group_commit(CONVERSATION, [], [], None)
device.group_merge(CONVERSATION)
if sys.argv[2] == "after":
    device.commit()
os._exit(9)
"""


@pytest.mark.parametrize(("moment", "epoch", "seq"), [("before", 1, 1), ("after", 2, 2)])
def test_a_crash_is_all_or_nothing(tmp_path, moment, epoch, seq):
    alice, _bob = conversation(tmp_path, "alice", "bob")
    send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    alice.close()
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path), moment], capture_output=True, text=True
    )
    assert done.returncode == 9, done.stderr
    alice = open_device(tmp_path, "alice")
    assert alice.group_view(CONVERSATION).epoch == epoch
    assert send(alice, alice.window_current(CONVERSATION, OPENS)).seq == seq


def test_everything_survives_a_restart(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    first, second = send(alice, window), send(alice, window)
    read(bob, first)
    alice.close()
    bob.close()
    alice, bob = open_device(tmp_path, "alice"), open_device(tmp_path, "bob")
    assert alice.window_current(CONVERSATION, OPENS).next_seq == 2
    assert read(bob, first).duplicate
    assert (read(bob, second).gap, read(bob, send(alice, window)).seq) == (0, 2)


def test_devices_may_be_used_from_many_threads(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    sealed, failed = [], []

    def work():
        try:
            sealed.extend(send(alice, window) for _ in range(25))
        except CoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(s.seq for s in sealed) == list(range(100))
    assert all(read(bob, s).gap == 0 for s in sorted(sealed, key=lambda s: s.seq))


def test_a_full_disk(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    window = alice.window_open(CONVERSATION, OPENS, 1)
    ((pages,),) = alice.execute("PRAGMA page_count")
    sent = []

    def fill(limit):
        """Seals until the database takes no more."""
        alice.execute(f"PRAGMA max_page_count = {limit}")
        for _ in range(2_000):
            try:
                sent.append(send(alice, window))
            except CoreError as error:
                assert error.code == "store"
                break
        else:
            raise AssertionError("the disk is never full")

    fill(pages)
    alice.execute("PRAGMA max_page_count = 1000000")
    sent.append(send(alice, window))
    # In the caller's transaction: whatever SQLite does about it, nothing of it stays when it is
    # rolled back.
    kept = list(sent)
    alice.begin()
    fill(pages + 2)
    # The transaction is gone, and nothing is done outside it in silence.
    with refused_by_core("store"):
        alice.execute("SELECT 1")
    with refused_by_core("store"):
        send(alice, window)
    with refused_by_core("store"):
        alice.commit()
    alice.rollback()
    alice.execute("PRAGMA max_page_count = 1000000")
    sent = [*kept, send(alice, window)]
    assert [s.seq for s in sent] == list(range(len(sent)))
    assert all(read(bob, s).gap == 0 for s in sent)
