"""This project's programs as child processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-c", "from counterseal.cli.main import main; main()"]
"""The program `counterseal`, by this interpreter."""

STARTS_WITHIN = 30.0
"""Seconds that a program may take to start."""


def program(*arguments: object) -> list[str]:
    """A command line of the program `counterseal`."""
    return [*PROGRAM, *map(str, arguments)]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a command of `counterseal` to its end; whether it succeeded is the caller's to look
    at.
    """
    settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run(program(*arguments), check=False, **settings)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child process that runs until it is ended; all it prints goes to a file."""

    def __init__(self, command: list[str], output: Path, **environment: str) -> None:
        self._output = output
        inherited = {k: v for k, v in os.environ.items() if not k.endswith("_FAILPOINT")}
        with output.open("ab") as file:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={
                    **inherited,
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONWARNINGS": "default",
                    **environment,
                },
            )

    @property
    def output(self) -> str:
        """All that it, and what ran with the same file before it, printed."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, place: Path) -> str:
        """The text of a file that it writes when it has started."""
        deadline = time.monotonic() + STARTS_WITHIN
        while not place.exists():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"it did not start: {self.output[-4000:]}")
            time.sleep(0.01)
        return place.read_text(encoding="utf-8").strip()

    def stop(self) -> int:
        """Ends it gracefully; returns its exit status."""
        self.child.terminate()
        try:
            return self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.child.kill()
        self.child.wait(20)

    def ended(self, seconds: float = 10.0) -> int:
        """Its exit status, once it has ended by itself."""
        return self.child.wait(seconds)
