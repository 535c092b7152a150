"""HTTP from both sides: a plain client for the tests, and servers that run in a thread."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from counterseal.protocol import cbor

IDLE = 30.0
"""Seconds after which a connection is made anew: the service closes what is idle for longer."""


class HttpRefusal(Exception):
    """An answer that is an error: its status, code and message."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        try:
            said = json.loads(body)
            self.code, self.message = said["code"], said["message"]
        except ValueError:
            value = cbor.decode(body, 1 << 20)
            self.code, self.message = str(value[0]) if isinstance(value, tuple) else "", repr(value)
        super().__init__(f"{status} {self.code}: {self.message}")


class Http:
    """One connection to a server, kept alive; made again when it was lost."""

    def __init__(self, url: str) -> None:
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, Any]:
        """Status, body and headers of one request."""
        if self._connection is None or time.monotonic() - self._used > IDLE:
            self.close()
            self._connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        self._used = time.monotonic()
        try:
            self._connection.request(method, path, body or None, headers or {})
            answer = self._connection.getresponse()
            return answer.status, answer.read(), answer.headers
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def array(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The array answered. Raises `HttpRefusal` for any status but 200."""
        data = b"" if body is None else cbor.encode(body)
        status, answer, _ = self.raw(method, path, data, headers)
        if status != 200:
            raise HttpRefusal(status, answer)
        return cbor.decode(answer, 1 << 26)

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Request(NamedTuple):
    """What a server was asked."""

    method: str
    path: str
    body: bytes
    headers: Any


class Answer(NamedTuple):
    """What a server says."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/cbor"


class _Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed, or has heard enough, has hung up."""


class Server:
    """An HTTP server on loopback, in threads of this process; `handle` answers."""

    def __init__(self, handle: Callable[[Request], Answer]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                answer = handle(Request(self.command, self.path, body, self.headers))
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


class Answering:
    """A server that answers the requests it was told of. Any other request fails the test that uses
    it, when it ends (see `closing`).
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Answer] = {}
        self.asked: list[Request] = []
        self.unexpected: list[str] = []
        self._server = Server(self._handle)
        self.url = self._server.url

    def say(self, method: str, path: str, answer: Answer) -> None:
        """From now on, this request gets this answer."""
        self._answers[method, path] = answer

    def _handle(self, request: Request) -> Answer:
        self.asked.append(request)
        found = self._answers.get((request.method, request.path))
        if found is None:
            self.unexpected.append(f"{request.method} {request.path}")
            return Answer(501, b"", "text/plain")
        return found

    def close(self) -> None:
        """Ends it; fails if something was asked that no test expected."""
        self._server.close()
        assert not self.unexpected, f"asked for what nobody expected: {self.unexpected}"
