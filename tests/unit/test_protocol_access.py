"""A warrant in the ledger, and what every holder decides by it (rules W, R, O, N1)."""

import msgspec
import pytest
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.describe import phrases
from counterseal.protocol import (
    approval,
    cbor,
    decision,
    export,
    notice,
    received_notice,
    release,
    report,
)
from counterseal.protocol.access import check_released
from counterseal.protocol.access_state import AccessState
from counterseal.protocol.errors import BadInput
from counterseal.protocol.opened_shares import open_shares
from counterseal.protocol.release import Listing
from counterseal.protocol.trusted_rules import Rulebook, VerifiedRevocation, verify_revocation
from counterseal.protocol.window import Roster

replace = msgspec.structs.replace
CHARTER = w.verified()
LABEL = w.make_label(CHARTER.digest)
NOW = w.T0 + w.DAY
END = CHARTER.charter.valid_until
FAR = 4_000_003_200
"""A moment that no charter reaches, and the beginning of an hour."""


class Play:
    """A ledger being written: each call appends a statement a minute later and gives the rule that
    refused it, or None.
    """

    def __init__(self, rulebook=None, now=NOW):
        self.state = AccessState(rulebook or w.rulebook(CHARTER))
        self.now = now

    def say(self, record, *names, after=60):
        self.now += after
        data = w.statement(record, *names) if names else record.encode()
        return self.state.apply(self.now, data).rule

    def about(self, kind, warrant, *fields):
        return kind(w.DOMAIN, warrant.charter_digest, warrant.digest(), *fields, self.now)

    def approve(self, warrant, name="Judge", kind=approval.Approval, after=60):
        return self.say(self.about(kind, warrant), name, after=after)

    def approved(self, **changes):
        warrant = w.make_warrant(CHARTER.digest, **changes)
        assert self.say(warrant, "Prosecutor") is None
        assert self.approve(warrant) is None
        return warrant

    def listed(self, warrant, labels=(LABEL,), **changes):
        windows = tuple(sorted(label.window_id for label in labels))
        listing = replace(
            Listing(w.DOMAIN, warrant.digest(), 0, decision.units(labels), windows), **changes
        )
        assert self.say(listing) is None
        return listing

    def release(self, warrant, listing, name, **changes):
        digest = listing.digest() if listing else None
        return self.say(w.make_release(warrant, digest, name, **changes), name)

    def released(self, warrant, listing):
        for name in w.QUORUM:
            assert self.release(warrant, listing, name) is None


def urgent(**changes):
    fields = {"urgency": "urgent", "ground": "threat", "until": w.T0 + 6 * w.HOUR, **changes}
    return w.make_warrant(CHARTER.digest, **fields)


def test_the_whole_way():
    play = Play()
    warrant = play.approved()
    verified = decision.decide(play.state, warrant.digest(), play.now)
    assert verified.approver is not None
    assert (verified.requester.name, verified.approver.name) == ("Prosecutor", "Judge")
    listing = play.listed(warrant)
    verified = decision.decide(play.state, warrant.digest(), play.now)
    window = decision.window_in_scope(verified, LABEL, w.ROSTER, w.logged(LABEL), play.now)
    assert window.window_id == LABEL.window_id
    assert decision.check_units(verified, [LABEL], listing.digest()) == 1
    with refused("R10"):
        check_released(verified.access, listing.digest(), CHARTER)
    play.released(warrant, listing)
    access = play.state.access(warrant.digest())
    assert check_released(access, listing.digest(), CHARTER) == listing
    assert play.say(w.make_report(warrant, listing), "Opener") is None
    assert (
        export.check_export(play.state, warrant.digest(), play.now)
        is play.state.accesses[warrant.digest()]
    )
    assert play.say(play.about(report.Destruction, warrant), "Opener") is None
    assert play.say(play.about(report.Destruction, warrant), "Opener") == "W15"
    assert play.state.outcomes[-1].kind == "counterseal/v1/destruction"


REQUESTS = [
    ("W1", {"domain": "other.example"}, "Prosecutor"),
    ("W1", {"charter_digest": bytes(32)}, "Prosecutor"),
    ("W2", {}, "Judge"),
    ("X4", {}, "Amaro"),
    ("W3", {"start": w.T0 + 1}, "Prosecutor"),
    ("W3", {"until": w.T0}, "Prosecutor"),
    ("W3", {"until": w.T0 + 31 * w.DAY}, "Prosecutor"),
    ("W4", {"account_ids": ()}, "Prosecutor"),
    ("W4", {"account_ids": (w.ALICE, w.ALICE)}, "Prosecutor"),
    ("W4", {"account_ids": tuple(bytes([n]) * 32 for n in range(4))}, "Prosecutor"),
    ("W4", {"conversations": ()}, "Prosecutor"),
    ("W5", {"ground": "dissent"}, "Prosecutor"),
    ("W8", {"units": 0}, "Prosecutor"),
    ("W8", {"units": 101}, "Prosecutor"),
    ("W9", {"opener_key": w.sealing("Eve").public}, "Prosecutor"),
    ("W10", {"expires": NOW}, "Prosecutor"),
    ("W10", {"expires": w.T0 + 32 * w.DAY}, "Prosecutor"),
    ("W13", {"urgency": "urgent", "until": w.T0 + w.HOUR}, "Prosecutor"),
    ("W13", {"urgency": "urgent", "ground": "threat", "until": w.T0 + 7 * w.HOUR}, "Prosecutor"),
    ("W19", {"reference": "17\u202e/2027"}, "Prosecutor"),
    ("W20", {"issued": FAR, "expires": FAR + 30 * w.DAY}, "Prosecutor"),
    ("W20", {"issued": FAR}, "Prosecutor"),
    ("W20", {"start": FAR, "until": FAR + w.DAY}, "Prosecutor"),
    ("W20", {"until": END + w.HOUR, "start": END}, "Prosecutor"),
    (
        "W20",
        {"urgency": "urgent", "ground": "threat", "until": FAR, "start": FAR - w.HOUR},
        "Prosecutor",
    ),
]


@pytest.mark.parametrize(
    ("rule", "changes", "name"), REQUESTS, ids=[f"{r}-{n}" for n, (r, _, _) in enumerate(REQUESTS)]
)
def test_requests_that_have_no_effect(rule, changes, name):
    play = Play()
    warrant = replace(w.make_warrant(CHARTER.digest), **changes)
    assert play.say(warrant, name) == rule
    with refused("W15"):
        decision.decide(play.state, warrant.digest(), play.now)


@pytest.mark.parametrize("field", ["start", "until", "expires", "issued"])
def test_a_time_that_no_calendar_has_is_refused_where_it_is_read(field):
    play = Play()
    values = list(urgent().plain())
    values[urgent().__struct_fields__.index(field) + 1] = 1 << 60
    data = w.statement_of(cbor.encode(values), "Prosecutor")
    outcome = play.state.apply(NOW, data)
    assert (outcome.rule, outcome.kind) == ("E6", "")
    assert not play.state.accesses


def test_a_warrant_of_the_far_future_stops_nobody_elses_review():
    play = Play()
    good = play.approved()
    for changes in ({"expires": FAR}, {"issued": FAR}, {"start": FAR - w.HOUR, "until": FAR}):
        assert play.say(urgent(**changes), "Prosecutor") in ("W10", "W20")
    assert [*play.state.accesses] == [good.digest()]
    for record in (
        approval.Cancellation(w.DOMAIN, CHARTER.digest, good.digest(), "", FAR),
        approval.Extension(w.DOMAIN, CHARTER.digest, good.digest(), 1, FAR),
        approval.Reinstatement(w.DOMAIN, CHARTER.digest, w.signer("Judge").kid, FAR),
        report.Destruction(w.DOMAIN, CHARTER.digest, good.digest(), FAR),
    ):
        assert play.say(record, "Prosecutor", "Judge") == "W20"
    decision.decide(play.state, good.digest(), play.now)


@pytest.mark.parametrize("seconds", [-1, 0, FAR, 253_402_300_799, 1 << 60, 1 << 63])
def test_every_number_has_a_text(seconds):
    assert str(abs(seconds)) in phrases.when(seconds) or "UTC" in phrases.when(seconds)
    assert phrases.minute(seconds)


def test_w2_two_signers_are_one_too_many():
    assert Play().say(w.make_warrant(CHARTER.digest), "Prosecutor", "Inspector") == "W2"


def test_approvals():
    play = Play()
    warrant = w.make_warrant(CHARTER.digest)
    assert play.approve(warrant) == "W15"
    assert play.say(warrant, "Prosecutor") is None
    assert play.say(warrant, "Prosecutor") == "W15"
    with refused("W6"):
        decision.decide(play.state, warrant.digest(), play.now)
    assert play.approve(warrant, "Prosecutor") == "W6"
    assert play.approve(warrant, "Inspector") == "W7"
    assert play.approve(warrant, kind=approval.Ratification) == "W15"
    other = approval.Approval(w.DOMAIN, bytes(32), warrant.digest(), play.now)
    assert play.say(other, "Judge") == "W1"
    assert play.approve(warrant) is None
    assert play.approve(warrant, "Second Judge") == "W15"


def test_w8_the_cap_counts_thirty_days_and_unused_units_return():
    play = Play()
    first = play.approved(units=60)
    second = w.make_warrant(CHARTER.digest, units=60, reference="second")
    assert play.say(second, "Prosecutor") is None
    assert play.approve(second) == "W8"
    listing = play.listed(first)
    assert play.release(first, listing, "Dede") is None
    assert play.say(play.about(approval.Cancellation, first, "done"), "Prosecutor") is None
    assert play.state.committed(play.now) == 1
    assert play.approve(second) is None
    assert play.state.committed(play.now) == 61
    assert play.state.committed(play.now + 31 * w.DAY) == 0


def test_w10_w11_cancelled_and_expired():
    play = Play()
    warrant = play.approved()
    with refused("W10"):
        decision.decide(play.state, warrant.digest(), warrant.expires)
    # an approver may, of any body
    assert play.say(play.about(approval.Cancellation, warrant, ""), "Inspector") is None
    with refused("W11"):
        decision.decide(play.state, warrant.digest(), play.now)
    assert play.say(play.about(approval.Cancellation, warrant, ""), "Judge") == "W15"
    listing = Listing(w.DOMAIN, warrant.digest(), 0, 1, (LABEL.window_id,))
    assert play.say(listing) == "W11"


def test_w11_an_approval_after_the_cancellation():
    play = Play()
    warrant = w.make_warrant(CHARTER.digest)
    play.say(warrant, "Second Judge")
    assert play.say(play.about(approval.Cancellation, warrant, ""), "Prosecutor") == "W18"
    assert play.say(play.about(approval.Cancellation, warrant, ""), "Second Judge") is None
    assert play.approve(warrant, "Inspector") == "W11"


def test_w12_revoked_issuers():
    record = approval.Revocation(w.DOMAIN, CHARTER.digest, w.signer("Judge").kid, NOW + 100, NOW)
    verified = verify_revocation(w.statement(record, "Amaro", "Chen", "Fahim"), CHARTER)
    play = Play(w.rulebook(CHARTER, verified))
    warrant = w.make_warrant(CHARTER.digest)
    play.say(warrant, "Prosecutor")
    assert play.approve(warrant) == "W12"
    assert play.approve(warrant, "Second Judge") is None
    # A revocation that reaches back takes the approval with it.
    back = VerifiedRevocation(replace(record, issuer=w.signer("Second Judge").kid, start=NOW))
    play.state.rulebook = w.rulebook(CHARTER, back)
    with refused("W12"):
        decision.decide(play.state, warrant.digest(), play.now)


def test_w18_w1_who_may_revoke():
    record = approval.Revocation(w.DOMAIN, CHARTER.digest, w.signer("Judge").kid, NOW, NOW)
    with refused("W18"):
        verify_revocation(w.statement(record, "Amaro", "Fahim"), CHARTER)
    with refused("W18"):
        verify_revocation(w.statement(record, "Amaro", "Chen", "University"), CHARTER)
    with refused("W1"):
        verify_revocation(w.statement(replace(record, charter_digest=bytes(32)), "Amaro"), CHARTER)


def test_urgent_ratified():
    play = Play()
    warrant = urgent()
    assert play.say(warrant, "Prosecutor") is None
    verified = decision.decide(play.state, warrant.digest(), play.now)
    assert verified.approver is None
    with refused("O4"):
        export.check_export(play.state, warrant.digest(), play.now)
    assert play.say(urgent(reference="another"), "Inspector") == "W13"
    assert play.approve(warrant) == "W15"
    assert play.approve(warrant, "Inspector", approval.Ratification) == "W7"
    assert play.approve(warrant, kind=approval.Ratification) is None
    assert play.approve(warrant, kind=approval.Ratification) == "W15"
    assert (
        export.check_export(play.state, warrant.digest(), play.now).approver
        == w.signer("Judge").kid
    )


def test_w14_urgent_lapsed_bars_its_requester():
    play = Play(now=w.T0)
    warrant = urgent(expires=w.T0 + 20 * w.DAY)
    assert play.say(warrant, "Prosecutor") is None
    deadline = play.state.access(warrant.digest()).ratify_by
    with refused("W14"):
        decision.decide(play.state, warrant.digest(), deadline)
    with refused("O4"):
        export.check_export(play.state, warrant.digest(), deadline)
    late = deadline - play.now + 60
    assert play.approve(warrant, kind=approval.Ratification, after=late) == "W14"
    assert play.say(play.about(approval.Extension, warrant, 1), "Prosecutor", "Judge") == "W14"
    assert play.state.barred == {w.signer("Prosecutor").kid: deadline}
    assert play.say(urgent(reference="again", expires=w.T0 + 20 * w.DAY), "Prosecutor") == "W13"
    pardon = approval.Reinstatement(w.DOMAIN, CHARTER.digest, w.signer("Prosecutor").kid, play.now)
    assert play.say(pardon, "Prosecutor") == "W18"
    assert play.say(pardon, "Inspector") == "W7"
    assert play.say(pardon, "Judge") is None
    assert play.say(pardon, "Judge") == "W15"
    assert play.say(urgent(reference="again", expires=w.T0 + 20 * w.DAY), "Prosecutor") is None


def test_w16_replacement_inherits_units():
    play = Play()
    old = play.approved(units=60)
    listing = play.listed(old)
    play.released(old, listing)
    new = replace(old, issued=play.now, reference="new key", expires=old.expires - 1)
    wider = replace(new, account_ids=tuple(sorted((w.ALICE, w.BOB))))
    for record in (new, wider):
        assert play.say(record, "Prosecutor") is None
    assert (
        play.say(play.about(approval.Replacement, old, wider.digest()), "Prosecutor", "Judge")
        == "W16"
    )
    assert play.say(play.about(approval.Replacement, old, new.digest()), "Prosecutor") == "W16"
    assert (
        play.say(play.about(approval.Replacement, old, new.digest()), "Prosecutor", "Judge") is None
    )
    with refused("W11"):
        decision.decide(play.state, old.digest(), play.now)
    access = decision.decide(play.state, new.digest(), play.now).access
    assert (access.inherited, play.state.committed(play.now)) == (1, 60)
    more = Listing(w.DOMAIN, new.digest(), 0, 60, (w.seed("other window"),))
    assert play.say(more) == "R8"


def test_w17_extensions_and_when_notices_are_due():
    play = Play()
    warrant = play.approved()
    listing = play.listed(warrant)
    play.released(warrant, listing)
    logged = play.state.access(warrant.digest()).releases[-1]
    assert (
        notice.notice_due(play.state.access(warrant.digest()), logged, 90 * w.DAY, w.DAY)
        == logged.time + 90 * w.DAY
    )
    assert play.say(play.about(approval.Extension, warrant, 2), "Prosecutor", "Judge") == "W17"
    assert play.say(play.about(approval.Extension, warrant, 1), "Prosecutor") == "W17"
    assert play.say(play.about(approval.Extension, warrant, 1), "Prosecutor", "Inspector") == "W7"
    for number in (1, 2):
        assert (
            play.say(play.about(approval.Extension, warrant, number), "Prosecutor", "Judge") is None
        )
    assert play.say(play.about(approval.Extension, warrant, 3), "Prosecutor", "Judge") == "W17"
    access = play.state.access(warrant.digest())
    assert notice.notice_due(access, logged, 90 * w.DAY, w.DAY) == logged.time + 92 * w.DAY
    # extended only after they were due
    assert notice.notice_due(access, logged, 10, w.DAY) == logged.time + 10
    lapsed = replace(access, lapsed_at=1)
    assert notice.notice_due(lapsed, logged, 90 * w.DAY, w.DAY) == logged.time + 90 * w.DAY


def test_r7_r8_listings():
    play = Play()
    warrant = play.approved()
    one, two = sorted((LABEL.window_id, w.seed("window two")))
    listing = Listing(w.DOMAIN, warrant.digest(), 0, 1, (one,))
    assert play.say(replace(listing, number=1)) == "R7"
    assert play.say(replace(listing, windows=(two, one))) == "R7"
    assert play.say(replace(listing, units=0)) == "R8"
    assert play.say(replace(listing, units=11)) == "R8"
    assert play.say(replace(listing, domain="other.example")) == "W1"
    assert play.say(listing) is None
    assert play.say(replace(listing, number=1)) == "R7"
    assert play.say(replace(listing, number=1, windows=(two,))) is None


def test_r9_r10_r12_n1_releases():
    play = Play()
    warrant = play.approved()
    listing = play.listed(warrant)
    assert play.release(warrant, listing, "University") == "R10"
    assert play.release(warrant, None, "University") == "R10"
    assert (
        play.release(warrant, Listing(w.DOMAIN, warrant.digest(), 5, 1, (bytes(32),)), "Dede")
        == "R10"
    )
    assert play.release(warrant, listing, "Dede", opener_key_hash=bytes(32)) == "R12"
    assert play.release(warrant, listing, "Dede", position=99) == "C18"
    assert play.say(w.make_release(warrant, listing.digest(), "Dede"), "Eriksen") == "X4"
    assert play.release(warrant, listing, "Dede", notices=(bytes(32),)) == "N1"
    assert play.release(warrant, None, "Dede") is None
    assert play.release(warrant, listing, "Dede") == "R9"
    for name in ("Amaro", "Chen"):
        assert play.release(warrant, listing, name) is None
    assert play.release(warrant, listing, "University", notices=()) == "N1"
    assert play.release(warrant, listing, "University") is None
    assert play.release(warrant, listing, "University") == "R9"


def test_o1_o2_o3_reports():
    play = Play()
    warrant = play.approved()
    listing = play.listed(warrant)
    made = w.make_report(warrant, listing)
    assert play.say(made, "Opener") == "O2"
    play.released(warrant, listing)
    assert play.say(made, "Prosecutor") == "O1"
    assert play.say(replace(made, listings=(listing.digest(), listing.digest())), "Opener") == "O2"
    assert play.say(replace(made, windows=2), "Opener") == "O3"
    fault = report.Fault(bytes(32), "F6")
    assert play.say(replace(made, faults=(fault,)), "Opener") == "O3"
    assert play.say(replace(made, faults=(report.Fault(LABEL.window_id, "F6"),)), "Opener") is None


def scope(warrant_changes=None, label=LABEL, roster=w.ROSTER, checkpoint=NOW, logged=None):
    play = Play()
    warrant = play.approved(**(warrant_changes or {}))
    verified = decision.decide(play.state, warrant.digest(), play.now)
    return decision.window_in_scope(verified, label, roster, logged or w.logged(label), checkpoint)


def test_scope():
    assert scope().roster == w.ROSTER
    assert scope({"account_ids": (w.BOB,), "direction": "conversation"}).label == LABEL
    with refused("R1"):
        scope(label=w.make_label(bytes(32)))
    with refused("R2"):
        scope({"account_ids": (w.BOB,)})
    with refused("R2"):
        scope({"account_ids": (w.EVE,), "direction": "conversation"})
    with refused("R3"):
        scope({"start": w.T0 + w.HOUR})
    before = w.make_label(CHARTER.digest, opens=w.T0 - w.HOUR, closes=w.T0)
    with refused("R3"):
        scope(label=before)
    with refused("R4"):
        scope({"conversations": (bytes(16),)})
    assert scope({"conversations": (w.CONVERSATION,)})
    with refused("R5"):
        scope(checkpoint=w.T0 + w.HOUR + 299)
    assert scope(checkpoint=w.T0 + w.HOUR + 300)
    with refused("R6"):
        scope(logged=w.logged(before))
    empty = replace(w.logged(LABEL).frames, count=0)
    with refused("R6"):
        scope(logged=replace(w.logged(LABEL), frames=empty))
    with refused("L1"):
        scope(label=w.make_label(CHARTER.digest, domain="other.example"))
    with refused("L2"):
        scope(label=w.make_label(CHARTER.digest, closes=w.T0 + 2 * w.HOUR))
    with refused("L3"):
        scope(roster=Roster.of([(w.ALICE, w.public("Alice's phone"))]))


def test_r8_units_are_counted_over_every_listing():
    play = Play()
    warrant = play.approved()
    # Two windows of one hour are one unit; another hour is another.
    again = w.make_label(CHARTER.digest, serial=2)
    later = w.make_label(CHARTER.digest, opens=w.T0 + w.HOUR, closes=w.T0 + 2 * w.HOUR)
    play.listed(warrant, (LABEL, again))
    second = Listing(w.DOMAIN, warrant.digest(), 1, 2, (later.window_id,))
    assert play.say(second) is None
    verified = decision.decide(play.state, warrant.digest(), play.now)
    assert decision.check_units(verified, [LABEL, again, later], second.digest()) == 2
    with refused("R8"):
        decision.check_units(verified, [later], second.digest())
    false = replace(second, units=3)
    access = replace(
        verified.access, listings=(verified.access.listings[0], (false.digest(), false))
    )
    with refused("R8"):
        decision.check_units(
            replace(verified, access=access), [LABEL, again, later], false.digest()
        )


def test_time_does_not_run_backwards():
    play = Play()
    play.approved()
    with pytest.raises(BadInput):
        play.state.apply(NOW, b"")
    assert play.state.apply(play.now, b"\x80").rule == "E6"
    assert play.say(w.ALICE_FIRST) == "E5"
    assert (
        play.state.apply(
            play.now,
            w.statement(approval.Revocation(w.DOMAIN, bytes(32), bytes(32), 1, 1), "Amaro"),
        ).rule
        == "E5"
    )


def test_the_charter_in_force_judges_issuers_and_the_warrants_own_its_windows():
    second = replace(
        w.CHARTER,
        version=2,
        previous=CHARTER.digest,
        issuers=w.CHARTER.issuers[1:],
        period_length=2 * w.HOUR,
    )
    new = w.verified(second, CHARTER)
    play = Play(Rulebook(((0, CHARTER), (NOW, new))))
    warrant = w.make_warrant(CHARTER.digest)
    assert play.say(warrant, "Prosecutor") == "X4"
    assert play.say(warrant, "Inspector") is None
    assert play.approve(warrant) is None
    assert decision.decide(play.state, warrant.digest(), play.now).charter is CHARTER
    play.state.rulebook = Rulebook(
        (
            (0, CHARTER),
            (
                NOW,
                w.verified(
                    replace(second, issuers=(w.CHARTER.issuers[0], *second.issuers[1:])), CHARTER
                ),
            ),
        )
    )
    with refused("W1"):
        decision.decide(play.state, warrant.digest(), play.now)
    with refused("W1"):
        Rulebook(((NOW, CHARTER),)).in_force(0)


def test_shares_are_sealed_to_the_opener_and_signed():
    warrant = w.make_warrant(CHARTER.digest)
    listing = Listing(w.DOMAIN, warrant.digest(), 0, 1, (LABEL.window_id,))
    given = release.Shares(
        w.DOMAIN,
        warrant.digest(),
        listing.digest(),
        0,
        (release.WindowShare(LABEL.window_id, w.seed("share")),),
    )
    sealed = release.seal_shares(w.signer("Amaro"), given, warrant.opener_key)
    amaro, bolt = w.signer("Amaro").public, w.signer("Bolt").public
    opener = w.sealing("Opener")
    assert open_shares(opener, sealed, amaro, w.DOMAIN, listing.windows).shares == given
    with refused("R11"):
        open_shares(opener, sealed, bolt, w.DOMAIN, listing.windows)
    with refused("R11"):
        open_shares(opener, sealed, amaro, "other.example", listing.windows)
    with refused("R11"):
        open_shares(opener, sealed, amaro, w.DOMAIN, [bytes(32)])
    with refused("X5"):
        open_shares(w.sealing("Eve"), sealed, amaro, w.DOMAIN, listing.windows)
    with refused("X5"):
        open_shares(opener, replace(sealed, position=1), bolt, w.DOMAIN, listing.windows)


def test_notices():
    warrant = w.make_warrant(CHARTER.digest)
    made = notice.make_notice(warrant, w.ALICE, 6, NOW, w.CHARTER, ("Prosecutor", "Judge"))
    sealed = notice.seal_notice(w.signer("University"), made, w.sealing("Alice").public)
    statement = received_notice.open_notice(w.sealing("Alice"), sealed, w.DOMAIN)
    assert received_notice.verify_notice(statement, CHARTER).notice == made
    assert len(sealed.sealed) == notice.SEALED
    with refused("X5"):
        received_notice.open_notice(w.sealing("Bob"), sealed, w.DOMAIN)
    with refused("N2"):
        notice.pad_notice(bytes(notice.PADDED))
    with refused("N2"):
        received_notice.unpad_notice(notice.pad_notice(b"x")[:-1] + b"\x01")
    with refused("N3"):
        received_notice.verify_notice(w.statement(made, "Gazette"), CHARTER)
    with refused("N3"):
        received_notice.verify_notice(w.statement(replace(made, position=0), "Amaro"), CHARTER)
    assert received_notice.check_notice(made, warrant, 90 * w.DAY) is made
    with refused("N4"):
        received_notice.check_notice(replace(made, until=warrant.until + 1), warrant, 90 * w.DAY)
    with refused("N4"):
        received_notice.check_notice(replace(made, ground="threat"), warrant, 90 * w.DAY)
    with refused("N5"):
        received_notice.check_notice(made, warrant, 89 * w.DAY)
    with refused("N6"):
        received_notice.check_due(made.due, made.due - 1)
    assert received_notice.check_due(made.due, made.due) == made.due


def test_a_dummy_looks_like_a_notice_to_somebody_else():
    told = notice.seal_dummy(w.DOMAIN)
    assert notice.SealedNotice.decode(told.encode()) == told
    assert len(told.sealed) == notice.SEALED
    with refused("X5"):
        received_notice.open_notice(w.sealing("Alice"), told, w.DOMAIN)
