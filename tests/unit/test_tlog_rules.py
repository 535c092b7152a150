"""Every rule of docs/tlog.md stands at the code that refuses and in a test, and no other rule
does.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RULES = sorted(
    re.findall(r"^\| ([TGPD]\d+) \|", (ROOT / "docs/tlog.md").read_text(), re.M),
    key=lambda r: (r[0], int(r[1:])),
)


def named_in(files):
    return {rule for file in files for rule in re.findall(r"\"([TGPD]\d+)\"", file.read_text())}


CODE = named_in((ROOT / "src/counterseal/tlog").glob("*.py"))
TESTS = named_in(
    p for p in (ROOT / "tests/unit").glob("test_tlog_*.py") if p.name != "test_tlog_rules.py"
)


def test_rules_are_numbered_without_gaps():
    for letter, last in (("T", 32), ("G", 12), ("P", 6), ("D", 7)):
        assert [rule for rule in RULES if rule[0] == letter] == [
            f"{letter}{n}" for n in range(1, last + 1)
        ]


def test_the_code_raises_no_other_rule():
    assert set(RULES) >= CODE


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_raised_and_tested(rule):
    assert rule in CODE or rule == "T19"  # T19 is raised by whoever runs a witness
    assert rule in TESTS
