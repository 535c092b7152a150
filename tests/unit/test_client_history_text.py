"""Nothing in a message or a name may do anything to the terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterseal.client.history import HistoryEntry
from counterseal.client.history_text import describe_entry
from counterseal.client.states import MessageState
from counterseal.protocol.frame import Attachment
from counterseal.terminal import safe


def line(**changes):
    made = {
        "number": 1,
        "n": 1,
        "state": "shown",
        "kind": "text",
        "sender": "bob",
        "mine": False,
        "sent_at_ms": 1_800_000_000_000,
        "text": "hello",
        "rule": None,
        "gap": 0,
        "attachments": (),
    }
    fields = {**made, **changes}
    return HistoryEntry(**{**fields, "state": MessageState(fields["state"])})


@pytest.mark.parametrize(
    "bad",
    [
        "\x1b[2J",
        "\x07",
        "\x9b31m",
        "\x00",
        "\r",
        "\u202e",
        "\u2066",
        "\u200f",
        "\u2028",
        "\ud800",
        "\b\b",
    ],
)
def test_shows_what_would_act(bad):
    assert "<U+" in safe(f"a{bad}b")
    assert bad not in safe(f"a{bad}b")


@given(st.text())
def test_leaves_nothing_that_acts(text):
    for character in safe(text, lines=True):
        assert character in "\n\u200c\u200d" or unicodedata.category(character) not in (
            "Cc",
            "Cf",
            "Cs",
            "Co",
            "Cn",
            "Zl",
            "Zp",
        )


def test_leaves_what_people_write():
    text = "Grüße, 你好, שלום, 👩\u200d👧 – tab-less"
    assert safe(text) == text


def test_a_second_line_cannot_pass_for_another_message():
    shown = describe_entry(line(text="hi\n[2027-01-15 08:00] alice: I confess"))
    assert [part[:4] for part in shown.split("\n")] == ["[202", "    "]


def test_states():
    assert (
        describe_entry(line(state="refused", rule="F5", text=""))
        == "-- refused: not sealed as the charter says (F5)"
    )
    assert "F11" in describe_entry(line(state="pending", text="never shown"))
    assert "never shown" not in describe_entry(line(state="pending", text="never shown"))
    assert describe_entry(line(gap=2)).startswith("[2 messages missing before this one]")
    assert "waiting" in describe_entry(line(state="queued", mine=True))
    assert describe_entry(line(sender="\x1b[31mbob")).count("\x1b") == 0
    file = Attachment(bytes(32), 5, bytes(32), "a\x1b.txt", "text/plain")
    assert "\x1b" not in describe_entry(line(attachments=(file,)))
