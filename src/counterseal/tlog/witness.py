"""Witnesses (C2SP tlog-witness v1.0.0): what one decides, how it keeps its state, and how a log
asks it.

A witness keeps, for each log, the largest checkpoint that it cosigned, and cosigns nothing that is
not an append to it.

T15  a request that is not of the form (400)               T16  an old size over the checkpoint's
(400) T17  a log that this witness does not know (404)           T18  a checkpoint without its log's
two signatures (403) T19  a witness that holds back for a reason of its own (403) T20  an old size
that is not the one it last cosigned (409) T21  roots that differ at one size, or a proof that does
not lead from one to the other (422) T22  a witness that gives no usable answer                 T23
an answer without its two cosignatures T32  a witness's state that cannot be read back
"""

import hashlib
import hmac
import http.client
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from counterseal.tlog.checkpoint import (
    Checkpoint,
    KeyPair,
    cosign_note,
    parse_checkpoint,
    parse_size,
    verify_checkpoint,
)
from counterseal.tlog.errors import FatalLogError, TlogError, WitnessConflict, WitnessUnavailable
from counterseal.tlog.note import (
    MAX_NOTE,
    ReceivedNote,
    SignatureLine,
    decode_base64,
    encode_base64,
    parse_note,
    parse_signatures,
)
from counterseal.tlog.proof import MAX_PATH, verify_consistency
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.tile_store import write_durably
from counterseal.tlog.tree import EMPTY_ROOT, HASH_SIZE

MAX_REQUEST = 64 * 1024
TEXT = "text/plain; charset=utf-8"
SIZE_TYPE = "text/x.tlog.size"


class AddCheckpoint(msgspec.Struct, frozen=True):
    """The body of an add-checkpoint request: the size to go on from, the consistency path, and a
    log's signed checkpoint.
    """

    old_size: int
    path: tuple[bytes, ...]
    note: ReceivedNote

    def format(self) -> bytes:
        """The request's bytes."""
        lines = "".join(encode_base64(node) + "\n" for node in self.path)
        return f"old {self.old_size}\n{lines}\n".encode() + self.note.format()


class Response(msgspec.Struct, frozen=True):
    """An HTTP answer: status, content type and body. `rule` names what refused, for the witness's
    own log.
    """

    status: int
    content_type: str
    body: bytes
    rule: str = ""


class WitnessState(msgspec.Struct, frozen=True):
    """The largest checkpoint that a witness cosigned for one log, the time of that, and the note
    with its cosignatures.

    `time` is Unix seconds and never falls, even if the machine's clock does.
    """

    origin: str
    size: int
    root: bytes
    time: int
    note: bytes


class WitnessStore(Protocol):
    """Where a witness keeps its states. `save` has to be durable when it returns and raises OSError
    if that is not certain.
    """

    def load(self, origin: str) -> WitnessState | None:
        """The state of one log, or None if nothing was ever cosigned for it."""
        ...

    def save(self, state: WitnessState) -> None:
        """Replaces the state of one log."""
        ...


def parse_request(body: bytes) -> AddCheckpoint:
    """The add-checkpoint request in `body`, nothing in it verified; raises T15."""
    head, separator, note = body.partition(b"\n\n")
    if not separator or len(body) > MAX_REQUEST or not head.isascii():
        raise TlogError(
            "T15",
            f"A request is an old size, a proof, an empty line and a checkpoint, {MAX_REQUEST} bytes at most.",
        )
    first, *lines = head.decode().split("\n")
    if not first.startswith("old ") or len(lines) > MAX_PATH:
        raise TlogError(
            "T15", "A request begins with the old size and has at most 63 lines of proof."
        )
    path = tuple(decode_base64(line, "T15") for line in lines)
    if any(len(node) != HASH_SIZE for node in path):
        raise TlogError("T15", "A line of proof is one hash.")
    try:
        received = parse_note(note)
        parse_checkpoint(received.text)
    except TlogError as error:
        raise TlogError("T15", f"The checkpoint cannot be read: {error}") from error
    return AddCheckpoint(parse_size(first[4:], "T15"), path, received)


def known_log(request: AddCheckpoint, logs: Mapping[str, KeyPair]) -> KeyPair:
    """The keys of the log that the request is about; raises T17."""
    keys = logs.get(parse_checkpoint(request.note.text).origin)
    if keys is None:
        raise TlogError("T17", "This witness does not know the log.")
    return keys


def decide(request: AddCheckpoint, log: KeyPair, state: WitnessState | None) -> Checkpoint:
    """The checkpoint that a witness in this state may cosign; raises T16, T18, T20 or T21.

    Whoever calls has to keep the state locked from before this call until the new one is durable.
    """
    try:
        new = verify_checkpoint(request.note, log).checkpoint
    except TlogError as error:
        raise TlogError("T18", f"The log's signatures do not hold: {error}") from error
    if request.old_size > new.size:
        raise TlogError(
            "T16", f"The old size {request.old_size} is over the checkpoint's {new.size}."
        )
    old_size, old_root = (state.size, state.root) if state else (0, EMPTY_ROOT)
    if request.old_size != old_size:
        raise WitnessConflict(old_size)
    try:
        verify_consistency(old_size, old_root, new.size, new.root, request.path)
    except TlogError as error:
        raise TlogError(
            "T21", f"The checkpoint does not go on from what this witness cosigned: {error}"
        ) from error
    return new


class Witness:
    """A witness's one writer: decides, makes the state durable, then answers. Safe to call from
    several threads.

    `gate` may raise a `TlogError` to hold a cosignature back (T19), for instance while a notice
    that is due is refused by the log. After a failed write nothing is cosigned any more until the
    witness is started again.
    """

    def __init__(
        self,
        signer: WitnessSigner,
        logs: Mapping[str, KeyPair],
        store: WitnessStore,
        clock: Callable[[], int],
        gate: Callable[[Checkpoint], None] | None = None,
    ) -> None:
        self._signer, self._logs, self._store, self._clock, self._gate = (
            signer,
            logs,
            store,
            clock,
            gate,
        )
        self._lock = threading.Lock()
        self._failed = False

    def head(self, origin: str) -> WitnessState | None:
        """The largest checkpoint that this witness itself cosigned for the log, or None."""
        return self._store.load(origin)

    def handle(self, method: str, path: str, body: bytes = b"") -> Response:
        """The answer to one HTTP request below the witness's prefix: `POST /add-checkpoint`, `GET
        /HASH/checkpoint`.
        """
        if path == "/add-checkpoint":
            return self.add_checkpoint(body) if method == "POST" else _answer(405, "POST only\n")
        parts = path.split("/")
        if method == "GET" and len(parts) == 3 and parts[0] == "" and parts[2] == "checkpoint":
            return self._latest(parts[1])
        return _answer(404, "no such page\n")

    def add_checkpoint(self, body: bytes) -> Response:
        """Cosigns, or says why not. A refusal is an answer, never an exception; a failed write
        raises T26.
        """
        try:
            request = parse_request(body)
            lines = self._cosign(request, known_log(request, self._logs))
        except WitnessConflict as error:
            return Response(409, SIZE_TYPE, f"{error.size}\n".encode(), error.rule)
        except TlogError as error:
            return _answer(_STATUS.get(error.rule, 403), f"{error}\n", error.rule)
        return _answer(200, "".join(line.format() for line in lines))

    def _cosign(self, request: AddCheckpoint, log: KeyPair) -> tuple[SignatureLine, ...]:
        origin = parse_checkpoint(request.note.text).origin
        with self._lock:
            if self._failed:
                raise FatalLogError(
                    "T26",
                    "This witness failed to make its state durable; it cosigns nothing until a restart.",
                )
            state = self._store.load(origin)
            checkpoint = decide(request, log, state)
            if self._gate is not None:
                self._gate(checkpoint)
            now = max(self._clock(), state.time if state else 1)
            lines = self._signer.sign(checkpoint, now)
            own = tuple(
                line
                for key in (log.ed25519, log.mldsa44)
                if (line := request.note.line_of(key)) is not None
            )
            note = ReceivedNote(request.note.text, own + lines).format()
            self._save(WitnessState(origin, checkpoint.size, checkpoint.root, now, note))
            return lines

    def _save(self, state: WitnessState) -> None:
        try:
            self._store.save(state)
        except OSError as error:
            self._failed = True
            raise FatalLogError(
                "T26", f"The state of {state.origin!r} could not be made durable: {error}"
            ) from error

    def _latest(self, origin_hash: str) -> Response:
        for origin in self._logs:
            if hmac.compare_digest(origin_digest(origin).encode(), origin_hash.encode()):
                state = self._store.load(origin)
                return (
                    Response(200, TEXT, state.note)
                    if state
                    else _answer(404, "nothing cosigned yet\n")
                )
        return _answer(404, "no such log\n")


_STATUS = {"T15": 400, "T16": 400, "T17": 404, "T18": 403, "T19": 403, "T21": 422}


def _answer(status: int, text: str, rule: str = "") -> Response:
    return Response(status, TEXT, text.encode(), rule)


def origin_digest(origin: str) -> str:
    """What stands for a log in a witness's monitoring path: SHA-256 of its origin in lower-case
    hex.
    """
    return hashlib.sha256(origin.encode()).hexdigest()


class FileWitnessStore:
    """A `WitnessStore` of one small text file for each log, replaced at once: time, then the
    cosigned note.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, origin: str) -> WitnessState | None:
        """See `WitnessStore`. Raises the fatal T32 for a file that is damaged: its loss must not
        let a fork through.
        """
        try:
            data = self._place(origin).read_bytes()
        except FileNotFoundError:
            return None
        first, _, note = data.partition(b"\n")
        try:
            checkpoint = parse_checkpoint(parse_note(note).text)
            seconds = parse_size(first.decode(), "T32")
            if checkpoint.origin != origin:
                raise TlogError("T32", "It is another log's.")
        except (TlogError, UnicodeDecodeError) as error:
            raise FatalLogError(
                "T32", f"The witness's state of {origin!r} is damaged: {error}"
            ) from error
        return WitnessState(origin, checkpoint.size, checkpoint.root, seconds, note)

    def save(self, state: WitnessState) -> None:
        """See `WitnessStore`."""
        write_durably(self._place(state.origin), f"{state.time}\n".encode() + state.note)

    def _place(self, origin: str) -> Path:
        return self._directory / f"{origin_digest(origin)}.witness"


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


class LocalWitness:
    """A witness in the same process that answers as one over HTTP does. For tests and for a
    demonstration in one process.
    """

    def __init__(self, witness: Witness, keys: KeyPair) -> None:
        self._witness, self.keys = witness, keys
        self.name = keys.name

    def add_checkpoint(self, request: AddCheckpoint) -> ReceivedNote:
        """See `WitnessClient`."""
        answer = self._witness.add_checkpoint(request.format())
        if answer.status == 409:
            raise WitnessConflict(int(answer.body))
        if answer.status != 200:
            raise TlogError(answer.rule, _readable(answer.body))
        lines = parse_signatures(answer.body.decode())
        return cosign_note(request.note, parse_checkpoint(request.note.text), self.keys, lines)

    def latest(self, origin: str) -> bytes | None:
        """See `WitnessClient`."""
        state = self._witness.head(origin)
        return state.note if state else None


class WitnessLike(Protocol):
    """What the sequencer asks of a witness: `WitnessClient`, or `LocalWitness` in tests."""

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
        if length > MAX_NOTE or left <= 0:
            raise ValueError("the answer is too long or too slow")
        if sock is not None:
            sock.settimeout(left)
    return b"".join(parts)


def _readable(body: bytes) -> str:
    """The first words of an answer, fit for a line in a log file."""
    return "".join(
        c if c.isprintable() else " " for c in body[:200].decode(errors="replace")
    ).strip()
