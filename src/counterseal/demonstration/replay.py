"""Replays a conversation through real members' processes, under the file's own clock.

The clock is at each message's own time when it is sent. Before it enters the next period every
device has caught up, and the service answers only when the root of the period that ended is
cosigned.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import msgspec

from counterseal.demonstration.chat import Line
from counterseal.demonstration.domain import PERIOD, Domain, folder
from counterseal.demonstration.plan import Plan
from counterseal.demonstration.processes import Agent
from counterseal.protocol import cbor
from counterseal.protocol.errors import Unavailable

_CONVERSATION = "The conversation"
_STEP_SECONDS = 120.0


class Replayed(msgspec.Struct):
    """What became of the replay. `accounts` are ids in hex by sender's name; counts are over all
    devices.
    """

    accounts: dict[str, str]
    conversation: str
    sent: int
    shown: int
    refused: int


class Members:
    """The members' processes, by sender's name."""

    def __init__(self, domain: Domain, plan: Plan) -> None:
        self._domain, self._plan = domain, plan
        self.agents: dict[str, Agent] = {}
        self.accounts: dict[str, str] = {}
        self.conversation = ""

    async def join(self, told: Callable[[str], None]) -> None:
        """Every member makes an account, then the first of them makes the conversation with all the
        others in it.
        """
        await self._step(self._plan.lines[0].sent_at_ms // 1000)
        for name in self._plan.members:
            home = folder(self._domain.root, "members", self._plan.handles[name])
            self.agents[name] = await Agent.start(name, home)
        made = await asyncio.gather(*(self._create(name) for name in self._plan.members))
        self.accounts = dict(zip(self._plan.members, made, strict=True))
        told(f"{len(made)} members have accounts, each with a device in a process of its own.")
        first, *others = self._plan.members
        handles = [self._plan.handles[name] for name in others]
        answer = await self.agents[first].do("conversation", name=_CONVERSATION, members=handles)
        self.conversation = str(answer["conversation"])
        await self._drain(0)
        told(f"They are in one conversation, {self.conversation[:8]}.")

    async def _create(self, name: str) -> str:
        answer = await self.agents[name].do(
            "create",
            service=self._domain.url,
            handle=self._plan.handles[name],
            name=name,
            demonstration=True,
            genesis=self._domain.charter.digest.hex(),
        )
        return str(answer["account"])

    async def replay(self, progress: Callable[[int], None]) -> Replayed:
        """Sends every line as its sender. `progress` is told how many are sent. Raises
        `Unavailable`.
        """
        done = 0
        for lines in _periods(self._plan.lines):
            for second, together in groupby(lines, key=lambda line: line.sent_at_ms // 1000):
                await self._step(second)
                for sender, turn in groupby(together, key=lambda line: line.sender):
                    messages = [[line.text, line.sent_at_ms] for line in turn]
                    await self.agents[sender].do(
                        "send_many", conversation=self.conversation, messages=messages
                    )
                    done += len(messages)
                    progress(done)
            await self._drain(done)
            self._domain.check()
        # One more period, so that the root of the last one is logged too.
        await self._step((self._plan.lines[-1].sent_at_ms // 1000 // PERIOD + 1) * PERIOD + 300)
        counts = await self._drain(done)
        shown, refused = (
            sum(int(count[what]) for count in counts) for what in ("shown", "refused")
        )
        return Replayed(self.accounts, self.conversation, done, shown, refused)

    async def _drain(self, messages: int) -> list[dict[str, Any]]:
        return await asyncio.gather(
            *(
                agent.do("sync", until=messages, timeout=_STEP_SECONDS)
                for agent in self.agents.values()
            )
        )

    async def _step(self, now: int) -> None:
        token = (self._domain.root / "service" / "operator.token").read_text().strip()
        await asyncio.to_thread(_post_clock, self._domain.url, token, now)

    async def notices(self, name: str) -> list[dict[str, Any]]:
        """What a member's app finds when it looks for notices."""
        return list((await self.agents[name].do("notices"))["notices"])

    async def stop(self) -> None:
        """Ends the members' processes."""
        await asyncio.gather(*(agent.stop() for agent in self.agents.values()))


def _periods(lines: Sequence[Line]) -> Iterator[list[Line]]:
    for _, together in groupby(lines, key=lambda line: line.sent_at_ms // 1000 // PERIOD):
        yield list(together)


def _post_clock(url: str, token: str, now: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_STEP_SECONDS)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cbor"}
        connection.request("POST", "/v1/operator/clock", cbor.encode([now]), headers)
        answer = connection.getresponse()
        body = answer.read(65_536)
        if answer.status != 200:
            raise Unavailable(
                f"The clock cannot be stepped to {now}: {body.decode(errors='replace')}"
            )
    except OSError as error:
        raise Unavailable(f"The service does not answer: {error}.") from None
    finally:
        connection.close()
