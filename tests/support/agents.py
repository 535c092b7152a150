"""Members as processes of their own, so that a test can kill them at any step."""

import json
import os
import subprocess
import sys


class AgentDied(Exception):
    """The process ended instead of answering; `status` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class AgentProcess:
    """One `python -m counterseal.client.agent`."""

    def __init__(self, home, failpoint: str | None = None) -> None:
        environment = {**os.environ}
        environment.pop("COUNTERSEAL_FAILPOINT", None)
        if failpoint is not None:
            environment["COUNTERSEAL_FAILPOINT"] = failpoint
        command = [sys.executable, "-m", "counterseal.client.agent", "--home", str(home)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def tell(self, **command):
        """The result of a command that may be refused. Raises AgentDied."""
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise AgentDied(self.process.wait())
        return json.loads(line)

    def do(self, **command):
        """The result of a command that has to succeed."""
        result = self.tell(**command)
        assert result["ok"], result
        return result

    def kill(self):
        self.process.kill()
        self.close()

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait(30)
        self.process.stdout.close()


class Device:
    """A member's device: a program that is started when it is first told something, and goes on
    until it is ended, started again, or killed.
    """

    def __init__(self, home):
        self.home = home
        self._agent = None

    def create(self, domain, handle):
        """Makes an account on this device."""
        self.handle = handle
        self.do(
            do="create",
            service=domain.url,
            handle=handle,
            demonstration=True,
            genesis=domain.genesis,
        )

    def do(self, **command):
        """The result of a command that has to succeed. Raises AgentDied."""
        return self._running().do(**command)

    def tell(self, **command):
        """The result of a command that may be refused. Raises AgentDied."""
        return self._running().tell(**command)

    def restart(self, failpoint: str | None = None):
        """Ends the program and starts another, which a failpoint may kill."""
        self.close()
        self._agent = AgentProcess(self.home, failpoint)

    def texts(self, talk):
        """What a conversation says, once everything there is has come."""
        counts = self.do(do="sync")
        assert (counts["refused"], counts["pending"], counts["queued"]) == (0, 0, 0), counts
        lines = self.do(do="lines", conversation=talk)["lines"]
        return [line["text"] for line in lines if line["state"] in ("shown", "sent")]

    def close(self):
        """Ends the program."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None

    def _running(self):
        if self._agent is None:
            self._agent = AgentProcess(self.home)
        return self._agent
