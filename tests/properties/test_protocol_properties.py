import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import world as w

from counterseal.protocol import cbor, frame, sharing, sign1, window
from counterseal.protocol.account_chain import VerifiedChain
from counterseal.protocol.errors import CountersealError, Refused
from counterseal.protocol.keyset import ReceivedKeyset
from counterseal.protocol.statement import UNSIGNED, ReceivedStatement
from counterseal.protocol.tree import BodyNode, CustodiansNode, Tree, WitnessesNode
from counterseal.protocol.verified_charter import ReceivedCharter
from counterseal.protocol.vkey import parse_vkey

texts = st.text(st.characters(codec="utf-8"), max_size=20)
scalars = st.one_of(
    st.integers(-(1 << 64), (1 << 64) - 1),
    st.binary(max_size=40),
    texts,
    st.booleans(),
    st.none(),
    st.just({}),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=6).map(tuple), max_leaves=30)

LABEL = w.make_label(bytes(32))
WARRANT = w.make_warrant(bytes(32))
SAMPLES = {
    "label": (LABEL.encode(), window.Label.decode),
    "roster": (w.ROSTER.encode(), window.Roster.decode),
    "warrant": (w.statement(WARRANT, "Prosecutor"), ReceivedStatement.decode),
    "account": (sign1.sign1(w.ed25519("Alice"), w.ALICE_FIRST.encode()), ReceivedStatement.decode),
    "charter": (w.statement(w.CHARTER, "Amaro"), ReceivedCharter.decode),
    "period root": (w.PERIOD.encode(), ReceivedStatement.decode),
}


@given(values)
def test_what_is_encoded_decodes_to_itself(value):
    assert cbor.decode(cbor.encode(value), 1 << 20) == value


@given(values)
def test_one_value_has_one_encoding(value):
    data = cbor.encode(value)
    assert cbor.encode(cbor.decode(data, 1 << 20)) == data


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_canonical(data):
    try:
        assert cbor.encode(cbor.decode(data, 60)) == data
    except Refused as refusal:
        assert refusal.rule in ("E1", "E2", "E3")


@given(values, st.data())
def test_a_changed_byte_is_refused_or_another_value(value, data):
    encoded = bytearray(cbor.encode(value))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        other = cbor.decode(bytes(encoded), 1 << 20)
    except Refused:
        return
    assert cbor.encode(other) == bytes(encoded)


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_record_is_refused_or_encodes_to_itself(name, data):
    sample, decode = SAMPLES[name]
    changed = bytearray(sample)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        record = decode(bytes(changed))
    except CountersealError:
        return
    again: Any = getattr(record, "cose", None) or getattr(record, "record", record)
    assert again.encode() == bytes(changed)


@given(values)
@settings(deadline=None)
def test_no_value_makes_a_decoder_raise_anything_else(value):
    data = cbor.encode(value)
    decoders = [
        ReceivedStatement.decode,
        ReceivedCharter.decode,
        ReceivedKeyset.decode,
        window.Label.decode,
        Tree.decode,
    ]
    decoders += [kind.decode for kind in UNSIGNED]
    decoders.append(lambda data: VerifiedChain.start(data, w.DOMAIN))
    for decode in decoders:
        with pytest.raises(CountersealError):
            decode(data)


@given(st.lists(values, max_size=14), st.sampled_from(UNSIGNED))
def test_no_fields_make_a_record_raise_anything_else(fields, kind):
    try:
        record = kind.decode(cbor.encode([kind.tag(), *fields]))
    except CountersealError:
        return
    assert record.digest()


@given(st.binary(max_size=3_000))
def test_padding_comes_off_and_costs_little(data):
    padded = frame.pad(data)
    assert frame.unpad(padded) == data
    assert len(padded) <= 1.12 * (len(data) + 4) + 1


@st.composite
def trees(draw):
    bodies = tuple(
        BodyNode(draw(st.integers(1, members)), members)
        for members in draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    )
    witnesses = draw(st.integers(1, 5))
    return Tree(
        CustodiansNode(draw(st.integers(1, len(bodies))), bodies),
        WitnessesNode(draw(st.integers(1, witnesses)), witnesses),
    )


@given(trees(), st.binary(min_size=32, max_size=32), st.data())
@settings(deadline=None)
def test_a_set_of_shares_joins_exactly_if_it_satisfies_the_tree(tree, prk, data):
    shares = dict(enumerate(sharing.split(tree, prk)))
    some = data.draw(st.sets(st.sampled_from(range(tree.count))))
    enough = (
        len(tree.satisfied_bodies(some)) >= tree.custodians.needed
        and len(some.intersection(tree.witness_positions())) >= tree.witnesses.needed
    )
    given_shares = {position: shares[position] for position in some}
    if enough:
        assert sharing.combine(tree, given_shares) == prk
    else:
        with pytest.raises(Refused, match=r"\[S4\]"):
            sharing.combine(tree, given_shares)


@given(st.text(string.printable, max_size=60))
def test_verifier_keys_parse_or_are_refused(text):
    with pytest.raises(Refused, match=r"\[C7\]"):
        parse_vkey(text, (1, 4, 6))
