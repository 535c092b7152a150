"""Which conversation or device a person means."""

import pytest

from counterseal.client.overview import find_conversation
from counterseal.client.states import ConversationState
from counterseal.client.store.conversations import ConversationRow
from counterseal.protocol.errors import BadInput, NotFound


def conversation(number, name="", state=ConversationState.ACTIVE):
    return ConversationRow(bytes.fromhex(number) + bytes(14), name, state, 0, None, b"", 1)


WORK, PLAY, REFUSED = (
    conversation("abcd", "work"),
    conversation("ab01"),
    conversation("abcd", "spam", ConversationState.REFUSED),
)
ROWS = [WORK, PLAY, REFUSED]


@pytest.mark.parametrize(("words", "row"), [("work", WORK), ("ABCD", WORK), ("ab01", PLAY)])
def test_by_its_name_or_its_first_digits(words, row):
    assert find_conversation(ROWS, words) == row.id


@pytest.mark.parametrize("words", ["play", "ab0", "", "spam", "work2"])
def test_nothing_is_meant(words):
    with pytest.raises(NotFound, match="conversation list"):
        find_conversation(ROWS, words)


def test_several_are_meant():
    with pytest.raises(BadInput, match="2 conversations"):
        find_conversation([WORK, conversation("ab01", "work")], "work")
    with pytest.raises(BadInput, match="more digits"):
        find_conversation([WORK, conversation("abcd", "other")], "abcd")
