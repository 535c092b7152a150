"""How a log asks its witnesses."""

import http.client
import socket
import time
import urllib.parse
from typing import Protocol

from counterseal.protocol.vkey import NOTE_MAX
from counterseal.tlog.add_checkpoint import SIZE_TYPE, TEXT, AddCheckpoint, origin_digest
from counterseal.tlog.checkpoint import KeyPair, parse_checkpoint, parse_size
from counterseal.tlog.cosigned_note import cosign_note
from counterseal.tlog.errors import TlogError
from counterseal.tlog.note import ReceivedNote, SignatureLine, parse_signatures
from counterseal.tlog.writing_errors import WitnessConflict, WitnessUnavailable


class WitnessClient:
    """Asks one witness over HTTP, blocking, with a bound on the answer's size and on the time for
    the whole of it.
    """

    def __init__(self, url: str, keys: KeyPair, timeout: float = 10.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TlogError("T22", f"{url!r} is not the address of a witness.")
        self._parts, self._timeout = parts, timeout
        self.keys = keys

    @property
    def name(self) -> str:
        """The witness's name."""
        return self.keys.name

    def add_checkpoint(self, request: AddCheckpoint) -> ReceivedNote:
        """The request's note with the witness's two verified cosignatures added.

        Raises `WitnessConflict` with the witness's size, `WitnessUnavailable`, or a `TlogError`:
        T15 to T23 as the witness refused, T4, T7 or T23 if its cosignatures are not good.
        """
        status, content_type, body = self._ask("POST", "/add-checkpoint", request.format())
        if status == 200:
            lines = self._lines(body)
            return cosign_note(request.note, parse_checkpoint(request.note.text), self.keys, lines)
        if status == 409 and content_type == SIZE_TYPE:
            raise WitnessConflict(self._size(body))
        refusals = {400: "T15", 403: "T18", 404: "T17", 422: "T21"}
        if status in refusals:
            raise TlogError(
                refusals[status], f"The witness {self.name!r} refused: {_readable(body)}"
            )
        raise WitnessUnavailable(f"The witness {self.name!r} answered {status}.")

    def latest(self, origin: str) -> bytes | None:
        """The note that the witness last cosigned for the log, unverified, or None. Raises
        `WitnessUnavailable`.
        """
        status, _, body = self._ask("GET", f"/{origin_digest(origin)}/checkpoint", b"")
        if status in (404, 405):
            return None
        if status != 200:
            raise WitnessUnavailable(f"The witness {self.name!r} answered {status}.")
        return body

    def _lines(self, body: bytes) -> tuple[SignatureLine, ...]:
        try:
            return parse_signatures(body.decode())
        except (TlogError, UnicodeDecodeError) as error:
            raise WitnessUnavailable(
                f"The witness {self.name!r} answered with no signature lines."
            ) from error

    def _size(self, body: bytes) -> int:
        try:
            return parse_size(body.decode().removesuffix("\n"), "T22")
        except (TlogError, UnicodeDecodeError) as error:
            raise WitnessUnavailable(f"The witness {self.name!r} answered with no size.") from error

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        deadline = time.monotonic() + self._timeout
        kind = (
            http.client.HTTPSConnection
            if self._parts.scheme == "https"
            else http.client.HTTPConnection
        )
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout)
        try:
            connection.request(
                method, self._parts.path.rstrip("/") + path, body or None, {"Content-Type": TEXT}
            )
            with connection.getresponse() as response:
                content_type = response.headers.get_content_type()
                return (
                    response.status,
                    content_type,
                    _read_bounded(response, connection.sock, deadline),
                )
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise WitnessUnavailable(
                f"The witness {self.name!r} cannot be asked: {error}"
            ) from error
        finally:
            connection.close()


class WitnessLike(Protocol):
    """What the sequencer asks of a witness."""

    keys: KeyPair

    def add_checkpoint(self, request: AddCheckpoint) -> ReceivedNote:
        """The request's note with the witness's two verified cosignatures added."""
        ...

    def latest(self, origin: str) -> bytes | None:
        """The note that the witness last cosigned for the log, unverified, or None."""
        ...


def _read_bounded(
    response: http.client.HTTPResponse, sock: socket.socket | None, deadline: float
) -> bytes:
    """The body, at most a note's limit; a witness that sends a byte at a time does not hold the log
    up for longer.
    """
    parts: list[bytes] = []
    length = 0
    while part := response.read1(16_384):
        parts.append(part)
        length += len(part)
        left = deadline - time.monotonic()
        if length > NOTE_MAX or left <= 0:
            raise ValueError("the answer is too long or too slow")
        if sock is not None:
            sock.settimeout(left)
    return b"".join(parts)


def _readable(body: bytes) -> str:
    """The first words of an answer, fit for a line in a log file."""
    return "".join(
        c if c.isprintable() else " " for c in body[:200].decode(errors="replace")
    ).strip()
