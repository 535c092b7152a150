"""What a member's app asks of membership: every rule that can refuse, by its number."""

import pytest
from tests.support.refusals import refused

from counterseal.client.policy import Handshake, Need, check_forward, check_joining, judge
from counterseal.protocol.errors import Refused

ALICE, BOB, CAROL = ((bytes([n]) * 32, bytes([n + 100]) * 32) for n in (1, 2, 3))
ROSTER = [ALICE, BOB]
NOW = (b"c" * 32, 8104, b"k" * 32)
NEXT = (b"c" * 32, 8105, b"l" * 32)
OTHER_CHARTER = (b"d" * 32, 8104, b"m" * 32)
OLD_QUARTER_NEW_CHARTER = (b"d" * 32, 8103, b"n" * 32)


class Fixed:
    """Knowledge that is given."""

    def __init__(self, **standings):
        self.standings = {
            CAROL: "active",
            ALICE: "active",
            BOB: "active",
            **standings.pop("devices", {}),
        }
        self.places = {
            NOW: (1, 8104),
            NEXT: (1, 8105),
            OTHER_CHARTER: (2, 8104),
            OLD_QUARTER_NEW_CHARTER: (2, 8103),
        }

    def device(self, account, device):
        standing = self.standings[(account, device)]
        if standing == "ask":
            raise Need([account])
        return standing

    def context(self, context):
        if context not in self.places:
            raise Refused("M3", "Not in the log.")
        return self.places[context]


def commit(committer=ALICE, added=(), removed=(), context=None, kind="commit"):
    return Handshake(kind, committer, tuple(added), tuple(removed), context)


@pytest.mark.parametrize(
    "handshake",
    [
        commit(),
        commit(added=[CAROL]),
        commit(removed=[BOB]),
        commit(context=NOW),
        commit(context=NEXT),
        commit(context=OTHER_CHARTER),
    ],
)
def test_follows(handshake):
    assert judge(handshake, ROSTER, NOW, Fixed()) is handshake


@pytest.mark.parametrize(
    ("rule", "handshake", "devices"),
    [
        ("M1", commit(committer=CAROL), {}),
        ("M1", commit(committer=CAROL, added=[CAROL], removed=[CAROL]), {}),
        ("M2", commit(added=[CAROL]), {CAROL: "unknown"}),
        ("M2", commit(added=[CAROL]), {CAROL: "revoked"}),
        ("M3", commit(context=(b"x" * 32, 8104, b"k" * 32)), {}),
        ("M3", commit(context=OLD_QUARTER_NEW_CHARTER), {}),
        ("M5", commit(kind="proposal", removed=[BOB]), {}),
        ("M5", commit(kind="proposal", added=[CAROL]), {}),
        ("M5", commit(kind="proposal", context=NEXT), {}),
    ],
)
def test_refuses(rule, handshake, devices):
    with refused(rule):
        judge(handshake, ROSTER, NOW, Fixed(devices=devices))


def test_a_context_never_goes_back():
    """M3."""
    for present, new in ((NEXT, NOW), (OTHER_CHARTER, NOW), (OTHER_CHARTER, NEXT), (NEXT, NEXT)):
        with pytest.raises(Refused, match="M3"):
            check_forward(present, new, Fixed())


def test_asks_for_all_that_it_does_not_know_at_once():
    with pytest.raises(Need) as need:
        judge(commit(added=[CAROL, BOB]), ROSTER, NOW, Fixed(devices={CAROL: "ask", BOB: "ask"}))
    assert need.value.accounts == {CAROL[0], BOB[0]}


def test_leaving_is_a_proposal_about_oneself():
    proposal = commit(kind="proposal", removed=[ALICE])
    assert judge(proposal, ROSTER, NOW, Fixed()) is proposal


def test_an_invitation():
    """M4."""
    check_joining(ROSTER, ALICE, NOW, Fixed())
    # F3 refuses its frames, the next sender removes it
    check_joining(ROSTER, ALICE, NOW, Fixed(devices={BOB: "revoked"}))
    for roster, context, devices in (
        ([BOB], NOW, {}),
        (ROSTER, NOW, {BOB: "unknown"}),
        (ROSTER, (b"x" * 32, 1, b"y" * 32), {}),
    ):
        with pytest.raises(Refused, match="M4"):
            check_joining(roster, ALICE, context, Fixed(devices=devices))
