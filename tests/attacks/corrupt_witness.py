"""A witness that lies: a server that speaks the witness protocol and does what a test told it.

It signs with a real witness's keys, so that what it says counts; it keeps no state of its own
beyond what it is told, so that it can say anything of any size.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support.cosigner import Cosigner
from tests.support.http import Answer, Request, Server

Behaviour = Callable[[Request, Callable[[], Answer]], Answer]
"""Given the request and a way to ask the honest witness."""


class CorruptWitness:
    """Stands at `url` before an honest `Cosigner`, whose keys it has."""

    def __init__(self, honest: Cosigner) -> None:
        self.honest = honest
        self.asked: list[Request] = []
        self._behaviour: Behaviour | None = None
        self._server = Server(self._handle)
        self.url = self._server.url

    def behave(self, behaviour: Behaviour | None) -> None:
        """From now on it answers so; None is honest again."""
        self._behaviour = behaviour

    def claim_size(self, size: int) -> None:
        """It says, without any proof, that it has cosigned a log of `size` entries."""
        self.behave(lambda *_: Answer(409, b"%d\n" % size, "text/x.tlog.size"))

    def refuse(self, status: int) -> None:
        """It refuses everything."""
        self.behave(lambda *_: Answer(status))

    def garble(self, change: Callable[[bytes], bytes]) -> None:
        """What it cosigns is changed on the way."""

        def behave(_: Request, ask: Callable[[], Answer]) -> Answer:
            answer = ask()
            return answer._replace(body=change(answer.body))

        self.behave(behave)

    def close(self) -> None:
        """Ends it."""
        self._server.close()

    def _handle(self, request: Request) -> Answer:
        self.asked.append(request)
        if self._behaviour is None:
            return self.honest.handle(request)
        return self._behaviour(request, lambda: self.honest.handle(request))
