"""The OpenAPI 3.1 description of the service, made from the wire room.

CBOR bodies are described by JSON Schema as what they are: arrays with a type for each place
(`prefixItems`). A byte string is a `string` of `format: binary`, whose lengths are in bytes.
"""

from __future__ import annotations

from typing import Any

from msgspec import inspect

from counterseal.wire import blobs, socket
from counterseal.wire.body import Rows
from counterseal.wire.endpoint import (
    CBOR,
    HEX,
    NUMBERS,
    TEXTS,
    Authentication,
    Endpoint,
    Query,
    Raw,
)
from counterseal.wire.endpoints import ENDPOINTS
from counterseal.wire.failure import CODE_MAX, JSON, MESSAGE_MAX

Schema = dict[str, Any]

SECURITY: dict[Authentication, list[dict[str, list[str]]]] = {
    Authentication.ANYBODY: [],
    Authentication.STATEMENT: [],
    Authentication.FIRST_STATEMENT: [],
    Authentication.MAYBE_DEVICE: [{}, {"device": []}],
    Authentication.DEVICE: [{"device": []}],
    Authentication.NEW_DEVICE: [{"device": []}],
    Authentication.INSTITUTION: [{"institution": []}],
    Authentication.OPERATOR: [{"operator": []}],
}
SCHEMES: Schema = {
    "device": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "Counterseal-Device ACCOUNT.DEVICE.TIME.NONCE.SIGNATURE (api.md)",
    },
    "institution": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "Counterseal-Institution KID.TIME.NONCE.ED25519.MLDSA65 (api.md)",
    },
    "operator": {"type": "http", "scheme": "bearer"},
}


_PLAIN: dict[type, str] = {inspect.BoolType: "boolean", inspect.NoneType: "null"}


def openapi() -> Schema:
    """The whole description."""
    schemas: Schema = {
        "Failure": {
            "type": "object",
            "description": "Why a call failed.",
            "properties": {
                "code": {"type": "string", "maxLength": CODE_MAX},
                "message": {"type": "string", "maxLength": MESSAGE_MAX},
            },
            "required": ["code", "message"],
        }
    }
    paths: Schema = {}
    for one in ENDPOINTS:
        paths.setdefault(one.path, {})[one.method.lower()] = operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Counterseal service",
            "version": "1",
            "description": "Bodies are canonical CBOR arrays; see api.md beside this file.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8440"}],
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items())), "securitySchemes": SCHEMES},
    }


def operation(one: Endpoint[Any, Any], schemas: Schema) -> Schema:
    """One call."""
    made: Schema = {
        "operationId": operation_id(one),
        "summary": one.summary,
        "description": f"For {one.authentication.value}. {one.notes}".strip(),
        "security": SECURITY[one.authentication],
        "parameters": [*map(path_parameter, one.parts), *map(query_parameter, one.query)],
        "responses": responses(one, schemas),
    }
    if one.request is not None:
        made["requestBody"] = {
            "required": True,
            "description": f"At most {one.request_max} bytes.",
            "content": content(one.request, schemas),
        }
    return made


def operation_id(one: Endpoint[Any, Any]) -> str:
    """A name of letters: `get_v1_accounts_account`."""
    words = "".join(c if c.isalnum() else " " for c in one.path).split()
    return "_".join((one.method.lower(), *words))


def path_parameter(name: str) -> Schema:
    """A part of the path."""
    schema: Schema = {"type": "string"}
    if name in HEX:
        schema["pattern"] = f"^[0-9a-f]{{{2 * HEX[name]}}}$"
    elif name in NUMBERS:
        schema = {"type": "integer", "minimum": 0}
    made = {"name": name, "in": "path", "required": True, "schema": schema}
    return made | ({"description": TEXTS[name]} if name in TEXTS else {})


def query_parameter(query: Query) -> Schema:
    """A number of the query."""
    schema: Schema = {"type": "integer", "minimum": query.least, "maximum": query.most}
    if query.default is not None:
        schema["default"] = query.default
    return {
        "name": query.name,
        "in": "query",
        "required": query.required,
        "description": query.about,
        "schema": schema,
    }


def responses(one: Endpoint[Any, Any], schemas: Schema) -> Schema:
    """The answers by status."""
    made: Schema = {}
    if one is socket.SOCKET:
        made["101"] = {"description": "The WebSocket."}
    else:
        made["200"] = {
            "description": f"At most {one.answer_max} bytes.",
            "content": content(one.answer, schemas),
        }
    if one.headers and one is not blobs.BLOB:
        made["200"]["headers"] = {
            header.name: {"description": header.about, "schema": {"type": "string"}}
            for header in one.headers
        }
    if one is blobs.BLOB:
        made["206"] = {
            "description": "The part of the blob that `Range` asks for.",
            "content": content(one.answer, schemas),
            "headers": {"Content-Range": {"schema": {"type": "string"}}},
        }
    for error in one.errors:
        answer = made.setdefault(str(error.status), failure())
        said = f"`{error.code}`: {error.when}"
        answer["description"] = "; ".join(filter(None, (answer["description"], said)))
    for other in one.otherwise:
        answer = made.setdefault(str(other.status), failure())
        answer["content"] |= content(other.answer, schemas)
        said = f"as CBOR: {reference(other.answer, schemas)['$ref'].rsplit('/', 1)[1]}"
        answer["description"] = "; ".join(filter(None, (answer["description"], said)))
    made["default"] = failure() | {"description": "Any other failure (api.md, Errors)."}
    return made


def failure() -> Schema:
    """An error answer, to be described."""
    schema = {"$ref": "#/components/schemas/Failure"}
    return {"description": "", "content": {JSON: {"schema": schema}}}


def content(kind: Any, schemas: Schema) -> Schema:
    """A body by its media type."""
    if isinstance(kind, Raw):
        return {kind.media_type: {"schema": {"description": kind.about}}}
    return {CBOR: {"schema": reference(kind, schemas)}}


def reference(kind: type, schemas: Schema) -> Schema:
    """A reference to a struct's schema, which is added."""
    name = kind.__name__
    if name not in schemas:
        schemas[name] = {}  # so that a struct within itself would end
        struct = inspect.type_info(kind)
        assert isinstance(struct, inspect.StructType)
        about = {"description": " ".join((kind.__doc__ or "").split())}
        made = (
            schema_of(struct.fields[0].type, schemas)
            if issubclass(kind, Rows)
            else array([(field.name, field.type) for field in struct.fields], schemas)
        )
        schemas[name] = about | made
    return {"$ref": f"#/components/schemas/{name}"}


def array(fields: list[tuple[str, inspect.Type]], schemas: Schema) -> Schema:
    """An array with a place for each field."""
    places = []
    for name, kind in fields:
        schema = schema_of(kind, schemas)
        places.append({"title": name} | schema if name and "$ref" not in schema else schema)
    made: Schema = {"type": "array", "items": False, "minItems": len(places)}
    return made | {"maxItems": len(places)} | ({"prefixItems": places} if places else {})


def schema_of(kind: inspect.Type, schemas: Schema) -> Schema:
    """The schema of one type."""
    match kind:
        case inspect.Metadata():
            return schema_of(kind.type, schemas)
        case inspect.BytesType() | inspect.StrType():
            made: Schema = {"type": "string"}
            if isinstance(kind, inspect.BytesType):
                made["format"] = "binary"
            elif kind.pattern is not None:
                made["pattern"] = kind.pattern.replace(r"\A", "^").replace(r"\Z", "$")
            bounds = {"minLength": kind.min_length, "maxLength": kind.max_length}
            return made | {name: bound for name, bound in bounds.items() if bound is not None}
        case inspect.IntType():
            return {"type": "integer", "minimum": kind.ge, "maximum": kind.le}
        case inspect.VarTupleType():
            made = {"type": "array", "items": schema_of(kind.item_type, schemas)}
            bounds = {"minItems": kind.min_length, "maxItems": kind.max_length}
            return made | {name: bound for name, bound in bounds.items() if bound is not None}
        case inspect.TupleType():
            return array([("", item) for item in kind.item_types], schemas)
        case inspect.UnionType():
            return {"oneOf": [schema_of(one, schemas) for one in kind.types]}
        case inspect.StructType():
            return reference(kind.cls, schemas)
        case inspect.LiteralType():
            return {"enum": list(kind.values)}
    return {"type": _PLAIN[type(kind)]}
