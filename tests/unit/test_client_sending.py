"""Sending's own decisions: what time a message says, and which serial its window has."""

import pytest

from counterseal.client.sending import REMEDIES, Remedy, fitting_time
from counterseal.client.windows import serial_step


def test_a_message_says_when_it_was_said_or_when_it_was_sealed():
    """F10."""
    assert fitting_time(5_500, 3, 9, 7) == 5_500
    assert fitting_time(None, 3, 9, 7) == 7_000
    assert fitting_time(2_999, 3, 9, 7) == 7_000
    assert fitting_time(9_000, 3, 9, 12) == 8_000


@pytest.mark.parametrize(("spent", "step"), [(0, 1), (1, 2), (2, 4), (16, 65_536), (99, 65_536)])
def test_each_refused_window_doubles_the_step_to_the_next_serial(spent, step):
    assert serial_step(spent) == step


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("epoch", Remedy.CATCH_UP),
        ("V1", Remedy.POST_WINDOW_AGAIN),
        ("V2", Remedy.NEW_WINDOW),
        ("V3", Remedy.ASK_THE_TIME),
        ("L1", Remedy.LEARN_RULES),
        ("L5", Remedy.NEW_WINDOW),
        ("V5", None),
        ("V6", None),
        ("revoked", None),
        ("too-many", None),
    ],
)
def test_what_a_refusal_asks_for(code, remedy):
    assert REMEDIES.get(code) is remedy
