"""Objection: "whoever holds the keys will use them". No quorum that is short by one, of whatever
kind, opens a window; the bytes are a real window's, sealed by a member's device, and every other
key is in the attacker's hands."""

import itertools

import pytest
from tests.support.full_domain import FullDomain, running
from tests.support.refusals import refused
from tests.support.waiting import until

from counterseal.access.common.sources import ask
from counterseal.protocol.counterseal import Counterseal, open_share
from counterseal.protocol.sharing import check_prk, join
from counterseal.protocol.window import Label
from counterseal.wire.material import MATERIAL

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def warrant(rig):
    alice, _, _ = rig.talk(rig.keyset_digest, ["what only Bob should read"])
    digest = rig.warrant(alice.account)
    rig.listed(rig.custodians[0], digest)
    return digest


@pytest.fixture(scope="module")
def stolen(rig: FullDomain, warrant):
    """Label and every holder's share: as if every machine had been broken into."""
    [row] = ask(rig.service_for(rig.opener), MATERIAL, warrant=warrant, listing=0).rows
    label, seal = Label.decode(row.label), Counterseal.decode(row.counterseal)
    rules = rig.rules(rig.custodians[0])
    quarter = rules.keysets[label.keyset_digest].keyset.quarter
    homes = [*rig.custodians, *rig.witnesses]
    shares = {}
    for home in homes:
        position = rules.latest.positions[home.signer.kid]
        private = home.sealing_key(rules.latest.digest, quarter)
        shares[position] = open_share(private, label, position, seal.sealed[position])
    return label, shares


def test_all_of_them_together_open_it(rig, stolen):
    label, shares = stolen
    assert join(rig.charter.tree, label, shares)  # or the tests below would show nothing


def test_custodians_short_of_a_quorum_with_all_witnesses_open_nothing(rig, stolen):
    label, shares = stolen
    tree = rig.charter.tree
    witnesses = set(tree.witness_positions())
    for count in range(tree.custodian_count + 1):
        for chosen in itertools.combinations(range(tree.custodian_count), count):
            if len(tree.satisfied_bodies(chosen)) >= tree.custodians.needed:
                continue
            with refused("S4"):
                join(tree, label, {i: shares[i] for i in {*chosen, *witnesses}})


def test_all_custodians_without_the_witnesses_open_nothing(rig, stolen):
    label, shares = stolen
    tree = rig.charter.tree
    custodians = {i: shares[i] for i in range(tree.custodian_count)}
    for short in range(tree.witnesses.needed):
        some = dict(itertools.islice(((i, shares[i]) for i in tree.witness_positions()), short))
        with refused("S4"):
            join(tree, label, custodians | some)


def test_no_share_passes_for_the_key_itself(stolen):
    """Even a program that ignores the tree finds nothing in a single share (S5)."""
    label, shares = stolen
    for share in shares.values():
        with refused("S5"):
            check_prk(label, share)


def test_witnesses_give_nothing_before_the_custodians_quorum_is_in_the_ledger(rig, warrant):
    """One body of the two released: no witness does, however long one waits (R10)."""
    dan = next(home for home in rig.custodians if home.card.body == "ombudsman")
    assert rig.release(dan, warrant).released == 1
    before = rig.status(warrant)
    assert before.bodies == (1, 2)
    ledger = rig.desk(dan)
    seen = ledger.sync().size
    until(lambda: ledger.sync().size >= seen + 6 * rig.charter.charter.ledger.leaves)
    assert rig.status(warrant).witnesses == (0, 2)
    assert set(rig.shares(warrant)).isdisjoint(rig.charter.tree.witness_positions())


def test_with_the_quorum_they_do(rig, warrant):
    for home in rig.custodians:
        if home.card.body in ("bar", "ombudsman"):
            rig.release(home, warrant)  # again is no error
    until(lambda: rig.status(warrant).state == "released")
    until(
        lambda: (
            len(set(rig.shares(warrant)).intersection(rig.charter.tree.witness_positions())) >= 2
        )
    )
