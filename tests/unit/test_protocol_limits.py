"""Section 9 of docs/protocol.md: how many bytes each record may have."""

import importlib
import pkgutil
import re
from pathlib import Path

import counterseal.protocol
from counterseal.protocol.record import Record

PAGE = Path(__file__).parents[2] / "docs/protocol.md"
NAMES = {"window": "label"}
"""Records whose tag is not what the page calls them."""
ELSEWHERE = {"tick"}
"""Records of the ledger's stream: docs/tlog.md."""


def in_the_code():
    found = {}
    for module in pkgutil.iter_modules(counterseal.protocol.__path__):
        for one in vars(importlib.import_module(f"counterseal.protocol.{module.name}")).values():
            if isinstance(one, type) and issubclass(one, Record) and one is not Record:
                name = one.tag().removeprefix("counterseal/v1/")
                found[NAMES.get(name, name)] = one.limit
    return {name: limit for name, limit in found.items() if name not in ELSEWHERE}


def on_the_page():
    section = re.search(r"^## 9 Limits\n(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found = {}
    for row in re.findall(r"^\| (.*) \|$", section[1], re.MULTILINE):
        cells = [cell.strip() for cell in row.split("|")]
        for names, limit in (cells[:2], cells[2:]):
            if limit[:1].isdigit():
                found |= {name: int(limit.replace(",", "")) for name in names.split(", ")}
    return found


def test_the_page_has_every_records_limit():
    page, code = on_the_page(), in_the_code()
    others = page.pop("others")
    assert len(page) > 20
    assert set(page) - set(code) == set()
    assert code == {name: page.get(name, others) for name in code}
