"""Every rule stands in docs/protocol.md, at the code and in a test; none stands in one of them
alone.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LETTERS = "EXLSFVCKAWRONM"
ROW = re.compile(rf"^\| ([{LETTERS}]\d{{1,2}}) \|", re.MULTILINE)
QUOTED = re.compile(rf'["\[]([{LETTERS}]\d{{1,2}})["\\]')


def documented() -> list[str]:
    return ROW.findall((ROOT / "docs/protocol.md").read_text())


def quoted(*patterns: str) -> set[str]:
    files = [path for pattern in patterns for path in ROOT.glob(pattern) if path != Path(__file__)]
    return {rule for path in files for rule in QUOTED.findall(path.read_text())}


def test_a_rule_has_one_row():
    rules = documented()
    assert len(rules) == len(set(rules))
    assert len(rules) > 100


def test_numbers_leave_no_hole():
    rules = set(documented())
    for letter in LETTERS:
        numbers = sorted(int(rule[1:]) for rule in rules if rule[0] == letter)
        assert numbers == list(range(1, len(numbers) + 1)), letter


def test_what_the_code_raises_is_documented():
    assert quoted("src/counterseal/protocol/*.py") - set(documented()) == set()


def test_what_is_documented_is_raised():
    raised = quoted("src/counterseal/**/*.py", "crates/*/src/*.rs")
    # F11 is a state, "pending", and never an error
    assert set(documented()) - raised - {"F11"} == set()


def test_what_the_protocol_raises_is_tested():
    tested = quoted(
        "tests/unit/test_protocol_*.py",
        "tests/properties/test_protocol_*.py",
        "tests/vectors/*.json",
    )
    assert quoted("src/counterseal/protocol/*.py") - tested == set()


def test_module_tables_agree_with_the_page():
    page = dict(
        re.findall(
            rf"^\| ([{LETTERS}]\d+) \| (.*) \|$",
            (ROOT / "docs/protocol.md").read_text(),
            re.MULTILINE,
        )
    )
    for path in (ROOT / "src/counterseal/protocol").glob("*.py"):
        for rule in ROW.findall(path.read_text()):
            assert rule in page, f"{path.name} lists {rule}"
