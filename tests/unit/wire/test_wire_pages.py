"""The pages made from the wire room: as the tool makes them, and right for whoever reads them."""

from __future__ import annotations

import json
import re
from typing import Any

from tools import make_api

from counterseal.wire.endpoints import ENDPOINTS, WITNESS_ENDPOINTS
from counterseal.wire.socket import PUSHED

PAGE = make_api.PAGE.read_text(encoding="utf-8")
DESCRIPTION = json.loads(make_api.DESCRIPTION.read_text(encoding="utf-8"))


def test_the_page_is_as_the_wire_room_has_it() -> None:
    assert make_api.page() == PAGE, "run tools/make_api.py"


def test_the_description_is_as_the_wire_room_has_it() -> None:
    assert make_api.description() == make_api.DESCRIPTION.read_text(encoding="utf-8"), (
        "run tools/make_api.py"
    )


def test_the_page_has_every_call_and_every_link_leads_to_one() -> None:
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    for one in ENDPOINTS + WITNESS_ENDPOINTS:
        assert f"`{make_api.name(one)}`" in headings
    anchors = {
        "".join(c for c in heading.lower() if c.isalnum() or c in " -_").replace(" ", "-")
        for heading in headings
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= anchors


def test_the_page_has_every_message_of_the_socket() -> None:
    for word in PUSHED:
        assert f'`["{word}", ' in PAGE


def everything(value: Any) -> list[Any]:
    """A value and all that is in it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(one for part in inner for one in everything(part))]


def test_the_description_is_whole_in_itself() -> None:
    schemas = DESCRIPTION["components"]["schemas"]
    dicts = [one for one in everything(DESCRIPTION) if isinstance(one, dict)]
    used = {one["$ref"].removeprefix("#/components/schemas/") for one in dicts if "$ref" in one}
    assert used == set(schemas)
    operations = [
        (path, method, operation)
        for path, methods in DESCRIPTION["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) == len(ENDPOINTS)
    ids = [operation["operationId"] for *_, operation in operations]
    assert len(set(ids)) == len(ids)
    for path, _, operation in operations:
        in_path = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        for answer in operation["responses"].values():
            assert answer["description"]


def test_every_array_has_a_type_for_each_place() -> None:
    for schema in everything(DESCRIPTION["components"]["schemas"]):
        if isinstance(schema, dict) and schema.get("type") == "array":
            assert "maxItems" in schema
            if schema["items"] is False:
                assert len(schema.get("prefixItems", [])) == schema["maxItems"]
