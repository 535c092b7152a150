"""The service of a test domain: its process, its clock, and whoever talks to it over HTTP."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import world
from tests.support.http import Http
from tests.support.processes import Process, program

from counterseal.protocol.keyset import VerifiedKeyset
from counterseal.protocol.verified_charter import VerifiedCharter

if TYPE_CHECKING:
    from tests.support.person import Person

SETTINGS = "[log]\ndirectory_root_delay = 0.3\n"
"""Every domain's settings: names of accounts can be proved soon after they are registered."""


class ServedDomain:
    """A service with its data in `folder`/service. Who signs its charter and keysets is what the
    two kinds of domain differ in: `Domain` signs in the test, `FullDomain` runs the holders'
    programs.
    """

    def __init__(self, folder: Path, *, settings: str = SETTINGS) -> None:
        self.folder = folder
        self.data = folder / "service"
        self.people: list[Person] = []
        command = program(
            "service", "init", "--data", self.data, "--domain", world.DOMAIN, "--json"
        )
        made = subprocess.run(command, check=True, capture_output=True).stdout
        self.identity: dict[str, Any] = json.loads(made)
        self.token = (self.data / "operator.token").read_text(encoding="utf-8").strip()
        (self.data / "settings.toml").write_text(settings, encoding="utf-8")
        self.process = self.serve()
        self.http = Http(self.url)

    def serve(self, port: int = 0, failpoint: str | None = None) -> Process:
        """Starts a process of the service; by default at a port that is free."""
        place = self.data / "address"
        place.unlink(missing_ok=True)
        command = program("serve", "--data", self.data, "--port", port)
        environment = {} if failpoint is None else {"COUNTERSEAL_FAILPOINT": failpoint}
        process = Process(command, self.folder / "service.log", **environment)
        self.url = process.wait_for(place)
        return process

    def restart(self, failpoint: str | None = None) -> None:
        """Starts the service again where it was, after it was stopped or killed."""
        self.http.close()
        for person in self.people:
            person.http.close()
        self.process = self.serve(int(self.url.rpartition(":")[2]), failpoint)

    def kill(self) -> None:
        """Ends the service as a power cut would."""
        self.process.kill()

    def close(self) -> None:
        """Ends everything."""
        for person in self.people:
            person.http.close()
            person.core.close()
        self.http.close()
        self.process.kill()

    def in_force(self) -> tuple[VerifiedCharter, VerifiedKeyset]:
        """The charter and the keyset that people use now."""
        raise NotImplementedError

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The array that the service answers. Raises `HttpRefusal`."""
        return self.http.array(method, path, body)

    def post_charter(self, statement: bytes) -> Any:
        """What the service answers to the operator who posts a charter. Raises `HttpRefusal`."""
        header = {"Authorization": f"Bearer {self.token}"}
        return self.http.array("POST", "/v1/charters", [statement], header)

    def now(self) -> int:
        """The domain's clock, in seconds."""
        return int(self.ask("GET", "/v1/clock")[0])

    def step(self, now: int) -> None:
        """Steps a demonstration's clock; the periods before are closed and their roots cosigned
        when this returns.
        """
        header = {"Authorization": f"Bearer {self.token}"}
        self.http.array("POST", "/v1/operator/clock", [now], header)

    def next_period(self, count: int = 1) -> int:
        """Steps the clock to the beginning of the period after `count` - 1 more; returns it."""
        length = self.in_force()[0].charter.period_length
        now = (self.now() // length + count) * length
        self.step(now)
        return now
