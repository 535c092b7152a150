"""The demonstration's reader: what real files look like, and what it says to those that are
none.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from counterseal.demonstration.chat import MAX_TEXT, Line, read_chat
from counterseal.demonstration.plan import make_plan, quarter_of, quarters
from counterseal.protocol.errors import BadInput


def chat(tmp_path: Path, text: str) -> list[Line]:
    path = tmp_path / "chat"
    path.write_text(text, encoding="utf-8", newline="")
    return read_chat(path)


def told(lines: list[Line]) -> list[tuple[int, str, str]]:
    return [(line.sent_at_ms, line.sender, line.text) for line in lines]


def test_json_lines_keep_every_character_and_the_file_s_order_among_equals(tmp_path: Path) -> None:
    lines = chat(
        tmp_path,
        '{"sent_at": "2010-08-15T18:59:00Z", "sender": "b", '
        '"text": "second\\n\\u0000\\u202e x "}\n\n'
        '{"sent_at": "2010-08-15T18:58:00Z", "sender": "a", "text": ""}\n'
        '{"sent_at": "2010-08-15T20:59:00.250+02:00", "sender": "a", "text": "third"}\n'
        '{"sent_at": "2010-08-15T18:59:00Z", "sender": "c", "text": "same moment"}',
    )
    assert told(lines) == [
        (1281898680000, "a", ""),
        (1281898740000, "b", "second\n\0\u202e x "),
        (1281898740000, "c", "same moment"),
        (1281898740250, "a", "third"),
    ]


WHATSAPP = [
    ("31/12/2020, 23:59 - Ana: hello: you\n", [(1609459140000, "Ana", "hello: you")]),
    (
        "12/31/20, 11:59\u202fPM - Ana: x\n1/1/21, 12:05\u202fAM - Bo B.: y\n",
        [(1609459140000, "Ana", "x"), (1609459500000, "Bo B.", "y")],
    ),
    (
        (
            "[31.12.20, 23:59:58] Ana: one\r\ntwo\r\n\r\nfour\r\n"
            "\u200e[31.12.20, 23:59:59] Bo: \u200eimage omitted\r\n"
        ),
        [(1609459198000, "Ana", "one\ntwo\n\nfour"), (1609459199000, "Bo", "\u200eimage omitted")],
    ),
    (
        "2020-12-31, 23:59 - Ana joined\n2020-12-31, 23:59 - Ana: hi\n",
        [(1609459140000, "Ana", "hi")],
    ),
    # nothing over 12: the order in which the dates never go back decides
    (
        "2/3/21, 10:00 - A: x\n3/1/21, 10:00 - A: y\n",
        [(1612346400000, "A", "x"), (1614592800000, "A", "y")],
    ),
]


@pytest.mark.parametrize(("text", "expected"), WHATSAPP)
def test_whatsapp_exports_of_several_phones(
    tmp_path: Path, text: str, expected: list[tuple[int, str, str]]
) -> None:
    assert told(chat(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no message"),
        ("{\n", "line 1: not a JSON object"),
        ('{"sent_at": "2010-08-15T18:59:00Z", "sender": "b"}', "line 1: sent_at, sender and text"),
        (
            '{"sent_at": "2010-08-15T18:59:00", "sender": "b", "text": "x"}',
            "not a time as in RFC 3339",
        ),
        ('{"sent_at": "yesterday", "sender": "b", "text": "x"}', "not a time as in RFC 3339"),
        ('{"sent_at": "1950-08-15T18:59:00Z", "sender": "b", "text": "x"}', "before 1970"),
        ('{"sent_at": "2010-08-15T18:59:00Z", "sender": " ", "text": "x"}', "a sender's name"),
        (
            '{"sent_at": "2010-08-15T18:59:00Z", "sender": "b", "text": "'
            + "x" * (MAX_TEXT + 1)
            + '"}',
            "at most",
        ),
        ("just some words\n", "neither JSON Lines nor a WhatsApp export"),
        ("31/02/2020, 23:59 - Ana: x\n", "no such date"),
    ],
)
def test_what_is_no_conversation_gets_a_sentence_with_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        chat(tmp_path, text)


def test_a_file_that_is_not_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "chat").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not UTF-8"):
        read_chat(tmp_path / "chat")
    with pytest.raises(BadInput, match=r"There is no .*nothing"):
        read_chat(tmp_path / "nothing")


def line(minute: int, sender: str) -> Line:
    return Line(1_700_000_000_000 + minute * 60_000, sender, "x", minute)


LINES = [
    line(0, "zoe"),
    line(1, "Ämy"),
    line(2, "bob"),
    line(3, "bob"),
    line(4, "Amy"),
    line(5, "zoe"),
]


def test_the_most_active_take_part_and_of_equals_the_one_who_spoke_first() -> None:
    plan = make_plan(LINES, 3, None, None, None, "sent")
    assert plan.members == ("zoe", "bob", "Ämy")
    assert plan.target == "bob"
    assert [kept.sender for kept in plan.lines] == ["zoe", "Ämy", "bob", "bob", "zoe"]


def test_handles_are_plain_and_unique_whatever_the_names_are() -> None:
    plan = make_plan(
        [line(0, "Ämy"), line(1, "Amy"), line(2, "שרה"), line(3, "O'Neil, J.")],
        None,
        None,
        None,
        None,
        "sent",
    )
    assert plan.handles == {"Ämy": "amy", "Amy": "amy-2", "שרה": "member", "O'Neil, J.": "o-neil-j"}


def test_days_are_utc_and_both_inclusive() -> None:
    plan = make_plan(LINES, None, "Amy", "2023-11-14", "2023-11-14", "conversation")
    assert (plan.start, plan.end) == (1_699_920_000, 1_700_006_400)
    assert make_plan(LINES, None, None, None, None, "sent").start == plan.start


@pytest.mark.parametrize(
    ("members", "target", "first", "last"),
    [
        (1, None, None, None),
        (5, None, None, None),
        (None, "nobody", None, None),
        (2, "Amy", None, None),
        (None, None, "14.11.2023", None),
        (None, None, "2023-11-15", "2023-11-14"),
        (None, None, "2023-11-15", "2023-11-16"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    members: int | None, target: str | None, first: str | None, last: str | None
) -> None:
    with pytest.raises(BadInput):
        make_plan(LINES, members, target, first, last, "sent")


def test_quarters() -> None:
    assert quarter_of(1_700_000_000) == 4 * 2023 + 3
    assert quarters(make_plan(LINES, None, None, None, None, "sent")) == [4 * 2023 + 3]
