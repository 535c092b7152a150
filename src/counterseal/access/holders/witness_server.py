"""The witness's HTTP side: cosigning for the log, and what anybody may fetch from it.

``` POST /add-checkpoint          tlog-witness v1.0.0; the state is durable before the answer GET
/HASH/checkpoint         the checkpoint last cosigned, HASH = SHA-256 of the origin GET
/notices?after=N         [[n, sealed-notice], ...] that this witness has published, at most 500 POST
/holder-keys             [COSE]: a holder's key for a quarter, so that the service cannot keep it
from the keyset GET  /keysets/CHARTER/QUARTER [COSE]: the keyset as this witness signed it; 404
until it has GET  /health                  200 "ok", or 503 and a sentence ```
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from counterseal.protocol import cbor
from counterseal.protocol.errors import BadInput, CountersealError, FatalError, NotFound
from counterseal.tlog.add_checkpoint import MAX_REQUEST
from counterseal.tlog.cosigner import Response

CBOR = "application/cbor"


class Answers(Protocol):
    """What the daemon behind the server answers. A `CountersealError` becomes a status; a
    `FatalError` stops the program.
    """

    def cosign(self, method: str, path: str, body: bytes) -> Response:
        """The tlog-witness interface."""
        ...

    def notices_after(self, index: int) -> list[tuple[int, bytes]]:
        """Published notices with a number over `index`, at most 500."""
        ...

    def take_holder_key(self, statement: bytes) -> int:
        """Keeps a delivered key; gives the position."""
        ...

    def signed_keyset(self, charter_digest: bytes, quarter: int) -> bytes:
        """The keyset with this witness's signature."""
        ...

    def health(self) -> str | None:
        """What is wrong, in a sentence, or None."""
        ...


class WitnessServer(http.server.ThreadingHTTPServer):
    """Serves `answers` at `address`. After a `FatalError` it stops, and `fatal` holds the error."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], answers: Answers) -> None:
        super().__init__(address, _Handler)
        self.answers = answers
        self.fatal: FatalError | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news; anything else is a bug of ours, and the daemon's
        `health` would not show it.
        """
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # the base class names no public type

    def stop(self, fatal: FatalError) -> None:
        """Stops the server from one of its own threads."""
        self.fatal = fatal
        threading.Thread(target=self.shutdown, daemon=True).start()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WitnessServer
    timeout = 30  # a client that says nothing gives its thread back

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if (
            not length.isascii()
            or not length.isdigit()
            or len(length) > 6
            or int(length) > MAX_REQUEST
        ):
            self.close_connection = True
            self._send(
                _error(413, "E4", f"A request states its length, at most {MAX_REQUEST} bytes.")
            )
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        try:
            self._send(_route(self.server.answers, self.command, self.path, body))
        except CountersealError as error:
            self._send(_error(error.http_status, error.code, error.message))
        except FatalError as error:
            self.close_connection = True
            self._send(_error(500, error.code, error.message))
            self.server.stop(error)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Says nothing: who asked a witness for what is nobody's business."""


def _route(answers: Answers, method: str, target: str, body: bytes) -> Response:
    parts = urlsplit(target)
    if (method, parts.path) == ("GET", "/health"):
        wrong = answers.health()
        return Response(
            503 if wrong else 200, "text/plain; charset=utf-8", f"{wrong or 'ok'}\n".encode()
        )
    if (method, parts.path) == ("GET", "/notices"):
        return _array(answers.notices_after(_number(parse_qs(parts.query).get("after", ["-1"])[0])))
    if (method, parts.path) == ("POST", "/holder-keys"):
        match cbor.decode(body, MAX_REQUEST):
            case (bytes(statement),):
                return _array((answers.take_holder_key(statement),))
        raise BadInput("A holder's key is posted as an array of one signed statement.")
    match parts.path.split("/"):
        case ["", "keysets", digest, quarter] if method == "GET":
            return _array((answers.signed_keyset(_hex(digest), _number(quarter)),))
    return answers.cosign(method, parts.path, body)


def _array(value: object) -> Response:
    return Response(200, CBOR, cbor.encode(value))


def _error(status: int, code: str, message: str) -> Response:
    return Response(
        status, "application/json", json.dumps({"code": code, "message": message}).encode()
    )


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(text) > 18:
        raise BadInput(f"{text[:20]!r} is not a number.")
    return int(text)


def _hex(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32 or digest.hex() != text:
        raise NotFound("A digest is 64 lower-case hexadecimal digits.")
    return digest


def serve(server: WitnessServer, loop: Callable[[], None]) -> None:
    """Runs the server and, in a second thread, the witness's own work, until either meets a fatal
    error or Ctrl-C.
    """
    worker = threading.Thread(target=loop, daemon=True)
    worker.start()
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.server_close()
    if server.fatal is not None:
        raise server.fatal
