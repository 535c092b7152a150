"""The witness's HTTP side: cosigning for the log, and what anybody may fetch from it.

```
POST /add-checkpoint          tlog-witness v1.0.0; the state is durable before the answer
GET  /HASH/checkpoint         the checkpoint last cosigned, HASH = SHA-256 of the origin
```

The other routes are those of `wire.witness`.
"""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from counterseal.protocol.errors import CountersealError, FatalError, Refused
from counterseal.tlog.add_checkpoint import MAX_REQUEST
from counterseal.tlog.cosigner import Response
from counterseal.wire.endpoint import CBOR, TEXT
from counterseal.wire.failure import JSON, Failure
from counterseal.wire.keyset_draft import HolderKeyPosted, PostKeyset
from counterseal.wire.notices import ShownNotice, ShownNotices
from counterseal.wire.reading import read_part, read_query
from counterseal.wire.witness import WITNESS_HOLDER_KEY, WITNESS_KEYSET, WITNESS_NOTICES


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
            # the base class names no public type
            super().handle_error(request, client_address)  # type: ignore[arg-type]

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
            refused = Refused("E4", f"A request states its length, at most {MAX_REQUEST} bytes.")
            self._send(_error(refused, 413))
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        try:
            self._send(_route(self.server.answers, self.command, self.path, body))
        except CountersealError as error:
            self._send(_error(error, error.http_status))
        except FatalError as error:
            self.close_connection = True
            self._send(_error(error, 500))
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
    match method, *parts.path.split("/"):
        case "GET", "", "health":
            wrong = answers.health()
            return Response(503 if wrong else 200, TEXT, f"{wrong or 'ok'}\n".encode())
        case "GET", "", "notices":
            after = read_query(WITNESS_NOTICES, dict(parse_qsl(parts.query)))["after"]
            rows = answers.notices_after(-1 if after is None else after)
            shown = ShownNotices(tuple(ShownNotice(index, sealed) for index, sealed in rows))
            return _array(WITNESS_NOTICES.encode_answer(shown))
        case "POST", "", "holder-keys":
            posted = WITNESS_HOLDER_KEY.decode_request(body)
            position = answers.take_holder_key(posted.statement)
            return _array(WITNESS_HOLDER_KEY.encode_answer(HolderKeyPosted(position)))
        case "GET", "", "keysets", charter, quarter:
            keyset = answers.signed_keyset(
                read_part("charter", charter), read_part("quarter", quarter)
            )
            return _array(WITNESS_KEYSET.encode_answer(PostKeyset(keyset)))
    return answers.cosign(method, parts.path, body)


def _array(body: bytes) -> Response:
    return Response(200, CBOR, body)


def _error(error: CountersealError | FatalError, status: int) -> Response:
    return Response(status, JSON, Failure(error.code, error.message).encode())


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
