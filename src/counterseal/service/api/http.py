"""What every resource shares: reading a bounded body, asking who calls, answering in CBOR, and
turning refusals into JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from counterseal.protocol import cbor
from counterseal.protocol.errors import (
    BadInput,
    CountersealError,
    EpochConflict,
    FatalError,
    NotAuthenticated,
    TooLarge,
)
from counterseal.protocol.record import Part, convert
from counterseal.service.auth import DeviceCaller, InstitutionCaller, Request

if TYPE_CHECKING:
    from counterseal.service.app import Service

CBOR = "application/cbor"
KIB = 1024
MIB = 1024 * 1024
BODY_MAX = 4 * MIB + 64 * KIB

_log = logging.getLogger("counterseal.service")
P = TypeVar("P", bound=Part)


class Call(msgspec.Struct, frozen=True):
    """One request: the service, the path's parameters, the query and the whole body."""

    service: Service
    params: dict[str, str]
    query: dict[str, str]
    body: bytes
    http: HttpRequest

    def hex(self, name: str, size: int = 32) -> bytes:
        """A byte string in the path: lower-case hex of `size` bytes. Raises `BadInput` "path"."""
        return hex_bytes(self.params[name], size)

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number in the query; -1 may stand for "from the very first". Raises `BadInput`
        "query".
        """
        text = self.query.get(name)
        if text is None and default is not None:
            return default
        if text == "-1":
            return -1
        if text is None or not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise BadInput(f"The query needs {name}, a whole number.", code="query")
        return int(text)

    def path_integer(self, name: str) -> int:
        """A whole number from 0 in the path. Raises `BadInput` "path"."""
        text = self.params[name]
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise BadInput(f"The path needs {name}, a whole number from 0.", code="path")
        return int(text)

    def decode(self, kind: type[P]) -> P:
        """The body as an array of `kind`. Raises `Refused` E1 to E7."""
        return convert(cbor.decode(self.body, BODY_MAX), kind)


class DeviceCall(Call, frozen=True):
    """A request signed by a device."""

    caller: DeviceCaller


class InstitutionCall(Call, frozen=True):
    """A request signed by an institution that a charter names."""

    caller: InstitutionCaller


Answer = Response | list[Any] | tuple[Any, ...] | bytes
C = TypeVar("C", bound=Call)
Handler = Callable[[C], Awaitable[Answer]]


def hex_bytes(text: str, size: int) -> bytes:
    """Lower-case hex of `size` bytes. Raises `BadInput` "path"."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != size or data.hex() != text:
        raise BadInput(f"The path needs {size} bytes in lower-case hex.", code="path")
    return data


def anybody(
    path: str, handler: Handler[Call], *, method: str = "GET", limit: int = BODY_MAX
) -> Route:
    """A route without authentication; a POST counts against its address's rate."""

    async def endpoint(request: HttpRequest) -> Response:
        async def answer() -> Answer:
            service: Service = request.app.state.service
            if method != "GET":
                service.rates.take(request.client.host if request.client else "")
            body = await _body(request, limit) if method != "GET" else b""
            return await handler(
                Call(service, request.path_params, dict(request.query_params), body, request)
            )

        return await _answered(request, answer)

    return Route(path, endpoint, methods=[method])


def by_device(
    path: str,
    handler: Handler[DeviceCall],
    *,
    method: str = "GET",
    limit: int = BODY_MAX,
    known: bool = True,
) -> Route:
    """A route for devices. `known` asks that the directory has the device, not revoked; only making
    an account does without.
    """

    async def endpoint(request: HttpRequest) -> Response:
        async def answer() -> Answer:
            service: Service = request.app.state.service
            body = await _body(request, limit) if method != "GET" else b""
            caller = service.auth.device(_header(request), Request(method, _target(request), body))
            service.rates.take(caller.device)
            if known:
                service.directory.require(caller)
            return await handler(
                DeviceCall(
                    service, request.path_params, dict(request.query_params), body, request, caller
                )
            )

        return await _answered(request, answer)

    return Route(path, endpoint, methods=[method])


def by_institution(
    path: str, handler: Handler[InstitutionCall], *, method: str = "GET", limit: int = BODY_MAX
) -> Route:
    """A route for institutions, who sign with both keys."""

    async def endpoint(request: HttpRequest) -> Response:
        async def answer() -> Answer:
            service: Service = request.app.state.service
            service.rates.take(request.client.host if request.client else "")
            body = await _body(request, limit) if method != "GET" else b""
            caller = service.auth.institution(
                _header(request), Request(method, _target(request), body)
            )
            return await handler(
                InstitutionCall(
                    service, request.path_params, dict(request.query_params), body, request, caller
                )
            )

        return await _answered(request, answer)

    return Route(path, endpoint, methods=[method])


def respond(answer: Answer, status: int = 200) -> Response:
    """An array in CBOR, bytes that are CBOR already, or a response as it is."""
    if isinstance(answer, Response):
        return answer
    data = answer if isinstance(answer, bytes) else cbor.encode(answer)
    return Response(data, status, media_type=CBOR)


def refusal(error: CountersealError | FatalError) -> Response:
    """`{"code", "message"}` in JSON with the error's status; a lost epoch is the array that the
    interface promises.
    """
    if isinstance(error, EpochConflict):
        return respond(["epoch", error.epoch], 409)
    status = 413 if error.code in ("V6", "E4") else error.http_status
    return json_error(status, error.code, error.message)


def json_error(status: int, code: str, message: str) -> Response:
    """The JSON form of an error."""
    return Response(
        msgspec.json.encode({"code": code, "message": message}),
        status,
        media_type="application/json",
    )


async def _answered(request: HttpRequest, answer: Callable[[], Awaitable[Answer]]) -> Response:
    try:
        return respond(await answer())
    except (CountersealError, FatalError) as error:
        if isinstance(error, FatalError):
            _log.error("fatal error %s in %s %s", error.code, request.method, request.url.path)
        return refusal(error)
    except ClientDisconnect:
        return Response(status_code=400)
    except Exception as error:
        # The type and the place say enough to a developer; the text could hold what a person wrote.
        _log.error(
            "internal error %s in %s %s at %s",
            type(error).__name__,
            request.method,
            _route(request),
            _place(error),
        )
        return json_error(
            500, "internal", "Something is wrong in the service; its operator's log has the place."
        )


async def _body(request: HttpRequest, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body is over {limit} bytes.")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _header(request: HttpRequest) -> str:
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            return str(value, "latin-1")
    raise NotAuthenticated(
        "This needs an Authorization header; see docs/reference/api.md.", code="no-authorization"
    )


def _target(request: HttpRequest) -> str:
    """The path with the query as it was sent, which is what the signature covers."""
    path = str(request.scope.get("raw_path") or request.scope["path"].encode(), "latin-1")
    query = str(request.scope["query_string"], "latin-1")
    return f"{path}?{query}" if query else path


def _route(request: HttpRequest) -> str:
    route = request.scope.get("route")
    return getattr(route, "path", "?")


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (
        f"{trace.tb_frame.f_code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno}"
        if trace is not None
        else "?"
    )
