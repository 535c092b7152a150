import pytest
from tests.support.devices import (
    CHARTER,
    CONTEXT,
    CONVERSATION,
    HOUR,
    KEYSET,
    OPENS,
    QUARTER,
    conversation,
    create,
    follow,
    join,
    make_device,
    me,
    open_device,
    package,
    register,
    send,
)
from tests.support.refusals import refused_by_core

from counterseal.core import (
    DEFAULT_SUITE,
    SUITES,
    check_key_package,
    parse_private,
    public_group,
    public_process,
)
from counterseal.protocol.window import Roster


def read(device, sealed):
    return device.frame_open(CONVERSATION, sealed.message, OPENS)


@pytest.mark.parametrize("suite", SUITES)
def test_every_known_suite_carries_a_message(tmp_path, suite):
    alice, bob = make_device(tmp_path, "alice"), make_device(tmp_path, "bob")
    alice.group_create(CONVERSATION, suite, CHARTER, QUARTER, KEYSET)
    commit = alice.group_commit(CONVERSATION, bob.key_packages(1, False, suite), [], None)
    assert alice.group_merge(CONVERSATION).suite == suite
    join(commit, bob)
    sealed = send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    assert read(bob, sealed).sent_at_ms == OPENS * 1000


def test_unknown_suites_are_refused(tmp_path):
    alice = make_device(tmp_path, "alice")
    for suite in (0x0001, 0x0042, 0xFFFF):
        with refused_by_core("mls"):
            alice.key_packages(1, False, suite)
        with refused_by_core("mls"):
            alice.group_create(CONVERSATION, suite, *CONTEXT)


def test_key_packages(tmp_path):
    alice = make_device(tmp_path, "alice")
    first, second = alice.key_packages(2, False, DEFAULT_SUITE)
    account, device, suite, reference, last_resort = check_key_package(first)
    assert ((account, device), suite, last_resort) == (me(alice), DEFAULT_SUITE, False)
    assert len(reference) == 32 and reference != check_key_package(second)[3]
    assert check_key_package(alice.key_packages(1, True, DEFAULT_SUITE)[0])[4]
    for at in (10, len(first) // 2, len(first) - 1):
        spoiled = first[:at] + bytes([first[at] ^ 1]) + first[at + 1 :]
        with refused_by_core("mls"):
            check_key_package(spoiled)
    with refused_by_core("mls"):
        check_key_package(first + b"\0")
    with refused_by_core("mls"):
        check_key_package(b"")


def test_last_resort_packages_serve_twice(tmp_path):
    alice, bob, carol = (make_device(tmp_path, name) for name in ("alice", "bob", "carol"))
    last = carol.key_packages(1, True, DEFAULT_SUITE)
    for number, maker in enumerate((alice, bob)):
        group = bytes([number] * 16)
        maker.group_create(group, DEFAULT_SUITE, *CONTEXT)
        commit = maker.group_commit(group, last, [], None)
        assert commit.welcome
        carol.group_join(commit.welcome, commit.tree)
        carol.group_accept(group)
    assert carol.groups() == [bytes(16), bytes([1] * 16)]


def test_views_and_the_service_agree(tmp_path):
    alice, bob, carol = (make_device(tmp_path, name) for name in ("alice", "bob", "carol"))
    public = public_group(create(alice), alice.group_tree(CONVERSATION))
    assert (public.kind, public.view.epoch, public.view.roster, public.sender) == (
        "group",
        0,
        [me(alice)],
        me(alice),
    )

    def step(committer, others, add=(), remove=(), context=None):
        nonlocal public
        commit = committer.group_commit(
            CONVERSATION, [package(d) for d in add], [me(d) for d in remove], context
        )
        public = public_process(public.state, commit.message)
        assert commit.epoch == public.view.epoch - 1
        views = [committer.group_merge(CONVERSATION)]
        follow(commit, *others)
        if add:
            join(commit, *add)
        views += [d.group_view(CONVERSATION) for d in (*others, *add)]
        for view in views:
            assert view.roster == public.view.roster == sorted(view.roster)
            assert (
                view.roster_digest == public.view.roster_digest == Roster.of(view.roster).digest()
            )
            assert (view.epoch, view.roster_epoch) == (public.view.epoch, public.view.roster_epoch)
            assert (view.charter_digest, view.quarter, view.keyset_digest) == (
                public.view.charter_digest,
                public.view.quarter,
                public.view.keyset_digest,
            )
        # The service can begin again from what the commit brought, but for the roster's epoch.
        again = public_group(commit.group_info, commit.tree)
        assert (again.view.epoch, again.view.roster) == (public.view.epoch, public.view.roster)
        return public.view

    assert step(alice, [], add=[bob]).roster_epoch == 1
    assert (public.added, public.added_refs[0]) == ([me(bob)], public.added_refs[0])
    view = step(bob, [alice], context=(b"d" * 32, QUARTER + 1, b"l" * 32))
    assert (view.roster_epoch, view.charter_digest, view.quarter) == (1, b"d" * 32, QUARTER + 1)
    assert step(alice, [bob]).roster_epoch == 1
    assert step(alice, [bob], add=[carol]).roster_epoch == 4
    assert (carol.group_view(CONVERSATION).roster_epoch, carol.group_view(CONVERSATION).epoch) == (
        4,
        4,
    )
    assert step(carol, [alice], remove=[bob]).roster_epoch == 5
    assert public.removed == [me(bob)]
    assert alice.group_view(CONVERSATION, 2).quarter == QUARTER + 1
    with refused_by_core("usage"):
        carol.group_view(CONVERSATION, 3)


def test_added_refs_are_the_key_packages(tmp_path):
    alice, bob = make_device(tmp_path, "alice"), make_device(tmp_path, "bob")
    public = public_group(create(alice), alice.group_tree(CONVERSATION))
    key_package = package(bob)
    commit = alice.group_commit(CONVERSATION, [key_package], [], None)
    assert public_process(public.state, commit.message).added_refs == [
        check_key_package(key_package)[3]
    ]


def test_staged_commits_say_what_they_do(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    carol = make_device(tmp_path, "carol")
    commit = alice.group_commit(
        CONVERSATION, [package(carol)], [me(bob)], (CHARTER, QUARTER + 1, b"m" * 32)
    )
    staged = bob.group_stage(CONVERSATION, commit.message)
    assert (staged.kind, staged.epoch, staged.committer) == ("commit", 1, me(alice))
    assert (staged.added, staged.removed, staged.removes_me) == ([me(carol)], [me(bob)], True)
    assert staged.context == (CHARTER, QUARTER + 1, b"m" * 32)
    bob.group_refuse(CONVERSATION)
    with refused_by_core("usage"):
        bob.group_accept(CONVERSATION)
    bob.group_stage(CONVERSATION, commit.message)
    assert me(bob) not in bob.group_accept(CONVERSATION).roster
    with refused_by_core("usage"):
        bob.window_open(CONVERSATION, OPENS, 1)


def test_the_winner_of_a_commit_race(tmp_path):
    alice, bob, carol = conversation(tmp_path, "alice", "bob", "carol")
    dora, emil = make_device(tmp_path, "dora"), make_device(tmp_path, "emil")
    public, first = public_group_of(alice)
    follow(first, bob, carol)
    winner = alice.group_commit(CONVERSATION, [package(dora)], [], None)
    loser = bob.group_commit(CONVERSATION, [package(emil)], [], None)
    public = public_process(public.state, winner.message)
    with refused_by_core("mls"):
        public_process(public.state, loser.message)
    # one commit at a time
    with refused_by_core("usage"):
        bob.group_commit(CONVERSATION, [], [], None)
    # its own, to be merged
    with refused_by_core("usage"):
        alice.group_stage(CONVERSATION, winner.message)
    alice.group_merge(CONVERSATION)
    bob.group_discard(CONVERSATION)
    with refused_by_core("usage"):
        bob.group_discard(CONVERSATION)
    with refused_by_core("usage"):
        bob.group_merge(CONVERSATION)
    follow(winner, bob, carol)
    join(winner, dora)
    again = bob.group_commit(CONVERSATION, [package(emil)], [], None)
    bob.group_merge(CONVERSATION)
    follow(again, alice, carol, dora)
    join(again, emil)
    sealed = send(emil, emil.window_open(CONVERSATION, OPENS, 1))
    for reader in (alice, bob, carol, dora):
        assert read(reader, sealed).device_key == me(emil)[1]


def public_group_of(device):
    """The service's state of a group that it first sees now."""
    commit = device.group_commit(CONVERSATION, [], [], None)
    device.group_merge(CONVERSATION)
    return public_group(commit.group_info, commit.tree), commit


def test_the_winner_may_be_taken_while_a_commit_is_pending(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    winner = alice.group_commit(CONVERSATION, [], [], None)
    bob.group_commit(CONVERSATION, [], [], None)
    alice.group_merge(CONVERSATION)
    follow(winner, bob)
    with refused_by_core("usage"):
        bob.group_merge(CONVERSATION)
    assert bob.group_view(CONVERSATION).epoch == 2


def test_a_pending_commit_survives_a_restart(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    commit = alice.group_commit(CONVERSATION, [], [], None)
    alice.close()
    with refused_by_core("usage"):
        alice.groups()
    alice = open_device(tmp_path, "alice")
    assert alice.group_merge(CONVERSATION).epoch == 2
    follow(commit, bob)
    assert read(bob, send(alice, alice.window_open(CONVERSATION, OPENS, 1))).epoch == 2


def test_leaving(tmp_path):
    alice, bob, carol = conversation(tmp_path, "alice", "bob", "carol")
    commit = alice.group_commit(CONVERSATION, [], [], None)
    public = public_group(commit.group_info, commit.tree)
    alice.group_merge(CONVERSATION)
    follow(commit, bob, carol)
    proposal = bob.group_leave(CONVERSATION)
    public = public_process(public.state, proposal)
    assert (public.kind, public.sender, public.removed) == ("proposal", me(bob), [me(bob)])
    assert public.view.epoch == 2
    for other in (alice, carol):
        staged = other.group_stage(CONVERSATION, proposal)
        assert (staged.kind, staged.committer, staged.removed) == ("proposal", me(bob), [me(bob)])
        assert other.group_accept(CONVERSATION).epoch == 2
    leaving = carol.group_commit(CONVERSATION, [], [], None)
    public = public_process(public.state, leaving.message)
    assert (public.kind, public.sender, public.removed) == ("commit", me(carol), [me(bob)])
    assert public.view.roster_epoch == carol.group_merge(CONVERSATION).roster_epoch == 3
    follow(leaving, alice)
    staged = bob.group_stage(CONVERSATION, leaving.message)
    assert staged.removes_me
    bob.group_accept(CONVERSATION)
    assert alice.group_view(CONVERSATION).roster == sorted([me(alice), me(carol)])


def test_a_removed_device_may_be_added_again(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    out = alice.group_commit(CONVERSATION, [], [me(bob)], None)
    alice.group_merge(CONVERSATION)
    follow(out, bob)
    back = alice.group_commit(CONVERSATION, [package(bob)], [], None)
    alice.group_merge(CONVERSATION)
    join(back, bob)
    assert bob.group_view(CONVERSATION).roster_epoch == 3
    assert read(bob, send(alice, alice.window_open(CONVERSATION, OPENS, 1))).epoch == 3


def test_a_joined_group_waits_for_acceptance(tmp_path):
    alice, bob = make_device(tmp_path, "alice"), make_device(tmp_path, "bob")
    create(alice)
    commit = alice.group_commit(CONVERSATION, [package(bob)], [], None)
    alice.group_merge(CONVERSATION)
    sealed = send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    view = bob.group_join(commit.welcome, commit.tree)
    assert view.roster == sorted([me(alice), me(bob)])
    with refused_by_core("usage"):
        bob.window_open(CONVERSATION, OPENS, 1)
    with refused_by_core("usage"):
        bob.group_commit(CONVERSATION, [], [], None)
    with refused_by_core("usage"):
        bob.group_leave(CONVERSATION)
    with refused_by_core("usage"):
        bob.frame_open(CONVERSATION, sealed.message, OPENS)
    bob.group_accept(CONVERSATION)
    assert read(bob, sealed).seq == 0  # the refusal before had consumed nothing


def test_a_joined_group_may_be_forgotten(tmp_path):
    alice, bob = make_device(tmp_path, "alice"), make_device(tmp_path, "bob")
    create(alice)
    commit = alice.group_commit(CONVERSATION, [package(bob)], [], None)
    bob.group_join(commit.welcome, commit.tree)
    bob.group_forget(CONVERSATION)
    assert bob.groups() == []
    with refused_by_core("usage"):
        bob.group_view(CONVERSATION)
    with refused_by_core("usage"):
        bob.group_forget(CONVERSATION)
    # The key package is used up: the same Welcome opens no second time.
    with refused_by_core("mls"):
        bob.group_join(commit.welcome, commit.tree)


def test_bad_welcomes(tmp_path):
    alice, bob, carol = (make_device(tmp_path, name) for name in ("alice", "bob", "carol"))
    create(alice)
    commit = alice.group_commit(CONVERSATION, [package(bob)], [], None)
    alice.group_merge(CONVERSATION)
    old_tree = alice.group_tree(CONVERSATION)
    # not for this device
    with refused_by_core("mls"):
        carol.group_join(commit.welcome, commit.tree)
    with refused_by_core("mls"):
        bob.group_join(commit.welcome, commit.tree[:-1])
    with refused_by_core("mls"):
        bob.group_join(commit.message, commit.tree)
    with refused_by_core("mls"):
        bob.group_join(commit.welcome[:-1], commit.tree)
    later = alice.group_commit(CONVERSATION, [package(carol)], [], None)
    # another epoch's tree
    with refused_by_core("mls"):
        bob.group_join(commit.welcome, later.tree)
    assert old_tree == commit.tree
    # None of the attempts has used up the key package.
    assert bob.group_join(commit.welcome, commit.tree).epoch == 1
    # a member already
    with refused_by_core("mls"):
        bob.group_join(commit.welcome, commit.tree)


def test_handshakes_that_are_refused(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    sealed = send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    commit = alice.group_commit(CONVERSATION, [], [], None)
    for message in (
        b"",
        b"junk",
        sealed.message,
        commit.group_info,
        commit.message[:-1],
        commit.message + b"\0",
    ):
        with refused_by_core("mls"):
            bob.group_stage(CONVERSATION, message)
    spoiled = commit.message[:-1] + bytes([commit.message[-1] ^ 1])
    with refused_by_core("mls"):
        bob.group_stage(CONVERSATION, spoiled)
    follow(commit, bob)
    # its epoch is over
    with refused_by_core("mls"):
        bob.group_stage(CONVERSATION, commit.message)
    with refused_by_core("usage"):
        bob.group_commit(CONVERSATION, [], [(bytes(32), bytes(32))], None)
    with refused_by_core("mls"):
        bob.group_commit(CONVERSATION, [b"junk"], [], None)
    # leaving is group_leave
    with refused_by_core("mls"):
        bob.group_commit(CONVERSATION, [], [me(bob)], None)
    # a member already
    with refused_by_core("mls"):
        bob.group_commit(CONVERSATION, [package(alice)], [], None)
    assert bob.group_view(CONVERSATION).epoch == 2


def test_the_service_refuses_what_members_refuse(tmp_path):
    alice, bob = make_device(tmp_path, "alice"), make_device(tmp_path, "bob")
    public = public_group(create(alice), alice.group_tree(CONVERSATION))
    commit = alice.group_commit(CONVERSATION, [package(bob)], [], None)
    for message in (b"", commit.message[:-1], commit.welcome, commit.group_info):
        with refused_by_core("mls"):
            public_process(public.state, message)
    # All but the last bytes: confirmation and membership tags are the members' to check, with the
    # group's secrets.
    for at in range(0, len(commit.message) - 70, 97):
        spoiled = commit.message[:at] + bytes([commit.message[at] ^ 1]) + commit.message[at + 1 :]
        with refused_by_core("mls"):
            public_process(public.state, spoiled)
    with refused_by_core("usage"):
        public_process(b"junk", commit.message)
    with refused_by_core("mls"):
        public_group(commit.message, commit.tree)
    with refused_by_core("mls"):
        public_group(commit.group_info, public.state)
    # the tree before
    with refused_by_core("mls"):
        public_group(commit.group_info, alice.group_tree(CONVERSATION))
    # A pure function: the state is what it was, and gives the same again.
    assert public_process(public.state, commit.message).view.epoch == 1
    assert public_process(public.state, commit.message).added == [me(bob)]


def test_the_outside_of_a_message(tmp_path):
    alice, _bob = conversation(tmp_path, "alice", "bob")
    sealed = send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    group, epoch, authenticated = parse_private(sealed.message)
    assert (group, epoch) == (CONVERSATION, 1)
    assert sealed.window_id in authenticated
    commit = alice.group_commit(CONVERSATION, [], [], None)
    for message in (
        b"",
        commit.message,
        sealed.message[:-1],
        sealed.message + b"\0",
        bytes(70_000),
    ):
        with refused_by_core("F1"):
            parse_private(message)


def test_messages_that_cross_commits_are_read(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    window = bob.window_open(CONVERSATION, OPENS, 1)
    late = [send(bob, window, f"message {n}") for n in range(3)]
    for _ in range(5):
        commit = alice.group_commit(CONVERSATION, [], [], None)
        alice.group_merge(CONVERSATION)
        follow(commit, bob)
    assert [read(alice, sealed).seq for sealed in late] == [0, 1, 2]
    after = send(bob, window, "the same window")  # no roster change: the window goes on
    assert (read(alice, after).seq, read(alice, after).duplicate) == (3, True)
    commit = alice.group_commit(CONVERSATION, [], [], None)
    alice.group_merge(CONVERSATION)
    ahead = send(alice, alice.window_open(CONVERSATION, OPENS, 1))
    # its epoch has not begun here
    with refused_by_core("F1"):
        bob.frame_open(CONVERSATION, ahead.message, OPENS)
    follow(commit, bob)
    assert read(bob, ahead).epoch == 7


def test_a_new_charter_ends_the_window(tmp_path):
    alice, bob = conversation(tmp_path, "alice", "bob")
    old = alice.window_open(CONVERSATION, OPENS, 1)
    assert alice.window_current(CONVERSATION, OPENS).window_id == old.window_id
    assert alice.window_current(CONVERSATION, OPENS + HOUR) is None
    commit = bob.group_commit(CONVERSATION, [], [], (b"d" * 32, QUARTER, b"l" * 32))
    bob.group_merge(CONVERSATION)
    follow(commit, alice)
    # the new keyset is not registered
    with refused_by_core("usage"):
        alice.window_current(CONVERSATION, OPENS)
    for device in (alice, bob):
        register(device, b"d" * 32, b"l" * 32)
    assert alice.window_current(CONVERSATION, OPENS) is None
    with refused_by_core("usage"):
        alice.frame_seal(old.window_id, b"")
    new = alice.window_open(CONVERSATION, OPENS, 2)
    assert read(bob, send(alice, new)).label == new.label
