"""Paths and queries: written by one side, read by the other."""

from __future__ import annotations

import pytest

from counterseal.protocol.errors import BadInput
from counterseal.wire.accounts import HANDLE
from counterseal.wire.blobs import BLOB_PATCH
from counterseal.wire.events import EVENTS
from counterseal.wire.log import LOG_CONSISTENCY, LOG_FILE
from counterseal.wire.periods import FRAME_INCLUSION, PERIODS
from counterseal.wire.reading import read_part, read_query


def test_parts_are_hex_decimal_or_quoted() -> None:
    path = FRAME_INCLUSION.at(conversation=bytes(16), window=b"\xff" * 32, seq=7)
    assert path == f"/v1/conversations/{'00' * 16}/inclusion/{'ff' * 32}/7"
    assert HANDLE.at(handle="@a:b/c") == "/v1/handles/%40a%3Ab%2Fc"
    assert LOG_FILE.at(path="tile/0/x001/067") == "/log/tile/0/x001/067"


def test_queries_are_whole_numbers_in_the_route_s_order() -> None:
    assert EVENTS.at(limit=5, conversation=bytes(16), after=3).endswith("/events?after=3&limit=5")
    assert EVENTS.at(conversation=bytes(16)).endswith("/events")
    assert LOG_CONSISTENCY.at(from_=1, to=2) == "/v1/log/consistency?from=1&to=2"


def test_a_path_is_not_made_from_the_wrong_things() -> None:
    with pytest.raises(TypeError):
        EVENTS.at(conversation=bytes(32))
    with pytest.raises(TypeError):
        EVENTS.at(conversation=bytes(16), before=3)
    with pytest.raises(KeyError):
        EVENTS.at(after=3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conversation", "00" * 32),
        ("conversation", "AA" * 16),
        ("account", "zz" * 32),
        ("account", ""),
        ("seq", "-1"),
        ("seq", "1" * 19),
        ("seq", "\u0661"),
    ],
)
def test_a_part_of_another_form_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadInput, match="path"):
        read_part(name, text)


def test_parts_are_read_as_they_were_written() -> None:
    assert read_part("conversation", "0a" * 16) == b"\n" * 16
    assert read_part("seq", "16") == 16
    assert read_part("handle", "ada") == "ada"


def test_optional_numbers_are_brought_into_range() -> None:
    assert read_query(EVENTS, {}) == {"after": 0, "limit": 500}
    assert read_query(EVENTS, {"after": "-1", "limit": "9999"}) == {"after": 0, "limit": 500}
    assert read_query(PERIODS, {"after": "-1"}) == {"after": -1}
    assert read_query(PERIODS, {"other": "x"}) == {"after": -1}


@pytest.mark.parametrize("text", ["", "x", "-2", "1.0", "+1", "1" * 19, "\u0661"])
def test_a_query_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="query"):
        read_query(EVENTS, {"after": text})


def test_a_required_number_is_there_and_in_range() -> None:
    assert read_query(BLOB_PATCH, {"offset": "8"}) == {"offset": 8}
    for given in ({}, {"offset": "-1"}):
        with pytest.raises(BadInput, match="query"):
            read_query(BLOB_PATCH, given)
