import itertools
import json
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from importlib.resources import files

import pytest


@pytest.fixture(scope="module")
def messages():
    text = files("counterseal.demo_data").joinpath("sample.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_is_a_message_in_order(messages):
    assert all(list(message) == ["sent_at", "sender", "text"] for message in messages)
    times = [datetime.fromisoformat(message["sent_at"]) for message in messages]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert {time.tzinfo for time in times} == {UTC}


def test_three_days_from_nine_to_ten_at_night(messages):
    days = sorted({message["sent_at"][:10] for message in messages})
    assert len(days) == 3
    assert {int(message["sent_at"][11:13]) for message in messages} == set(range(9, 22))


def test_the_person_of_interest_is_neither_the_loudest_nor_quiet(messages):
    (_, most), (name, second), (_, third), *_ = counts = Counter(
        message["sender"] for message in messages
    ).most_common()
    assert len(counts) == 6
    assert name == "Tomáš Dvořák"
    assert most > second > third


def test_texts_are_of_many_kinds(messages):
    texts = [message["text"] for message in messages]
    assert any(unicodedata.bidirectional(letter) == "AL" for text in texts for letter in text)
    assert any("\n" in text for text in texts)
    assert any(ord(letter) > 0xFFFF for text in texts for letter in text)
    assert max(map(len, texts)) > 500
    assert min(map(len, texts)) < 6
