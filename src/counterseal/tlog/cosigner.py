"""What a witness decides (C2SP tlog-witness v1.0.0).

A witness keeps, for each log, the largest checkpoint that it cosigned, and cosigns nothing that is
not an append to it.

| rule | refuses |
| --- | --- |
| T16 | an old size over the checkpoint's (400) |
| T17 | a log that the witness does not know (404) |
| T18 | a checkpoint without both of its log's signatures (403) |
| T19 | a witness that holds back for a reason of its own (403) |
| T21 | different roots at one size, or a proof that does not lead from one to the other (422) |
"""

import hmac
import threading
from collections.abc import Callable, Mapping

import msgspec

from counterseal.protocol.errors import refuse_as
from counterseal.tlog.add_checkpoint import (
    SIZE_TYPE,
    TEXT,
    AddCheckpoint,
    origin_digest,
    parse_request,
)
from counterseal.tlog.checkpoint import Checkpoint, KeyPair, parse_checkpoint, verify_checkpoint
from counterseal.tlog.errors import TlogError
from counterseal.tlog.note import ReceivedNote, SignatureLine
from counterseal.tlog.proof import verify_consistency
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.tree import EMPTY_ROOT
from counterseal.tlog.witness_state import WitnessState, WitnessStore
from counterseal.tlog.writing_errors import FatalLogError, WitnessConflict


class Response(msgspec.Struct, frozen=True):
    """An HTTP answer: status, content type and body. `rule` names what refused, for the witness's
    own log.
    """

    status: int
    content_type: str
    body: bytes
    rule: str = ""


def known_log(request: AddCheckpoint, logs: Mapping[str, KeyPair]) -> KeyPair:
    """The keys of the log that the request is about. Raises `TlogError` T17."""
    keys = logs.get(parse_checkpoint(request.note.text).origin)
    if keys is None:
        raise TlogError("T17", "This witness does not know the log.")
    return keys


def decide(request: AddCheckpoint, log: KeyPair, state: WitnessState | None) -> Checkpoint:
    """The checkpoint that a witness in this state may cosign. Raises `TlogError` T16, T18, T20 or
    T21.

    Whoever calls has to keep the state locked from before this call until the new one is durable.
    """
    with refuse_as("T18", "The log's signatures do not hold:", TlogError):
        new = verify_checkpoint(request.note, log).checkpoint

    if request.old_size > new.size:
        raise TlogError("T16", f"The old size {request.old_size} is over {new.size}.")

    old_size, old_root = (state.size, state.root) if state else (0, EMPTY_ROOT)
    if request.old_size != old_size:
        raise WitnessConflict(old_size)

    with refuse_as("T21", "It does not go on from what this witness cosigned:", TlogError):
        verify_consistency(old_size, old_root, new.size, new.root, request.path)

    return new


class Cosigner:
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
        self._signer, self._logs, self._store = signer, logs, store
        self._clock, self._gate = clock, gate
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
                raise FatalLogError("T26", "A state was not made durable; restart this witness.")
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
                "T26", f"The state of {state.origin!r} is not durable: {error}"
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
