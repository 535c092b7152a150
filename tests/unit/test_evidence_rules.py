"""Every rule of the bag stands once in the code, in the words of docs/reference/evidence.md."""

import importlib
import pkgutil
import re
from pathlib import Path

from counterseal import evidence

PAGE = Path(__file__).parents[2] / "docs/reference/evidence.md"
ROW = re.compile(r"^\| (B\d+| +) \| (.+) \|$", re.MULTILINE)


def rows(text):
    """Rule and words; a row that is too long goes on in one with an empty first cell."""
    found = []
    for rule, words in ROW.findall(text):
        if rule.strip():
            found.append((rule, words))
        elif found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {words}")
    return found


def modules():
    for module in pkgutil.iter_modules(evidence.__path__, "counterseal.evidence."):
        yield importlib.import_module(module.name)


def test_the_code_says_what_the_page_says():
    in_code = [row for module in modules() for row in rows(module.__doc__)]
    on_page = rows(PAGE.read_text())
    assert len(on_page) == 19
    assert sorted(in_code) == sorted(on_page)


def test_each_rule_is_found_by_the_module_that_has_its_words():
    for module in modules():
        code = Path(module.__file__).read_text()
        for rule, _ in rows(module.__doc__):
            assert f'"{rule}"' in code, (rule, module.__name__)
