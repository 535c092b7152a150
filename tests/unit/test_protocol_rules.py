"""Each rule has one number, one home of its words, code that refuses by it, and a test that sees it
refuse.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src/counterseal"
PAGES = {"docs/protocol.md": "EXLSFVCKAWRONM", "docs/tlog.md": "TGPD"}
LETTERS = "".join(PAGES.values())
ROW = re.compile(rf"^\| ([{LETTERS}]\d{{1,2}}| +) \| (.*) \|$", re.MULTILINE)
QUOTED = re.compile(rf'["\[]([{LETTERS}]\d{{1,2}})["\]\\]')

# F11 is a state, "pending", and never an error
STATES = {"F11"}
# a counterseal is remade by the compiled core, which Python modules above protocol call
RAISED_ABOVE = {"S2"}


def rows(text):
    """The rules of a page's or a docstring's tables. A row without a number goes on with the row
    before it.
    """
    found = []
    for number, words in ROW.findall(text):
        if number.strip():
            found.append((number, words))
        elif found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {words}")
    return found


def page(name):
    return rows((ROOT / name).read_text(encoding="utf-8"))


def tables():
    """Where each rule's words are in the code: rule to (module, words)."""
    homes = defaultdict(list)
    for path in sorted(SRC.rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for rule, words in rows(docstring):
            homes[rule].append((path.relative_to(SRC).as_posix(), words))
    return homes


def quoted(*patterns):
    files = [path for pattern in patterns for path in ROOT.glob(pattern) if path != Path(__file__)]
    return {rule for path in files for rule in QUOTED.findall(path.read_text(encoding="utf-8"))}


DOCUMENTED = {rule: words for name in PAGES for rule, words in page(name)}
HOMES = tables()


@pytest.mark.parametrize(("name", "letters"), PAGES.items())
def test_a_page_has_each_rule_once_and_leaves_out_no_number(name, letters):
    rules = [rule for rule, _ in page(name)]
    assert len(rules) == len(set(rules))
    for letter in letters:
        numbers = sorted(int(rule[1:]) for rule in rules if rule[0] == letter)
        assert numbers == list(range(1, len(numbers) + 1)) != [], letter


def test_a_rule_has_one_home_in_the_code():
    assert {rule: places for rule, places in HOMES.items() if len(places) > 1} == {}


def test_the_pages_say_word_for_word_what_the_code_says():
    assert {rule: places[0][1] for rule, places in HOMES.items()} == DOCUMENTED


def test_a_rule_is_at_home_where_it_is_raised():
    compiled = quoted("crates/*/src/**/*.rs")
    strangers = [
        (rule, module)
        for rule, [(module, _)] in HOMES.items()
        if rule not in quoted(f"src/counterseal/{module}") | compiled | STATES | RAISED_ABOVE
    ]
    assert strangers == []


def test_what_the_code_raises_is_documented():
    raised = quoted("src/counterseal/**/*.py", "crates/*/src/**/*.rs")
    assert raised - set(DOCUMENTED) == set()


def test_what_is_documented_is_raised():
    raised = quoted("src/counterseal/**/*.py", "crates/*/src/**/*.rs")
    assert set(DOCUMENTED) - raised == STATES


def test_what_is_raised_is_seen_to_refuse():
    tested = quoted("tests/**/*.py", "tests/vectors/*.json", "crates/*/tests/**/*.rs")
    assert set(DOCUMENTED) - tested - STATES == set()


def test_what_the_protocol_and_the_log_raise_is_tested_beside_them():
    tested = quoted(
        "tests/unit/test_protocol_*.py",
        "tests/properties/test_protocol_*.py",
        "tests/vectors/*.json",
    )
    assert quoted("src/counterseal/protocol/*.py") - tested == set()
    tested = quoted("tests/unit/test_tlog_*.py")
    logs = {rule for rule in DOCUMENTED if rule[0] in PAGES["docs/tlog.md"]}
    assert logs - tested == set()
