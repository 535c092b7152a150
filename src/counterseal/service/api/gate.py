"""The way of every request: a bounded body, who calls, the typed call, and the answer's bytes.

A refusal becomes JSON with the error's status. What a route takes and answers is in its `Endpoint`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from counterseal.protocol.errors import (
    CountersealError,
    EpochConflict,
    FatalError,
    NotAuthenticated,
    Unavailable,
)
from counterseal.service.api.bounds import Bounds, HeldBody
from counterseal.service.authentication import (
    Authenticator,
    DeviceCaller,
    InstitutionCaller,
    check_operator,
)
from counterseal.service.devices import KnownDevices
from counterseal.wire.authentication import SignedRequest
from counterseal.wire.body import encode_body
from counterseal.wire.conversations import EpochTaken
from counterseal.wire.device_authentication import DeviceHeader
from counterseal.wire.endpoint import CBOR, Authentication, Endpoint
from counterseal.wire.failure import JSON, Failure
from counterseal.wire.reading import read_part, read_query

_log = logging.getLogger("counterseal.service")
Q = TypeVar("Q")
A = TypeVar("A")


class Call(msgspec.Struct, Generic[Q], frozen=True):
    """One request: the parts of its path, the numbers of its query, and its body."""

    parts: dict[str, Any]
    query: dict[str, int | None]
    request: Q

    def number(self, name: str) -> int:
        """A number of the query that has a default or is required."""
        value = self.query[name]
        assert value is not None
        return value


class DeviceCall(Call[Q], frozen=True):
    """A request signed by a device."""

    caller: DeviceCaller


class MaybeDeviceCall(Call[Q], frozen=True):
    """A request that may have to be signed: `require_device` raises unless a device did."""

    require_device: Callable[[], Awaitable[None]]


class FirstCall(Call[Q], frozen=True):
    """A request that the operator has to make if it is the first: `require_operator` raises unless
    it bears the token.
    """

    require_operator: Callable[[], None]


class InstitutionCall(Call[Q], frozen=True):
    """A request signed by an institution that a charter names."""

    caller: InstitutionCaller


class ServedEndpoint(msgspec.Struct, frozen=True):
    """An endpoint with what serves it."""

    endpoint: Endpoint[Any, Any]
    route: BaseRoute


class Gate:
    """Makes routes of endpoints and the handlers behind them."""

    def __init__(
        self,
        domain: str,
        authenticator: Authenticator,
        devices: KnownDevices,
        bounds: Bounds,
        operator_token: str,
    ) -> None:
        self._domain = domain
        self._authenticator = authenticator
        self._devices = devices
        self._bounds = bounds
        self._operator_token = operator_token

    def anybody(
        self, endpoint: Endpoint[Q, A], handler: Callable[[Call[Q]], Awaitable[A | Response]]
    ) -> ServedEndpoint:
        """A route without authentication; anything but a GET counts against its address's rate."""
        _expect(endpoint, Authentication.ANYBODY, Authentication.STATEMENT)

        async def answer(request: HttpRequest, held: HeldBody) -> A | Response:
            body = await self._counted_body(request, held, endpoint)
            return await handler(Call(*_read(request, endpoint, body)))

        return self._served(endpoint, answer)

    def maybe_device(
        self,
        endpoint: Endpoint[Q, A],
        handler: Callable[[MaybeDeviceCall[Q]], Awaitable[A | Response]],
    ) -> ServedEndpoint:
        """A route for anybody, some of whose answers are for devices."""
        _expect(endpoint, Authentication.MAYBE_DEVICE)

        async def answer(request: HttpRequest, _: HeldBody) -> A | Response:
            async def require_device() -> None:
                header = self._authenticator.claimed_device(_authorization(request))
                await self._devices.require(self._device(request, header, b""))

            return await handler(MaybeDeviceCall(*_read(request, endpoint, b""), require_device))

        return self._served(endpoint, answer)

    def first_operator(
        self, endpoint: Endpoint[Q, A], handler: Callable[[FirstCall[Q]], Awaitable[A | Response]]
    ) -> ServedEndpoint:
        """A route whose first call is the operator's, and the others anybody's."""
        _expect(endpoint, Authentication.FIRST_STATEMENT)

        async def answer(request: HttpRequest, held: HeldBody) -> A | Response:
            def require_operator() -> None:
                check_operator(request.headers.get("authorization", ""), self._operator_token)

            body = await self._counted_body(request, held, endpoint)
            return await handler(FirstCall(*_read(request, endpoint, body), require_operator))

        return self._served(endpoint, answer)

    def device(
        self, endpoint: Endpoint[Q, A], handler: Callable[[DeviceCall[Q]], Awaitable[A | Response]]
    ) -> ServedEndpoint:
        """A route for devices, known to the directory unless the endpoint says otherwise."""
        _expect(endpoint, Authentication.DEVICE, Authentication.NEW_DEVICE)
        known = endpoint.authentication is Authentication.DEVICE

        async def answer(request: HttpRequest, held: HeldBody) -> A | Response:
            header = self._authenticator.claimed_device(_authorization(request))
            # nothing is read for a device that nobody knows
            if known:
                await self._devices.require(DeviceCaller(header.account, header.device))
            else:
                self._bounds.take(request)
            body = await held.read(request, endpoint)
            caller = self._device(request, header, body)
            self._bounds.rates.take(caller.device)
            return await handler(DeviceCall(*_read(request, endpoint, body), caller))

        return self._served(endpoint, answer)

    def institution(
        self,
        endpoint: Endpoint[Q, A],
        handler: Callable[[InstitutionCall[Q]], Awaitable[A | Response]],
    ) -> ServedEndpoint:
        """A route for institutions, who sign with both keys."""
        _expect(endpoint, Authentication.INSTITUTION)

        async def answer(request: HttpRequest, held: HeldBody) -> A | Response:
            header = self._authenticator.claimed_institution(_authorization(request))
            self._bounds.take(request)
            body = await held.read(request, endpoint)
            signed = self._signed(request, request.method, body)
            caller = self._authenticator.institution(header, signed)
            return await handler(InstitutionCall(*_read(request, endpoint, body), caller))

        return self._served(endpoint, answer)

    def operator(
        self, endpoint: Endpoint[Q, A], handler: Callable[[Call[Q]], Awaitable[A | Response]]
    ) -> ServedEndpoint:
        """A route for the operator, who knows the token."""
        _expect(endpoint, Authentication.OPERATOR)

        async def answer(request: HttpRequest, held: HeldBody) -> A | Response:
            check_operator(request.headers.get("authorization", ""), self._operator_token)
            body = await held.read(request, endpoint)
            return await handler(Call(*_read(request, endpoint, body)))

        return self._served(endpoint, answer)

    async def connecting_device(self, connection: HTTPConnection) -> DeviceCaller:
        """The known device that opens a WebSocket. Raises `NotAuthenticated`, `NotAuthorised`."""
        header = self._authenticator.claimed_device(_authorization(connection))
        await self._devices.require(DeviceCaller(header.account, header.device))
        signed = self._signed(connection, "GET", b"")
        caller = self._authenticator.device(header, signed)
        self._bounds.rates.take(caller.device)
        return caller

    def _device(self, request: HttpRequest, header: DeviceHeader, body: bytes) -> DeviceCaller:
        return self._authenticator.device(header, self._signed(request, request.method, body))

    def _signed(self, connection: HTTPConnection, method: str, body: bytes) -> SignedRequest:
        return SignedRequest(self._domain, method, _target(connection), body)

    async def _counted_body(
        self, request: HttpRequest, held: HeldBody, endpoint: Endpoint[Any, Any]
    ) -> bytes:
        if endpoint.method != "GET":
            self._bounds.take(request)
        return await held.read(request, endpoint)

    def _served(
        self,
        endpoint: Endpoint[Any, A],
        answer: Callable[[HttpRequest, HeldBody], Awaitable[A | Response]],
    ) -> ServedEndpoint:
        async def serve(request: HttpRequest) -> Response:
            with self._bounds.bodies.hold() as held:
                try:
                    answered = await answer(request, held)
                    if isinstance(answered, Response):
                        return answered
                    return Response(endpoint.encode_answer(answered), media_type=CBOR)
                except ClientDisconnect:
                    return Response(status_code=400)
                except Exception as error:
                    failed = _failed(error, endpoint)
                    # the rest of a body that was not read is not worth reading
                    if endpoint.method != "GET" and not held.is_whole:
                        failed.headers["Connection"] = "close"
                    return failed

        # a path of tlog-tiles has slashes
        path = endpoint.path.replace("{path}", "{path:path}")
        return ServedEndpoint(endpoint, Route(path, serve, methods=[endpoint.method]))


def refusal(error: CountersealError | FatalError) -> Response:
    """The answer that tells of an error. A lost epoch is an array."""
    if isinstance(error, EpochConflict) and error.epoch is not None:
        taken = EpochTaken("epoch", error.epoch)
        return Response(encode_body(taken), 409, media_type=CBOR)
    status = 413 if error.code in ("V6", "E4") else error.http_status
    return _failure(status, error.code, error.message)


def _failed(error: Exception, endpoint: Endpoint[Any, Any]) -> Response:
    """The answer to a request that could not be served."""
    if isinstance(error, OSError):
        _log.error("%s %s: %s", endpoint.method, endpoint.path, error.strerror)
        return refusal(Unavailable("The machine lacks something now; try again.", code="system"))
    if isinstance(error, FatalError):
        _log.error("fatal error %s in %s", error.code, endpoint.path)
    if isinstance(error, CountersealError | FatalError):
        return refusal(error)
    # its text could hold what a person wrote: type and place are enough for a developer
    place = _place(error)
    name = type(error).__name__
    _log.error("internal error %s in %s %s at %s", name, endpoint.method, endpoint.path, place)
    return _failure(
        500, "internal", "Something is wrong in the service; its operator's log has the place."
    )


def _failure(status: int, code: str, message: str) -> Response:
    return Response(Failure(code, message).encode(), status, media_type=JSON)


def _expect(endpoint: Endpoint[Any, Any], *allowed: Authentication) -> None:
    assert endpoint.authentication in allowed, endpoint.path


def _read(
    request: HttpRequest, endpoint: Endpoint[Q, Any], body: bytes
) -> tuple[dict[str, Any], dict[str, int | None], Q]:
    parts = {name: read_part(name, text) for name, text in request.path_params.items()}
    query = read_query(endpoint, request.query_params) if endpoint.query else {}
    return parts, query, endpoint.decode_request(body)


def _authorization(connection: HTTPConnection) -> str:
    for name, value in connection.scope["headers"]:
        if name == b"authorization":
            return str(value, "latin-1")
    raise NotAuthenticated(
        "This needs an Authorization header; see docs/reference/api.md.", code="no-authorization"
    )


def _target(connection: HTTPConnection) -> str:
    """The path with the query as it was sent, which is what the signature covers."""
    scope = connection.scope
    path = str(scope.get("raw_path") or scope["path"].encode(), "latin-1")
    query = str(scope["query_string"], "latin-1")
    return f"{path}?{query}" if query else path


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    file = trace.tb_frame.f_code.co_filename.rsplit("/", 2)[-1]
    return f"{file}:{trace.tb_lineno}"
