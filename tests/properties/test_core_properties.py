"""What holds of the compiled floor whatever the input."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.devices import CONVERSATION, OPENS, content, conversation, follow
from tests.support.refusals import refused_by_core

from counterseal.core import (
    CoreError,
    check_key_package,
    join_shares,
    open_windows,
    parse_private,
    public_group,
    public_process,
    split_shares,
)
from counterseal.protocol import sharing
from counterseal.protocol.cbor import encode
from counterseal.protocol.tree import Tree

quorums = st.integers(1, 6).flatmap(
    lambda members: st.tuples(st.integers(1, members), st.just(members))
)
trees = st.lists(quorums, min_size=1, max_size=5).flatmap(
    lambda bodies: st.tuples(st.integers(1, len(bodies)), st.just(bodies), quorums)
)


@given(trees, st.binary(min_size=32, max_size=32), st.data())
def test_a_set_of_shares_joins_exactly_if_it_is_a_quorum(shape, prk, data):
    needed, bodies, witnesses = shape
    tree = encode([[needed, [list(b) for b in bodies]], list(witnesses)])
    shares = split_shares(tree, prk)
    reference = Tree.decode(tree)
    assert tuple(shares) == sharing.split(reference, prk)
    chosen = data.draw(st.lists(st.sampled_from(range(len(shares))), unique=True))
    there = {i: shares[i] for i in chosen}
    try:
        expected = sharing.combine(reference, there)
        assert expected == prk == join_shares(tree, list(there.items()))
    except Exception:
        with refused_by_core("S4"):
            join_shares(tree, list(there.items()))


@given(st.binary(max_size=300))
def test_no_input_is_more_than_refused(data):
    for call in (
        parse_private,
        check_key_package,
        lambda b: public_group(b, b),
        lambda b: public_process(b, b),
        lambda b: join_shares(b, []),
        lambda b: open_windows([(b, bytes(32), bytes(32), [b])], 1),
    ):
        with pytest.raises(CoreError) as refusal:
            call(data)
        assert refusal.value.code != "fatal"


ACTIONS = st.lists(
    st.sampled_from(["send", "send", "send back", "commit", "unseal", "window", "lose"]),
    min_size=1,
    max_size=25,
)


@given(ACTIONS)
@settings(max_examples=20)
def test_devices_stay_in_step_through_rollbacks(actions):
    """Each action is tried in a transaction that is rolled back, then done for good; both devices
    always understand each other.
    """
    with tempfile.TemporaryDirectory() as folder:
        alice, bob = conversation(Path(folder), "alice", "bob")
        serial, sent = 1, 0
        window = alice.window_open(CONVERSATION, OPENS, serial)
        answer = bob.window_open(CONVERSATION, OPENS, serial)

        def send(sender, reader, of):
            sealed = sender.frame_seal(of.window_id, content(f"{sent}"))
            reader.begin()
            reader.frame_open(CONVERSATION, sealed.message, OPENS)
            reader.rollback()
            assert reader.frame_open(CONVERSATION, sealed.message, OPENS).content == content(
                f"{sent}"
            )

        for action in actions:
            sent += 1
            if action == "send":
                send(alice, bob, window)
            elif action == "send back":
                send(bob, alice, answer)
            elif action == "lose":
                alice.begin()
                alice.frame_seal(window.window_id, content("lost"))
                alice.rollback()
            elif action == "unseal":
                alice.frame_unseal(
                    window.window_id, alice.frame_seal(window.window_id, content("refused")).seq
                )
            elif action == "window":
                serial += 1
                window = alice.window_open(CONVERSATION, OPENS, serial)
            else:
                commit = bob.group_commit(CONVERSATION, [], [], None)
                bob.group_merge(CONVERSATION)
                alice.begin()
                follow(commit, alice)
                alice.rollback()
                follow(commit, alice)
        send(alice, bob, window)
        alice.close()
        bob.close()
