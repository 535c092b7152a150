"""A witness in a thread of the test: it cosigns what follows from what it has cosigned, and nothing
else.

It decides by tlog's own `Cosigner`; only the HTTP around it is the tests'.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.support import world
from tests.support.http import Answer, Request, Server

from counterseal.protocol import cbor
from counterseal.tlog.checkpoint import log_keys
from counterseal.tlog.cosigner import Cosigner as TlogCosigner
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.witness_state import FileWitnessStore


class Cosigner:
    """One witness of `world`. While it is `down` it answers nothing; `notices` are what it shows to
    those who ask for notices.
    """

    def __init__(self, name: str, folder: Path) -> None:
        origin = f"{name.lower()}.example"
        mldsa44 = MLDSA44PrivateKey.from_seed_bytes(world.seed("mldsa44 " + origin))
        self.signer = WitnessSigner(origin, world.ed25519(origin), mldsa44)
        self.logs: dict[str, Any] = {}
        self.notices: list[tuple[int, bytes]] = []
        self.down = False
        self._witness = TlogCosigner(
            self.signer, self.logs, FileWitnessStore(folder), lambda: int(time.time())
        )
        self._server = Server(self.handle)
        self.url = self._server.url

    def know(self, *pairs: list[str]) -> None:
        """From now on it cosigns these logs, each given by its two verifier keys."""
        for pair in pairs:
            keys = log_keys(pair)
            self.logs[keys.name] = keys

    def close(self) -> None:
        """Ends it."""
        self._server.close()

    def handle(self, request: Request) -> Answer:
        """The answer to one request."""
        if self.down:
            return Answer(503)
        if request.method == "GET" and request.path.startswith("/notices?after="):
            after = int(request.path.partition("=")[2])
            page = [[n, sealed] for n, sealed in self.notices if n > after]
            return Answer(200, cbor.encode(page))
        answer = self._witness.handle(request.method, request.path, request.body)
        return Answer(answer.status, answer.body, answer.content_type)
