"""How whoever answers reads a request's path and query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from counterseal.protocol.errors import BadInput

from .endpoint import HEX, NUMBERS, Endpoint, Query


def read_query(endpoint: Endpoint[Any, Any], given: Mapping[str, str]) -> dict[str, int | None]:
    """The numbers of the query. Names that the route does not know are not looked at. Raises
    `BadInput` "query".
    """
    return {one.name: read_number(one, given.get(one.name)) for one in endpoint.query}


def read_number(query: Query, text: str | None) -> int | None:
    """The number in `text`, or the default. Raises `BadInput` "query"."""
    if text is None and not query.required:
        return query.default
    if text is None or not re.fullmatch(r"-1|[0-9]{1,18}", text, re.ASCII):
        raise BadInput(f"The query needs {query.name}, a whole number.", code="query")
    number = int(text)
    if query.required and not query.least <= number <= query.most:
        raise BadInput(f"The query needs {query.name}, a whole number.", code="query")
    return min(max(number, query.least), query.most)


def read_part(name: str, text: str) -> Any:
    """A part of a path: bytes for a name of `HEX`, a number for one of `NUMBERS`, else the text.
    Raises `BadInput` "path".
    """
    if name in HEX:
        return read_hex(text, HEX[name])
    if name not in NUMBERS:
        return text
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise BadInput(f"The path needs {name}, a whole number from 0.", code="path")
    return int(text)


def read_hex(text: str, size: int) -> bytes:
    """The `size` bytes in lower-case hex. Raises `BadInput` "path"."""
    if len(text) != 2 * size or not re.fullmatch(r"[0-9a-f]+", text, re.ASCII):
        raise BadInput(f"The path needs {size} bytes in lower-case hex.", code="path")
    return bytes.fromhex(text)
