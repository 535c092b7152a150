import re

import pytest
from tests.support import bag as e

from counterseal.evidence.messages import Message, rfc3339
from counterseal.evidence.transcript import Cover, Tally, Transcript
from counterseal.protocol.frame import Attachment

COVER = Cover.of(e.Scene().warrant)
ALICE = e.Scene().alice.id


def message(text, at=1_800_000_000_000, **changes):
    fields = {
        "account": ALICE,
        "conversation": bytes(16),
        "window": bytes(32),
        "seq": 0,
        "stamp": at // 1000,
        "number": 1,
        "kind": "text",
    }
    return Message(sent_at_ms=at, text=text, **{**fields, **changes})


def page(*messages, names=None):
    transcript = Transcript(COVER, names or {ALICE: "Alice"})
    parts = [
        transcript.head(),
        *(transcript.message(one) for one in messages),
        transcript.foot(Tally(1, 2, len(messages))),
    ]
    return b"".join(parts).decode()


def test_what_people_wrote_is_escaped():
    html = page(
        message("<script>alert('1')</script> & \"x\""), names={ALICE: "<img src=x onerror=y>"}
    )
    assert "<script" not in html and "<img" not in html
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt; &amp; &quot;x&quot;" in html


def test_nothing_is_loaded_or_run():
    html = page(message("https://example.org/x.png"))
    assert "default-src 'none'" in html
    assert not re.search(r"<(script|link|img|iframe|object|a)\b|\son\w+=|url\(|@import", html)


@pytest.mark.parametrize(
    "character", ["\u202e", "\u2066", "\u200f", "\u200b", "\x07", "\ufeff", "\u2028", "\U000e0041"]
)
def test_what_steers_or_hides_is_shown(character):
    html = page(message(f"a{character}b"))
    assert character not in html
    assert f"[U+{ord(character):04X}]" in html


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\U0001f467",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "line\nline\ttab",
        "e\u0301",
    ],
)
def test_what_scripts_need_is_kept(text):
    assert text in page(message(text))


def test_each_text_has_its_own_direction():
    html = page(message("\u05e9\u05dc\u05d5\u05dd"))
    assert '<p class="text" dir="auto">\u05e9\u05dc\u05d5\u05dd</p>' in html
    assert '<bdi dir="auto">Alice</bdi>' in html


def test_days_and_conversations_have_headings():
    html = page(
        message("one"),
        message("two", 1_800_000_000_000 + 86_400_000),
        message("three", 1_800_000_000_000 + 86_400_001, conversation=b"c" * 16),
    )
    assert html.count("<h2>") == 2 and html.count("<h3>") == 3
    assert html.count("<ol>") == html.count("</ol>") == 3


def test_an_empty_transcript_is_a_whole_page():
    html = page()
    assert "0 messages" in html and html.endswith("</html>\n") and "<ol>" not in html


def test_attachments_are_named():
    html = page(
        message(
            "",
            attachments=(Attachment(b"d" * 32, 1_234, b"k" * 32, "a\u202egpj.exe", "image/jpeg"),),
        )
    )
    assert "1,234 bytes" in html and "a<span" in html and (b"k" * 32).hex() not in html


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_431_103_020_000, "2015-05-08T16:37:00Z"),
        (1_431_103_020_007, "2015-05-08T16:37:00.007Z"),
    ],
)
def test_times(ms, text):
    assert rfc3339(ms) == text


@pytest.mark.parametrize("text", ["\u2028", "\x85", "\x1c", "\r\n", "\\", '"', "\x00"])
def test_a_line_is_one_line_for_every_reader(text):
    import json

    line = message(text).line({ALICE: "A"}).decode()
    assert line.splitlines() == [line[:-1]]
    assert json.loads(line)["text"] == text
