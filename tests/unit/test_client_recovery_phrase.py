"""The recovery phrase: what it makes, what it takes, and what it says of a wrong one."""

import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterseal.client import recovery_phrase
from counterseal.protocol.errors import BadInput

DOMAIN = "chat.example.org"


@given(st.binary(min_size=32, max_size=32))
def test_every_phrase_is_read_back(entropy):
    words = recovery_phrase.spell(entropy)
    assert len(words) == 24
    assert recovery_phrase.read(" ".join(words)) == entropy


def test_however_it_was_written_down():
    words = recovery_phrase.spell(bytes(range(32)))
    numbered = "\n".join(f"{place:2}. {word.upper()}" for place, word in enumerate(words, 1))
    assert recovery_phrase.read(numbered) == bytes(range(32))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda words: words[:-1], "23"),
        (lambda words: [*words, words[0]], "25"),
        (lambda words: ["zzz", *words[1:]], "Word 1 "),
        (lambda words: [*words[:5], words[6], words[5], *words[7:]], "not a phrase in this order"),
        (lambda words: [], "0"),
    ],
)
def test_a_wrong_phrase_is_told_by_its_place_and_never_repeated(change, says):
    words = recovery_phrase.spell(bytes(range(32)))
    changed = change(words)
    with pytest.raises(BadInput) as error:
        recovery_phrase.read(" ".join(changed))
    assert says in error.value.message
    assert not any(f" {word} " in f" {error.value.message} " for word in changed if len(word) > 4)


def test_keys_are_those_of_the_vector(root: pathlib.Path):
    """Made once and kept: another derivation would leave everybody without an account."""
    vector = json.loads((root / "tests/vectors/recovery.json").read_text())
    entropy = bytes.fromhex(vector["entropy"])
    assert recovery_phrase.spell(entropy) == vector["words"].split()
    for generation, public in enumerate(vector["account_keys"]):
        key = recovery_phrase.account_key(entropy, vector["domain"], generation)
        assert key.public_key().public_bytes_raw().hex() == public
    notice = recovery_phrase.notice_key(entropy, vector["domain"])
    assert notice.seed.hex() == vector["notice_seed"]
    assert notice.public[:32].hex() == vector["notice_key_begins"]


def test_keys_differ_by_domain_generation_and_use():
    entropy = bytes(32)
    made = {
        recovery_phrase.account_key(entropy, domain, generation).private_bytes_raw()
        for domain in (DOMAIN, "other.example.org")
        for generation in range(4)
    } | {recovery_phrase.notice_key(entropy, DOMAIN).seed}
    assert len(made) == 9
