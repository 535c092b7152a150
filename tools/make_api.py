"""Makes docs/reference/api.md and docs/reference/openapi.json from the wire room.

    .venv/bin/python tools/make_api.py

A test compares both with what this makes, so a new route takes this command as well.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from msgspec import inspect

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.api_schema import openapi  # noqa: E402 - the root has to be on the path

from counterseal.wire import authentication, socket, witness  # noqa: E402
from counterseal.wire.body import Rows  # noqa: E402
from counterseal.wire.endpoint import Authentication, Endpoint, Raw  # noqa: E402
from counterseal.wire.endpoints import ENDPOINTS, WITNESS_ENDPOINTS  # noqa: E402

PAGE = ROOT / "docs/reference/api.md"
DESCRIPTION = ROOT / "docs/reference/openapi.json"
TEMPLATE = ROOT / "tools/api_template.md"

SECTIONS = {
    "Anybody": (
        Authentication.ANYBODY,
        Authentication.MAYBE_DEVICE,
        Authentication.STATEMENT,
        Authentication.FIRST_STATEMENT,
    ),
    "Devices": (Authentication.DEVICE, Authentication.NEW_DEVICE),
    "Institutions": (Authentication.INSTITUTION,),
    "The operator": (Authentication.OPERATOR,),
}
UNITS = ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes"))


def page() -> str:
    """The page."""
    filled = {
        "authentication": body_of(authentication.__doc__),
        "contents": contents(),
        "calls": "\n\n".join(section(title) for title in SECTIONS),
        "socket": body_of(socket.__doc__),
        "messages": messages(),
        "witness": body_of(witness.__doc__),
        "witness_calls": "\n\n".join(map(call, WITNESS_ENDPOINTS)),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, part in filled.items():
        text = text.replace("{" + name + "}", part)
    return text


def body_of(docstring: str | None) -> str:
    """A docstring after its first sentence."""
    return (docstring or "").strip().partition("\n\n")[2]


def of_section(title: str) -> list[Endpoint[Any, Any]]:
    """The calls of a section, those on one thing together."""
    found = [one for one in ENDPOINTS if one.authentication in SECTIONS[title]]
    things = list(dict.fromkeys(thing(one) for one in found))
    return sorted(found, key=lambda one: (things.index(thing(one)), one.path, one.method))


def thing(one: Endpoint[Any, Any]) -> str:
    """What a call is about: the first word of its path, or two for what has `/v1` before it."""
    words = one.path.split("/")
    return words[2] if words[1] == "v1" else words[1]


def name(one: Endpoint[Any, Any]) -> str:
    """`GET /v1/health`, with its query."""
    query = "&".join(f"{number.name}=" for number in one.query)
    return f"{one.method} {one.path}" + (f"?{query}" if query else "")


def contents() -> str:
    """A line for each call."""
    lines = ["| call | what it does | who |", "| --- | --- | --- |"]
    for title in SECTIONS:
        for one in of_section(title):
            anchor = "".join(c for c in name(one).lower() if c.isalnum() or c in " -_")
            link = f"[`{name(one)}`](#{anchor.replace(' ', '-')})"
            lines.append(f"| {link} | {one.summary} | {title.lower()} |")
    return "\n".join(lines)


def section(title: str) -> str:
    """The calls of a section."""
    return "\n\n".join((f"## {title}", *map(call, of_section(title))))


def call(one: Endpoint[Any, Any]) -> str:
    """One call."""
    lines = [f"### `{name(one)}`", "", " ".join((one.summary, one.notes)).strip()]
    lines += ["", f"- **who**: {one.authentication.value}"]
    lines += [f"- **`{number.name}`**: {number_text(number)}" for number in one.query]
    if one.request is not None:
        lines.append(f"- **takes** {body(one.request)} At most {size(one.request_max)}.")
    if one is socket.SOCKET:
        lines.append("- **answers** with a WebSocket ([below](#the-websocket))")
    else:
        lines.append(f"- **answers** {body(one.answer)} At most {size(one.answer_max)}.")
    lines += [f"- **{other.status}** {body(other.answer)}" for other in one.otherwise]
    lines += [f"- **header** `{header.name}`: {header.about}" for header in one.headers]
    for error in one.errors:
        lines.append(f"- {error.status} `{error.code}`: {error.when}")
    if one.repeatable:
        lines.append("- repeatable")
    return "\n".join(lines)


def number_text(number: Any) -> str:
    """A number of the query in words."""
    text = str(number.about)
    if number.required:
        return f"{text} (required)"
    if number.default is not None:
        text += f", {number.default} without it"
    most = (
        f", at most {number.most}"
        if number.most < 1 << 20 and number.default != number.most
        else ""
    )
    return text + most


def body(kind: Any) -> str:
    """A body's shape and what it is."""
    if isinstance(kind, Raw):
        return f"`{kind.media_type}`: {kind.about}."
    about = " ".join((kind.__doc__ or "").split())
    return f"`{shape(kind)}` {about}"


def shape(kind: type) -> str:
    """`[digest(32), log_index]`: a struct's fields as they stand in its array."""
    struct = inspect.type_info(kind)
    assert isinstance(struct, inspect.StructType)
    if issubclass(kind, Rows):
        return value("rows", struct.fields[0].type)
    fields = [value(field.name, field.type) for field in struct.fields]
    if struct.tag is not None:
        fields.insert(0, f'"{struct.tag}"')
    return f"[{', '.join(fields)}]"


def value(field: str, kind: inspect.Type) -> str:
    """A field as it stands in its array: its name, and of a byte string of one size the size."""
    match kind:
        case inspect.Metadata():
            return value(field, kind.type)
        case inspect.BytesType() if kind.min_length == kind.max_length:
            return f"{field}({kind.max_length})"
        case inspect.NoneType():
            return "null"
        case inspect.LiteralType():
            return " or ".join(f'"{one}"' for one in kind.values)
        case inspect.VarTupleType():
            item = "hash" if field.endswith("path") else field.removesuffix("s")
            return f"[{value(item, kind.item_type)}, ...]"
        case inspect.TupleType():
            items = [value(field.removesuffix("s"), item) for item in kind.item_types]
            return f"[{', '.join(items)}]"
        case inspect.UnionType():
            some = [
                value(field, one) for one in kind.types if not isinstance(one, inspect.NoneType)
            ]
            return " or ".join((*some, "null"))
        case inspect.StructType():
            return shape(kind.cls)
    return field


def messages() -> str:
    """The messages over the WebSocket, both ways."""
    lines = [f"A device sends `{shape(socket.Follows)}`, at most {size(socket.FOLLOW_MAX)}."]
    lines += ["", f"The service sends, at most {size(socket.PUSH_MAX)} each:", ""]
    for kind in socket.PUSHED.values():
        lines.append(f"- {body(kind)}")
    return "\n".join(lines)


def size(number: int) -> str:
    """Bytes in the largest unit that they are a whole number of, else rounded up to one decimal."""
    for unit, word in UNITS:
        if number % unit == 0:
            return f"{number // unit:,} {word}"
    raise AssertionError("every number is a whole number of bytes")


def description() -> str:
    """The OpenAPI description."""
    return json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    DESCRIPTION.write_text(description(), encoding="utf-8")
