"""The demonstration's processes: each party is the program that an operator would run, started as a
child and ended with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from counterseal.protocol.errors import Unavailable

PROGRAM = (sys.executable, "-m", "counterseal")
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


def _log(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / "process.log").open("ab")


class Daemon:
    """A running child. Its words go to `folder/process.log`."""

    def __init__(self, name: str, folder: Path, arguments: Sequence[str]) -> None:
        self.name, self.log = name, folder / "process.log"
        with _log(folder) as out:
            # A session of its own: Ctrl-C in the terminal must reach us first, so that we can stop
            # them in order.
            self.child = subprocess.Popen(  # noqa: S603 - our own program, no shell
                [*PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def await_file(self, path: Path) -> str:
        """The text of a file that the child writes when it is ready. Raises `Unavailable` with the
        log's end when it dies first.
        """
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if path.exists() and (text := path.read_text().strip()):
                return text
            if self.child.poll() is not None:
                break
            time.sleep(0.02)
        raise Unavailable(f"{self.name} did not start: {self.last_words()}")

    def check(self) -> None:
        """Raises `Unavailable` if the child has died."""
        if self.child.poll() is not None:
            raise Unavailable(
                f"{self.name} stopped with status {self.child.returncode}: {self.last_words()}"
            )

    def last_words(self) -> str:
        """The last lines of the child's log."""
        lines = (
            self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        )
        return " / ".join(lines[-3:]) or "it said nothing"

    def stop(self) -> None:
        """Asks the child to end; kills it when it does not."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def run(*arguments: str) -> str:
    """Runs one command to its end and returns what it printed. Raises `Unavailable` with its own
    sentence when it fails.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Unavailable(
            f"counterseal {' '.join(arguments[:2])} failed: {said[-1] if said else done.returncode}"
        )
    return done.stdout


class Agent:
    """A member's own process, told what to do line by line."""

    def __init__(self, name: str, child: asyncio.subprocess.Process) -> None:
        self.name, self._child, self._lock = name, child, asyncio.Lock()

    @classmethod
    async def start(cls, name: str, home: Path) -> Agent:
        """Starts `python -m counterseal.client.agent --home HOME`."""
        with _log(home) as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "counterseal.client.agent",
                "--home",
                os.fspath(home),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                limit=16 * 1024 * 1024,
            )
        return cls(name, child)

    async def do(self, what: str, **fields: Any) -> dict[str, Any]:
        """One command, one answer. Raises `Unavailable` with the agent's own sentence."""
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None:
            raise Unavailable(f"{self.name}'s process has no pipes.")
        async with self._lock:
            try:
                stdin.write(msgspec.json.encode({"do": what, **fields}) + b"\n")
                await stdin.drain()
                answer = await stdout.readline()
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
        if not answer:
            raise Unavailable(f"{self.name}'s process ended while it was asked to {what}.")
        said: dict[str, Any] = msgspec.json.decode(answer, type=dict)
        if not said.get("ok"):
            raise Unavailable(
                f"{self.name} could not {what}: {said.get('message')} [{said.get('code')}]"
            )
        return said

    async def stop(self) -> None:
        """Closes the agent's input, which ends it; kills it when it does not end."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            await asyncio.wait_for(self._child.wait(), _STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()
