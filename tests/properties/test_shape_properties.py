"""Decoding by shape refuses the same input by the same rule as decoding first and looking then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.test_protocol_properties import values
from tests.support import world as w

from counterseal.protocol import cbor
from counterseal.protocol.cose import _Sign
from counterseal.protocol.errors import Refused
from counterseal.protocol.record import Record, convert, decode_part
from counterseal.protocol.window import Label, Roster

RECORDS: list[Record] = [
    w.make_label(bytes(32)),
    w.ROSTER,
    w.make_warrant(bytes(32)),
    w.CHARTER,
    w.PERIOD,
    w.ALICE_FIRST,
]


def in_two_steps(data: bytes, kind: type[Record]) -> str:
    """The rule by which a record is refused that is decoded as any value first; "valid" if none."""
    try:
        value: Any = cbor.decode(data, kind.limit)
        if type(value) is not tuple or not value or not isinstance(value[0], str):
            return "E6"
        if value[0] != kind.tag():
            return "E5"
        convert(value, kind)
    except Refused as refusal:
        return refusal.rule
    return "valid"


def by_shape(data: bytes, kind: type[Record]) -> str:
    try:
        kind.decode(data)
    except Refused as refusal:
        return refusal.rule
    return "valid"


def replaced(value: Any, draw: Any) -> Any:
    """The value with one element, at any depth, replaced, removed or doubled."""
    if not isinstance(value, (tuple, list)) or not value or draw(st.integers(0, 3)) == 0:
        return draw(values)
    elements = list(value)
    at = draw(st.integers(0, len(elements) - 1))
    match draw(st.integers(0, 5)):
        case 0:
            del elements[at]
        case 1:
            elements.insert(at, elements[at])
        case _:
            elements[at] = replaced(elements[at], draw)
    return tuple(elements)


def changed(data: bytes, draw: Any) -> bytes:
    """The bytes with some of them changed, removed or added."""
    out = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(out) - 1)))
        match draw(st.integers(0, 4)):
            case 0:
                del out[at : at + draw(st.integers(1, 40))]
            case 1:
                out[at:at] = draw(st.binary(min_size=1, max_size=9))
            case 2:
                # a head in a longer form, or one of another type
                out[at : at + 1] = draw(
                    st.sampled_from([b"\x18\x05", b"\x58\x05", b"\x9f", b"\xf9\x00\x00", b"\xa1"])
                )
            case _ if out:
                out[at] ^= draw(st.integers(1, 255))
    return bytes(out)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_the_rule_is_the_same_whichever_way_a_record_is_decoded(record: Record, data: Any) -> None:
    kind = type(record)
    given_bytes = changed(cbor.encode(replaced(record.plain(), data.draw)), data.draw)
    assert by_shape(given_bytes, kind) == in_two_steps(given_bytes, kind)
    given_bytes = changed(record.encode(), data.draw)
    assert by_shape(given_bytes, kind) == in_two_steps(given_bytes, kind)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_the_rule_is_the_same_for_signatures(data: Any) -> None:
    given_bytes = changed(w.statement(w.make_warrant(bytes(32)), "Prosecutor"), data.draw)

    def two_steps() -> str:
        try:
            convert(cbor.decode(given_bytes, 1 << 21), _Sign)
        except Refused as refusal:
            return refusal.rule
        return "valid"

    def shape() -> str:
        try:
            decode_part(given_bytes, 1 << 21, _Sign)
        except Refused as refusal:
            return refusal.rule
        return "valid"

    assert shape() == two_steps()


def test_the_encoding_s_fault_counts_wherever_it_is() -> None:
    label = list(w.make_label(bytes(32)).plain())
    # one element too few, and then a number that is not in its shortest form
    data = cbor.encode(label[:-1])[:-1] + b"\x18\x05"
    assert by_shape(data, Label) == in_two_steps(data, Label)


def test_the_tag_s_fault_counts_before_the_form_s() -> None:
    data = cbor.encode([cbor.tag("other"), *[0] * 100])
    assert by_shape(data, Roster) == in_two_steps(data, Roster) == "E5"
