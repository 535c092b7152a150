"""Objection: "a warrant will be stretched". Each way to stretch one is refused by every holder,
with the rule's number.
"""

import time

import msgspec
import pytest
from tests.support.full_domain import running
from tests.support.refusals import refused
from tests.support.waiting import until

from counterseal.access.authorities import issuer
from counterseal.access.common.ledger_copy import Fresh
from counterseal.access.holders import checks, listings
from counterseal.protocol.access import check_release
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.cose import ReceivedSign, sign
from counterseal.protocol.errors import Refused
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.release import Listing, Release, SealedShares, opener_key_hash

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(tmp_path_factory.mktemp("refused"))


@pytest.fixture(scope="module")
def conversation(rig):
    return rig.talk(rig.keyset_digest, ["good morning", "and good night"])


@pytest.fixture(scope="module")
def listed(rig, conversation):
    """A good warrant's listing as the first custodian fetched it, every byte real."""
    digest = rig.warrant(conversation[0].account)
    home = rig.custodians[0]
    rig.listed(home, digest)
    desk = rig.desk(home)
    fresh = desk.sync()
    case = desk.case(fresh, digest)
    windows = listings.fetch(desk.source, desk.rules.log, digest, 0, case.position)
    return desk, case, windows


def office(rig):
    return issuer.IssuerLedger(rig.prosecutor, rig.service_for(rig.prosecutor))


def order(rig, account, **changes):
    start = rig.charter.charter.valid_from
    terms = {"start": start, "until": start + 86_400, "ground": "homicide", **changes}
    return issuer.draft(rig.charter, [account], **terms).warrant


def refusal(rig, warrant):
    """The rule by which every custodian's desk refuses the warrant."""
    rules = set()
    for home in rig.custodians:
        desk = rig.desk(home)
        with pytest.raises(Refused) as refused:
            desk.case(desk.sync(), warrant.digest())
        rules.add(refused.value.rule)
    [rule] = rules
    return rule


def submit(rig, *statements):
    """Puts statements into the ledger and waits until it has said what it makes of them."""
    view = office(rig)
    before = len(view.sync().state.outcomes)
    issuer.submit(view.service, *statements)
    until(lambda: len(view.sync().state.outcomes) >= before + len(statements))
    return view.sync().state.outcomes[before:]


def test_one_issuer_alone_is_not_obeyed(rig, conversation):
    warrant = order(rig, conversation[0].account, reference="alone")
    submit(rig, issuer.sign_warrant(rig.prosecutor, warrant))
    assert refusal(rig, warrant) == "W6"


def test_one_issuer_does_not_approve_its_own(rig, conversation):
    warrant = order(rig, conversation[0].account, reference="own")
    *_, approved = submit(
        rig, issuer.sign_warrant(rig.prosecutor, warrant), issuer.approve(rig.prosecutor, warrant)
    )
    assert approved.rule == "W6"
    assert refusal(rig, warrant) == "W6"


def test_the_same_body_twice_is_not_a_double_lock(rig, conversation):
    warrant = order(rig, conversation[0].account, reference="deputy")
    *_, approved = submit(
        rig, issuer.sign_warrant(rig.prosecutor, warrant), issuer.approve(rig.deputy, warrant)
    )
    assert approved.rule == "W7"
    assert refusal(rig, warrant) == "W6"


def test_an_issuer_that_the_charter_does_not_name_is_nobody(rig, conversation):
    warrant = order(rig, conversation[0].account, reference="stranger")
    # an institution of the charter, but no issuer
    [outcome] = submit(rig, issuer.sign_warrant(rig.custodians[0], warrant))
    assert outcome.rule == "X4"
    assert refusal(rig, warrant) == "W15"


def test_an_expired_warrant_is_over(rig, conversation):
    warrant = order(rig, conversation[0].account, reference="short", expires=int(time.time()) + 4)
    submit(rig, issuer.sign_warrant(rig.prosecutor, warrant), issuer.approve(rig.judge, warrant))
    until(lambda: time.time() > warrant.expires + 1)
    assert refusal(rig, warrant) == "W10"


def test_a_cancelled_warrant_is_over(rig, conversation):
    digest = rig.warrant(conversation[0].account, reference="cancelled")
    warrant = office(rig).sync().state.access(digest).warrant
    submit(rig, issuer.cancel(rig.judge, warrant, "no longer needed"))
    assert refusal(rig, warrant) == "W11"


def test_a_warrant_longer_than_the_charter_allows_cannot_even_be_drafted(rig, conversation):
    start = rig.charter.charter.valid_from
    with refused("W3"):
        order(rig, conversation[0].account, until=start + 93 * 86_400)


def test_more_accounts_than_the_charter_allows(rig):
    with refused("W4"):
        issuer.draft(rig.charter, [bytes([i]) * 32 for i in range(6)], 0, 3_600, "homicide")


def stretched(rig, listed, **changes):
    """What a holder says to the same real windows, listed by a corrupt service under a warrant that
    differs by `changes`.
    """
    desk, case, windows = listed
    warrant = msgspec.structs.replace(case.warrant.warrant, reference="stretched", **changes)
    state = AccessState(desk.rules.rulebook)
    now = int(time.time())
    listing = Listing(
        warrant.domain, warrant.digest(), 0, 1, tuple(window.label.window_id for window in windows)
    )
    statements = (
        issuer.sign_warrant(rig.prosecutor, warrant),
        issuer.approve(rig.judge, warrant),
        listing.encode(),
    )
    for statement in statements:
        assert state.apply(now, statement).rule is None
    fresh = Fresh(state, now, 12)
    verified = checks.check_access(fresh, warrant.digest(), now)
    return checks.check_listing(fresh, verified, listing.digest(), windows, [], desk.rules.keysets)


def test_the_same_windows_under_the_same_terms_pass(rig, listed):
    assert stretched(rig, listed).units == 1  # or the refusals below would show nothing


def test_another_account_is_out_of_scope(rig, listed, conversation):
    with refused("R2"):
        stretched(rig, listed, account_ids=(conversation[1].account,))


def test_a_member_of_the_conversation_is_in_scope_only_if_the_direction_says_so(
    rig, listed, conversation
):
    assert (
        stretched(
            rig, listed, account_ids=(conversation[1].account,), direction="conversation"
        ).units
        == 1
    )
    with refused("R2"):
        stretched(rig, listed, account_ids=(b"\x07" * 32,), direction="conversation")


def test_another_day_is_out_of_scope(rig, listed):
    start = rig.charter.charter.valid_from + 86_400
    with refused("R3"):
        stretched(rig, listed, start=start, until=start + 3_600)


def test_another_conversation_is_out_of_scope(rig, listed):
    with refused("R4"):
        stretched(rig, listed, conversations=(b"\x07" * 16,))


def test_windows_under_another_charter_are_out_of_scope(rig, listed):
    desk, case, windows = listed
    other = [
        msgspec.structs.replace(
            one, label=msgspec.structs.replace(one.label, charter_digest=b"\x07" * 32)
        )
        for one in windows
    ]
    with refused("R1", "L1"):
        stretched(rig, (desk, case, other))


def test_a_window_slipped_in_beside_the_listing_is_refused(rig, listed):
    desk, case, windows = listed
    fresh = desk.sync()
    digest = case.warrant.access.listings[0][0]
    with refused("R7"):
        checks.check_listing(
            fresh, case.warrant, digest, [*windows, windows[0]], [], desk.rules.keysets
        )


def test_a_window_of_no_logged_period_is_refused(rig, listed):
    desk, case, windows = listed
    root = msgspec.structs.replace(windows[0].logged.root, opens=windows[0].label.opens + 3_600)
    other = [
        msgspec.structs.replace(
            windows[0], logged=msgspec.structs.replace(windows[0].logged, root=root)
        )
    ]
    with refused("R6"):
        stretched(rig, (desk, case, other))


def test_a_release_is_of_no_use_to_another_opener(rig, listed):
    """Neither can the release be replayed under a warrant with another key (R12), nor the shares be
    opened with it (X5).
    """
    desk, case, _ = listed
    other = SealingKey.generate()
    release = checks.make_release(case.warrant, None, case.position)
    swapped = msgspec.structs.replace(release, opener_key_hash=opener_key_hash(other.public))
    with refused("R12"):
        check_release(case.warrant.access, swapped, case.warrant.charter)
    listing = desk.verify(desk.sync(), case, case.warrant.access.listings[0][0])
    sealed = SealedShares.decode(
        ReceivedSign.decode(desk.shares(case, listing), SealedShares.limit).payload
    )
    with refused("X5"):
        other.open(sealed.info, sealed.sealed)
    moved = SealedShares(b"\x07" * 32, sealed.listing_digest, sealed.position, sealed.sealed)
    with pytest.raises(Refused):
        rig.opener.reader.open(moved.info, moved.sealed)
    assert rig.opener.reader.open(sealed.info, sealed.sealed)


def test_a_holder_does_not_sign_two_releases_of_one_listing(rig, listed):
    desk, case, _ = listed
    listing = desk.verify(desk.sync(), case, case.warrant.access.listings[0][0])
    first = desk.release(case, listing)
    assert desk.release(case, listing) == first
    other = msgspec.structs.replace(
        case.warrant,
        warrant=msgspec.structs.replace(
            case.warrant.warrant, opener_key=SealingKey.generate().public
        ),
    )
    changed = msgspec.structs.replace(
        other, access=msgspec.structs.replace(other.access, warrant=other.warrant)
    )
    with refused("R12"):
        desk.release(
            msgspec.structs.replace(case, warrant=changed),
            msgspec.structs.replace(listing, warrant=changed),
        )


def test_a_custodian_cannot_release_in_anothers_name(rig, listed):
    desk, case, _ = listed
    record = Release(
        case.warrant.warrant.domain,
        case.warrant.charter.digest,
        case.warrant.digest,
        case.warrant.access.listings[0][0],
        case.position + 1,
        opener_key_hash(case.warrant.warrant.opener_key),
        (),
    )
    [outcome] = submit(rig, sign([desk.home.signer], record.encode()))
    assert outcome.rule in {"R9", "X4"}
