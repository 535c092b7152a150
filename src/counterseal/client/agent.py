"""A member's device that another program drives: `python -m counterseal.client.agent --home DIR`,
one JSON command a line in, one JSON result a line out.

| `do` | takes | does | answers |
| --- | --- | --- | --- |
| `create` | `service`, `handle`; `name`, `demonstration`, `genesis` | | `account`, `device` |
| `conversation` | `name`, `members` | makes a conversation | `conversation` |
| `add`, `remove` | `conversation`, `members` | changes who is in it | |
| `leave` | `conversation` | leaves | |
| `send` | `conversation`, `text`; `sent_at_ms` | sends, until it is acknowledged | `row` |
| `send_many` | `conversation`, `messages`: `[[text, ms or null], ...]` | the same, many | `rows` |
| `sync` | `until`, `timeout` | catches up, until so many messages are known | the counts |
| `follow` | | takes in what happens from now on, beside other commands | |
| `counts` | | | `shown`, `sent`, `queued`, `pending`, `refused` |
| `lines` | `conversation`; `after`: a row's number | | `lines` |
| `conversations` | | | `conversations` |
| `cursor` | `conversation` | | `cursor` |
| `notices` | | fetches notices | `notices` |
| `quit` | | ends | |

Each result has `"ok": true`, or `"ok": false` with `code` and `message`, and repeats the command's
`id` if it had one. Used by the demonstration, where each member is one process, and by tests, which
kill such processes at every durable step.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from counterseal import terminal
from counterseal.client.member_device import MemberDevice
from counterseal.protocol.errors import BadInput, CountersealError

Command = dict[str, Any]
_LINE_MAX = 16 << 20


class DeviceAgent:
    """One device and the commands that it takes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._member: MemberDevice | None = None
        self._following: asyncio.Task[None] | None = None
        self._commands: dict[str, Callable[[Command], Awaitable[Command]]] = {
            "create": self._create,
            "conversation": self._conversation,
            "add": self._add,
            "remove": self._remove,
            "leave": self._leave,
            "send": self._send,
            "send_many": self._send_many,
            "sync": self._sync,
            "follow": self._follow,
            "counts": self._counts,
            "lines": self._lines,
            "conversations": self._conversations,
            "cursor": self._cursor,
            "notices": self._notices,
        }

    async def do(self, line: bytes) -> Command:
        """The result of one command line. A refusal is a result, not an end."""
        command: Command = {}
        try:
            command = msgspec.json.decode(line, type=dict[str, Any])
            handler = self._commands.get(str(command.get("do")))
            if handler is None:
                raise BadInput(
                    f"There is no command {command.get('do')!r};"
                    " the module's documentation lists them.",
                    code="command",
                )
            result = {"ok": True, **await handler(command)}
        except (KeyError, TypeError, ValueError) as error:
            result = {
                "ok": False,
                "code": "bad-input",
                "message": f"The command is not as documented: {error!r}.",
            }
        except CountersealError as error:
            result = {"ok": False, "code": error.code, "message": error.message}
        return {"id": command["id"], **result} if "id" in command else result

    async def close(self) -> None:
        """Ends following and closes the folder."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._following
        if self._member is not None:
            await self._member.close()

    async def _open(self) -> MemberDevice:
        if self._member is None:
            self._member = await MemberDevice.open(self.home)
        return self._member

    async def _create(self, command: Command) -> Command:
        self._member = await MemberDevice.create_account(
            self.home,
            command["service"],
            command["handle"],
            command.get("name", ""),
            demonstration=bool(command.get("demonstration")),
            genesis=command.get("genesis"),
        )
        return {"account": self._member.account.hex(), "device": self._member.device.hex()}

    async def _conversation(self, command: Command) -> Command:
        member = await self._open()
        return {
            "conversation": (
                await member.create_conversation(
                    command.get("name", ""), command.get("members", [])
                )
            ).hex()
        }

    async def _add(self, command: Command) -> Command:
        await (await self._open()).add(bytes.fromhex(command["conversation"]), command["members"])
        return {}

    async def _remove(self, command: Command) -> Command:
        member = await self._open()
        for handle in command["members"]:
            await member.remove(bytes.fromhex(command["conversation"]), handle)
        return {}

    async def _leave(self, command: Command) -> Command:
        await (await self._open()).leave(bytes.fromhex(command["conversation"]))
        return {}

    async def _send(self, command: Command) -> Command:
        member = await self._open()
        return {
            "row": await member.send(
                bytes.fromhex(command["conversation"]), command["text"], command.get("sent_at_ms")
            )
        }

    async def _send_many(self, command: Command) -> Command:
        messages = [(str(text), at) for text, at in command["messages"]]
        return {
            "rows": await (await self._open()).send_many(
                bytes.fromhex(command["conversation"]), messages
            )
        }

    async def _sync(self, command: Command) -> Command:
        member = await self._open()
        if "until" in command:
            counts = await member.sync_until(
                int(command["until"]), float(command.get("timeout", 60))
            )
        else:
            counts = await member.sync()
        return {**msgspec.to_builtins(counts)}

    async def _follow(self, _: Command) -> Command:
        member = await self._open()
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(member.follow())
        return {}

    async def _counts(self, _: Command) -> Command:
        return {**msgspec.to_builtins((await self._open()).counts())}

    async def _lines(self, command: Command) -> Command:
        member = await self._open()
        after = int(command.get("after", 0))
        entries = member.entries(bytes.fromhex(command["conversation"]), after)
        return {"lines": msgspec.to_builtins(entries)}

    async def _conversations(self, _: Command) -> Command:
        return {
            "conversations": [
                conversation.hex() for conversation in (await self._open()).conversations()
            ]
        }

    async def _cursor(self, command: Command) -> Command:
        member = await self._open()
        return {"cursor": member.cursor(bytes.fromhex(command["conversation"]))}

    async def _notices(self, _: Command) -> Command:
        return {"notices": msgspec.to_builtins(await (await self._open()).notices())}


async def run(home: Path) -> None:
    """Reads commands until the input ends or one says quit. Results go out in the order of the
    commands.
    """
    reader = asyncio.StreamReader(limit=_LINE_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    agent = DeviceAgent(home)
    try:
        while line := await reader.readline():
            if line.strip() in (b"", b'{"do":"quit"}', b'{"do": "quit"}'):
                if line.strip():
                    return
                continue
            sys.stdout.buffer.write(msgspec.json.encode(await agent.do(line)) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        await agent.close()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="counterseal.client.agent", description="A member that another program drives."
    )
    parser.add_argument("--home", type=Path, required=True, help="the member's folder")
    home = parser.parse_args().home
    sys.exit(terminal.run(lambda: asyncio.run(run(home))))


if __name__ == "__main__":
    main()
