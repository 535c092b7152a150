"""A whole domain on loopback for the tests of access: a service and witnesses as processes, homes
and a charter as files.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from tests.service_domain import Person

from counterseal.access.authorities import ceremony, charter_draft, charter_file, issuer
from counterseal.access.common import keysets
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.rules import Rules
from counterseal.access.common.sources import Source, get_array
from counterseal.access.holders import custodian, witness
from counterseal.access.holders.holder import Holder
from counterseal.describe.status import WarrantStatus
from counterseal.protocol import cbor
from counterseal.protocol.charter import Charter
from counterseal.protocol.errors import CountersealError, NotFound
from counterseal.protocol.keyset import quarter_of
from counterseal.protocol.release import SealedShares
from counterseal.protocol.verified_charter import VerifiedCharter

BODIES = {"bar": ("eve",), "court": ("ann", "bob", "cec"), "ombudsman": ("dan",)}
WITNESSES = ("gazette", "harbour", "ivy")
T = TypeVar("T")


def program(*arguments: object) -> list[str]:
    """The command line of one of this project's programs."""
    return [
        sys.executable,
        "-c",
        "from counterseal.cli.main import main; main()",
        *map(str, arguments),
    ]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: Callable[[], T], seconds: float = 20.0) -> T:
    """The first result that is neither false nor an error; the last error after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
            error: CountersealError | None = None
        except CountersealError as failed:
            error = failed
        if time.monotonic() > deadline:
            raise error or AssertionError("it did not come true in time")
        time.sleep(0.1)


def running(folder: Path, **changes: Any) -> Iterator[Rig]:
    """For fixtures: a domain with one keyset, stopped in the end."""
    rig = Rig(folder, changes)
    try:
        rig.start()
        rig.keyset_digest = rig.keyset(quarter_of(rig.now()))
        yield rig
    finally:
        rig.stop()


class Tampered:
    """A source between a holder and the honest service that changes or withholds what `change`
    says.
    """

    def __init__(self, source: Source, change: Callable[[str, bytes], bytes | None]) -> None:
        self._source, self._change = source, change

    def get(self, path: str, *, signed: bool = False) -> bytes:
        """See `Source`."""
        answer = self._change(path, self._source.get(path, signed=signed))
        if answer is None:
            raise NotFound(f"{path} is withheld.")
        return answer


class PersonDomain:
    """This domain with the faces that `Person` uses."""

    def __init__(self, rig: Rig, keyset: bytes) -> None:
        self._rig = rig
        rules = rig.rules(rig.custodians[0])
        self.record, self.charter_digest = rules.latest.charter, rules.latest.digest
        verified = rules.keyset(keyset)
        self.keyset_digest, self.keyset_quarter = keyset, verified.keyset.quarter
        self.holders = list(verified.keys)
        self.holder_seals = {i: SimpleNamespace(public=key) for i, key in enumerate(verified.keys)}
        self.process = SimpleNamespace(url=rig.url)
        self.directory = rig.folder
        self.people = rig.people_made

    def now(self) -> int:
        """The clock that windows go by."""
        return self._rig.now()


class Rig:
    """`start` makes it all; `stop` ends what was started. Processes are by name: "service", or a
    witness's name.
    """

    def __init__(self, folder: Path, changes: dict[str, Any] | None = None) -> None:
        self.folder, self.changes = folder, changes or {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.url = ""
        self.keyset_digest = b""
        self.people_made: list[Person] = []
        self.custodians = [
            InstitutionHome.create(folder / m, "custodian", m, b)
            for b, ms in BODIES.items()
            for m in ms
        ]
        self.witnesses = [
            witness.create(folder / n, n, f"127.0.0.1:{free_port()}") for n in WITNESSES
        ]
        self.prosecutor = InstitutionHome.create(
            folder / "prosecutor", "issuer", "prosecutor", "prosecution"
        )
        self.judge = InstitutionHome.create(folder / "judge", "issuer", "judge", "judiciary")
        self.deputy = InstitutionHome.create(folder / "deputy", "issuer", "deputy", "prosecution")
        self.opener = InstitutionHome.create(folder / "opener", "opener", "opener")

    def start(self) -> Rig:
        """InstitutionClient, charter, witnesses, one keyset."""
        data = self.folder / "service"
        subprocess.run(
            program("service", "init", "--data", data, "--domain", "chat.example.org"),
            check=True,
            stdout=-3,
        )
        self.serve()
        self.charter_bytes = self.sign(self.draft())
        for home in self.witnesses:
            self.run_witness(home)
        until(lambda: ceremony.publish_charter(InstitutionClient(self.url), self.charter_bytes))
        return self

    def serve(self) -> None:
        """Starts the service, at the port it had before if there was one."""
        port = int(self.url.rpartition(":")[2]) if self.url else free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._spawn("service", "serve", "--data", self.folder / "service", "--port", port)
        until(lambda: charter_draft.identity(InstitutionClient(self.url)))

    def rules_file(self) -> charter_file.CharterFile:
        """The rules: a demonstration with ticks of a second."""
        rules: dict[str, Any] = {
            "demonstration": True,
            "issuer": [
                {"name": "prosecutor", "roles": ["requester"]},
                {"name": "judge", "roles": ["approver"]},
                {"name": "deputy", "roles": ["approver"]},
            ],
            "ground": [{"name": "homicide", "words": "s. 211"}, {"name": "rescue", "urgent": True}],
            "notices": {"delay": 2, "cadence": 1, "per_cadence": 2, "extension": 5},
            "ledger": {"tick": 1},
            **self.changes,
        }
        return charter_file.parse(rules)

    def draft(self) -> Charter:
        """The first charter's draft."""
        return charter_draft.draft(
            self.rules_file(),
            charter_draft.gather([self.folder]),
            charter_draft.identity(InstitutionClient(self.url)),
        )

    def sign(self, draft: Charter) -> bytes:
        """The charter with everybody's signatures; each home pins it."""
        data = draft.encode()
        for home in (*self.custodians, *self.witnesses):
            data = ceremony.sign_charter(home, data, self.url)
        for home in (self.prosecutor, self.judge, self.deputy, self.opener):
            ceremony.accept_charter(home, data, self.url)
        return data

    def run_witness(self, home: InstitutionHome, service_url: str | None = None) -> None:
        """Starts a witness's daemon, which may be told another address of the service."""
        others = () if service_url is None else ("--service", service_url)
        self._spawn(home.card.name, "witness", "run", "--home", home.path, *others)
        until(lambda: InstitutionClient(home.card.url or "").get("/health"))

    def service_for(self, home: InstitutionHome) -> InstitutionClient:
        """The service as a home asks it."""
        return InstitutionClient(self.url, "chat.example.org", home.signer)

    def rules(self, home: InstitutionHome) -> Rules:
        """The rules as a home has verified them now."""
        rules = Rules(home)
        rules.sync(self.service_for(home))
        return rules

    def keyset(self, quarter: int, custodians: list[InstitutionHome] | None = None) -> bytes:
        """Delivers everybody's keys, assembles, signs and publishes the keyset; gives its
        digest.
        """
        signing = self.custodians if custodians is None else custodians
        for home in signing:
            keysets.deliver(home, self.rules(home).latest, quarter, self.service_for(home))
        rules = self.rules(self.custodians[0])
        data = ceremony.assemble_keyset(self.service_for(self.custodians[0]), rules, quarter)
        for home in signing:
            data = ceremony.sign_keyset(home, self.rules(home), data, quarter)
        return until(lambda: ceremony.publish_keyset(InstitutionClient(self.url), rules, data))[0]

    def now(self) -> int:
        """The clock that windows go by."""
        return int(get_array(InstitutionClient(self.url), "/v1/clock")[0])

    def step(self, now: int) -> None:
        """Steps the demonstration's clock; the periods before are closed and their roots logged
        when this returns.
        """
        token = (self.folder / "service" / "operator.token").read_text(encoding="utf-8").strip()
        body = cbor.encode([now])
        service = InstitutionClient(self.url, timeout=60.0)
        status, answer = service._send(
            "POST", "/v1/operator/clock", body, {"Authorization": f"Bearer {token}"}
        )
        assert status == 200, answer

    def people(self, keyset: bytes) -> PersonDomain:
        """What `tests.service_domain.Person` needs to know of this domain."""
        return PersonDomain(self, keyset)

    def talk(self, keyset: bytes, texts: Sequence[str]) -> tuple[Person, Person, bytes]:
        """Alice writes `texts` to Bob in the present period, which is then closed; gives both and
        the conversation.
        """
        domain = self.people(keyset)
        alice, bob = Person(domain, "alice"), Person(domain, "bob")
        bob.packages()
        conversation = alice.create()
        alice.add(conversation, bob)
        self.write(alice, conversation, texts)
        return alice, bob, conversation

    def write(
        self, person: Person, conversation: bytes, texts: Sequence[str], serial: int = 1
    ) -> None:
        """A person writes in the present period, which is then closed."""
        window = person.open_window(conversation, serial)
        person.send(conversation, *(person.seal(window, text) for text in texts))
        length = self.charter.charter.period_length
        self.step(self.now() // length * length + length)

    def warrant(self, account: bytes, **changes: Any) -> bytes:
        """A warrant for an account's first day, signed, approved, submitted and taken by the
        ledger; gives its digest.
        """
        office = issuer.IssuerLedger(self.prosecutor, self.service_for(self.prosecutor))
        start = self.charter.charter.valid_from
        terms: dict[str, Any] = {
            "start": start,
            "until": start + 86_400,
            "ground": "homicide",
            **changes,
        }
        made = issuer.draft(office.charter(), [account], **terms).warrant
        approval = issuer.approve(self.judge, made)
        issuer.submit(office.service, issuer.sign_warrant(self.prosecutor, made), approval)
        until(lambda: office.sync().state.access(made.digest()).approved_at)
        return made.digest()

    def desk(self, home: InstitutionHome) -> Holder:
        """A custodian's desk."""
        return Holder(home, self.service_for(home))

    def listed(self, home: InstitutionHome, digest: bytes) -> None:
        """Waits until the ledger has a listing of the warrant."""
        desk = self.desk(home)
        until(lambda: desk.case(desk.sync(), digest).warrant.access.listings)

    def release(
        self, home: InstitutionHome, digest: bytes, *, standing: bool = False
    ) -> custodian.Released:
        """A custodian's member releases what is listed."""
        return custodian.release(self.desk(home), self.service_for(home), digest, standing=standing)

    def status(self, digest: bytes) -> WarrantStatus:
        """What the ledger says of a warrant."""
        return issuer.IssuerLedger(self.prosecutor, self.service_for(self.prosecutor)).status(
            digest
        )

    def shares(self, digest: bytes) -> dict[int, SealedShares]:
        """The sealed shares that the opener can fetch, by position."""
        [rows] = get_array(
            self.service_for(self.opener), f"/v1/warrants/{digest.hex()}/shares", signed=True
        )
        records = [SealedShares.decode(row) for row in rows]
        return {record.position: record for record in records}

    @property
    def charter_first(self) -> bytes:
        """Digest of the first charter."""
        return ceremony.charter_in(self.charter_bytes)[1]

    @property
    def charter(self) -> VerifiedCharter:
        """The charter as the first custodian has verified it."""
        return self.rules(self.custodians[0]).latest

    def kill(self, name: str) -> None:
        """Kill -9."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Ends every process."""
        for person in self.people_made:
            person.http.close()
            person.core.close()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def output(self, name: str) -> str:
        """What a process printed."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _spawn(self, name: str, *arguments: object) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            self.processes[name] = subprocess.Popen(
                program(*arguments), stdout=log, stderr=log, env=environment
            )
