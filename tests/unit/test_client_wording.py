"""The app's own lines: who came, who went, who reads with another device."""

from counterseal.client.wording import AccountNames, change_sentences

ALICE, BOB, CAROL = ((bytes([n]) * 32, bytes([n + 100]) * 32) for n in (1, 2, 3))
PHONE = (ALICE[0], b"p" * 32)
NAMES = AccountNames({ALICE[0]: "alice", BOB[0]: "bob", CAROL[0]: ""})


def told(before, after, asked=(), committer=ALICE):
    return change_sentences(committer, before, after, asked, NAMES)


def test_names():
    assert NAMES.join([BOB[0], ALICE[0], BOB[0]]) == "alice, bob"
    assert NAMES.join([CAROL[0]]) == "03030303", "no handle is proved"
    assert NAMES.join([]) == "nobody else"


def test_who_comes_and_goes():
    assert told([ALICE], [ALICE]) == []
    assert told([ALICE], [ALICE, BOB, CAROL]) == ["alice added bob, 03030303."]
    assert told([ALICE, BOB], [ALICE]) == ["alice removed bob."]
    assert told([ALICE, BOB], [ALICE], asked=[BOB[1]]) == ["bob left."]
    assert told([ALICE, BOB], [BOB, CAROL], [ALICE[1]], committer=BOB) == [
        "bob added 03030303.",
        "alice left.",
    ]


def test_further_and_fewer_devices_of_those_who_stay():
    assert told([ALICE], [ALICE, PHONE]) == ["alice reads with a further device from here on."]
    assert told([ALICE, PHONE], [ALICE]) == ["A device of alice was removed."]
    assert told([ALICE, PHONE], [ALICE], asked=[PHONE[1]]) == ["A device of alice was removed."]
