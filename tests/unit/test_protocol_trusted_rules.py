"""The one fold of charters, keysets and revocations: what follows what, and what is in force."""

import msgspec
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.protocol.approval import Revocation
from counterseal.protocol.entry import LoggedEntry, entry_hash
from counterseal.protocol.quarters import newest_keyset
from counterseal.protocol.restored_rules import restore_charter, restore_keyset
from counterseal.protocol.trusted_rules import Rulebook, TrustedRules, VerifiedRevocation

replace = msgspec.structs.replace
FIRST = w.verified()
SECOND = w.verified(replace(w.CHARTER, version=2, previous=FIRST.digest), FIRST)
THIRD = w.verified(
    replace(w.CHARTER, version=3, previous=SECOND.digest, activation_delay=0), SECOND
)
OTHER = w.verified(replace(w.CHARTER, retention=w.CHARTER.retention + w.DAY))
KEYSET = w.verified_keyset(FIRST)


def add(rules, charter, index=0, active=0):
    checked = rules.check_charter(charter.statement)
    return rules.add_charter(checked, LoggedEntry.of(charter.statement, index), active)


def rules_with(*charters):
    rules = TrustedRules(FIRST.digest)
    for index, charter in enumerate(charters):
        add(rules, charter, index)
    return rules


def logged(verified, index=9):
    return LoggedEntry.of(verified.statement, index)


def test_charters_follow_one_another():
    rules = rules_with(FIRST, SECOND, THIRD)
    assert rules.newest == THIRD
    assert [one.index for one in rules.charters] == [0, 1, 2]
    assert rules.charter(SECOND.digest) == SECOND


def test_c19_a_first_charter_other_than_the_pinned_one():
    rules = TrustedRules(FIRST.digest)
    with refused("C19"):
        rules.check_charter(OTHER.statement)
    with refused("C19"):
        rules.add_charter(OTHER, logged(OTHER), 0)
    with refused("C19"):
        restore_charter(rules, OTHER.statement, 0, 0)
    assert rules.charters == ()


def test_whoever_pins_nothing_takes_a_first_charter_that_its_quorums_signed():
    rules = TrustedRules()
    assert add(rules, OTHER).charter == OTHER
    few = w.statement(w.CHARTER, "Amaro", "Chen", "University")
    with refused("C18"):
        TrustedRules().check_charter(few)


def test_c19_a_known_charter_shown_otherwise():
    rules = rules_with(FIRST, SECOND)
    with refused("C19"):
        rules.check_charter(OTHER.statement)
    fork = w.verified(replace(w.CHARTER, version=2, previous=FIRST.digest, retention=w.DAY), FIRST)
    with refused("C19"):
        rules.check_charter(fork.statement)
    with refused("C19"):
        rules.add_charter(fork, logged(fork), 0)


def test_m7_is_the_rule_of_a_members_device():
    rules = TrustedRules(FIRST.digest, "M7")
    with refused("M7"):
        rules.check_charter(OTHER.statement)
    add(rules, FIRST)
    with refused("M7"):
        rules.check_charter(OTHER.statement)


def test_c19_a_charter_without_the_one_before_it():
    rules = rules_with(FIRST)
    with refused("C19"):
        rules.check_charter(THIRD.statement)
    with refused("C19"):
        rules.add_charter(THIRD, logged(THIRD), 0)
    with refused("C19"):
        TrustedRules().check_charter(SECOND.statement)


def test_c18_a_successor_that_the_quorums_before_did_not_sign():
    few = w.statement(SECOND.charter, "Amaro", "Chen", "University", "Gazette")
    with refused("C18"):
        rules_with(FIRST).check_charter(few)


def test_c19_k1_the_logged_entry_is_the_statements():
    rules = TrustedRules()
    with refused("C19"):
        rules.add_charter(FIRST, logged(OTHER), 0)
    add(rules, FIRST)
    with refused("K1"):
        rules.add_keyset(KEYSET, logged(OTHER))
    assert rules.last_keyset is None


def test_what_is_known_is_returned_again():
    rules = rules_with(FIRST, SECOND)
    before = rules.charters
    # with other signatures it is still the same charter, and the first statement is kept
    again = w.statement(w.CHARTER, "Amaro", "Bolt", "Fahim", "University", "Auditor")
    assert rules.check_charter(again) == FIRST
    assert rules.add_charter(FIRST, LoggedEntry.of(again, 7), 5) is before[0]
    assert rules.charters is before

    rules.add_keyset(KEYSET, logged(KEYSET))
    assert rules.check_keyset(KEYSET.statement) is KEYSET
    assert rules.add_keyset(KEYSET, logged(KEYSET, 12)).index == 9
    assert len(rules.keysets) == 1


def test_a_successor_comes_into_force_a_delay_of_its_predecessor_after_it_was_logged():
    rules = TrustedRules()
    assert rules.active_from(FIRST, w.T0) == w.T0
    add(rules, FIRST, active=0)
    assert rules.active_from(SECOND, w.T0) == w.T0 + w.CHARTER.activation_delay

    add(rules, SECOND, active=None)
    assert rules.in_force(w.T0 + 365 * w.DAY) == FIRST
    rules.date(SECOND.digest, rules.active_from(SECOND, w.T0))
    assert rules.in_force(w.T0 + w.DAY - 1) == FIRST
    assert rules.in_force(w.T0 + w.DAY) == SECOND


def test_a_time_that_was_said_stays():
    rules = rules_with(FIRST)
    add(rules, SECOND, active=None)
    rules.date(SECOND.digest, 100)
    assert rules.date(SECOND.digest, 50).active == 100
    assert rules.in_force(99) == FIRST
    with refused("W1"):
        rules.date(THIRD.digest, 0)


def test_whoever_goes_by_the_services_word_dates_the_one_it_calls_in_force():
    rules = TrustedRules(FIRST.digest, "M7")
    for charter in (FIRST, SECOND, THIRD):
        add(rules, charter, active=None)
    with refused("W1"):
        rules.in_force(w.T0)
    rules.date(SECOND.digest, 0)
    assert rules.in_force(w.T0) == SECOND
    rules.date(THIRD.digest, 0)
    assert rules.in_force(w.T0) == THIRD


def test_w1_nothing_is_in_force_before_the_first_or_known_by_another_digest():
    rules = TrustedRules()
    assert rules.newest is None
    with refused("W1"):
        rules.in_force(w.T0)
    with refused("W1"):
        rules.charter(FIRST.digest)
    add(rules, FIRST, active=w.T0)
    with refused("W1"):
        rules.in_force(w.T0 - 1)
    with refused("W1"):
        rules.charter(OTHER.digest)
    assert rules.find_charter(OTHER.digest) is None


def test_institutions_of_every_charter_so_far():
    rules = rules_with(FIRST)
    assert rules.institutions[w.signer("Prosecutor").kid] == w.signer("Prosecutor").public
    fewer = replace(w.CHARTER, version=2, previous=FIRST.digest, issuers=w.CHARTER.issuers[1:])
    add(rules, w.verified(fewer, FIRST))
    for name in (*w.ALL_HOLDERS, "Prosecutor", "Judge", "Opener"):
        assert w.signer(name).kid in rules.institutions


def test_keysets_follow_one_another_across_charters():
    rules = rules_with(FIRST, SECOND)
    rules.add_keyset(rules.check_keyset(KEYSET.statement), logged(KEYSET))
    next_one = w.verified_keyset(SECOND, quarter=w.QUARTER + 1, previous=KEYSET)
    rules.add_keyset(rules.check_keyset(next_one.statement), logged(next_one, 10))

    assert rules.last_keyset == next_one
    found = rules.find_keyset(KEYSET.digest)
    assert found is not None
    assert (found.keyset, found.index) == (KEYSET, 9)
    assert rules.find_keyset(bytes(32)) is None


def test_the_keyset_of_a_quarter_and_the_one_that_goes_on():
    rules = rules_with(FIRST)
    rules.add_keyset(KEYSET, logged(KEYSET))
    later = w.verified_keyset(FIRST, quarter=w.QUARTER + 2, previous=KEYSET)
    rules.add_keyset(later, logged(later))

    assert rules.keyset_for(FIRST.digest, w.QUARTER) == KEYSET
    assert rules.keyset_for(FIRST.digest, w.QUARTER + 1) is None
    assert newest_keyset(rules, FIRST.digest, w.QUARTER + 1) == KEYSET
    assert newest_keyset(rules, FIRST.digest, w.QUARTER + 5) == later
    assert newest_keyset(rules, FIRST.digest, w.QUARTER - 1) is None
    assert newest_keyset(rules, SECOND.digest, w.QUARTER) is None


def test_k1_a_keyset_that_does_not_follow_or_is_not_what_it_was_shown_as():
    rules = rules_with(FIRST, SECOND)
    later = w.verified_keyset(FIRST, quarter=w.QUARTER + 1, previous=KEYSET)
    with refused("K1"):
        rules.check_keyset(later.statement)
    with refused("K1"):
        rules.add_keyset(later, logged(later))
    with refused("K1"):
        rules.check_keyset(KEYSET.statement, SECOND.digest, w.QUARTER)
    with refused("K1"):
        rules.check_keyset(KEYSET.statement, FIRST.digest, w.QUARTER + 1)
    assert rules.check_keyset(KEYSET.statement, FIRST.digest, w.QUARTER) == KEYSET


def test_w1_k7_a_keyset_of_no_charter_here_or_without_signatures():
    with refused("W1"):
        TrustedRules().check_keyset(KEYSET.statement)
    unsigned = w.statement(KEYSET.keyset, *w.QUORUM)
    with refused("K7"):
        rules_with(FIRST).check_keyset(unsigned)


def revocation(charter, start, *names):
    record = Revocation(w.DOMAIN, charter.digest, w.signer("Judge").kid, start, w.T0)
    return w.statement(record, *names)


def test_revocations_by_the_custodians_of_the_charter_they_name():
    rules = rules_with(FIRST, SECOND)
    signed = revocation(FIRST, w.T0, "Amaro", "Chen", "Dede")
    verified = rules.add_revocation(rules.check_revocation(signed))
    rules.add_revocation(VerifiedRevocation(verified.revocation))
    assert rules.revocations == (verified,)

    judge = w.signer("Judge").kid
    assert rules.rulebook().check_not_revoked(judge, w.T0 - 1) == judge
    with refused("W12"):
        rules.rulebook().check_not_revoked(judge, w.T0)


def test_w18_w1_revocations_by_others_or_under_no_charter_here():
    rules = rules_with(FIRST)
    with refused("W18"):
        rules.check_revocation(revocation(FIRST, w.T0, "Amaro", "Fahim"))
    with refused("W1"):
        rules.check_revocation(revocation(SECOND, w.T0, "Amaro", "Chen", "Dede"))


def test_the_rulebook_has_the_charters_whose_time_is_known_and_does_not_change():
    rules = rules_with(FIRST)
    add(rules, SECOND, active=None)
    book = rules.rulebook()
    assert book == Rulebook(((0, FIRST),))
    assert book.domain == w.DOMAIN
    rules.date(SECOND.digest, w.T0)
    assert book != rules.rulebook()
    assert rules.rulebook().charters == ((0, FIRST), (w.T0, SECOND))


def test_restored_without_signatures_verified_but_in_order():
    full = rules_with(FIRST, SECOND)
    full.add_keyset(KEYSET, logged(KEYSET))
    rules = TrustedRules(FIRST.digest)
    for index, charter in enumerate((FIRST, SECOND)):
        restore_charter(rules, charter.statement, index, 0)
    restore_keyset(rules, KEYSET.statement, KEYSET.keys, 9)
    assert (rules.charters, rules.keysets) == (full.charters, full.keysets)

    with refused("C19"):
        restore_charter(TrustedRules(), SECOND.statement, 1, 0)
    later = w.verified_keyset(FIRST, quarter=w.QUARTER + 1, previous=KEYSET)
    with refused("K1"):
        restore_keyset(TrustedRules(), later.statement, later.keys, 3)


def test_an_entry_is_the_statements_hash():
    assert LoggedEntry.of(b"x", 3) == LoggedEntry(entry_hash(b"x"), 3)
