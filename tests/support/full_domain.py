"""A whole domain on loopback: a service and witnesses as processes, every institution with a home
folder, a charter made from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.person import Person
from tests.support.processes import Process, free_port, program
from tests.support.served import ServedDomain
from tests.support.waiting import until

from counterseal.access.authorities import ceremony, charter_draft, charter_file, issuer
from counterseal.access.common import keysets
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.new_home import create_home
from counterseal.access.common.rules import Rules
from counterseal.access.common.sources import Source, ask
from counterseal.access.holders import custodian, witness
from counterseal.access.holders.holder import Holder
from counterseal.describe.status import WarrantStatus
from counterseal.protocol.charter import Charter
from counterseal.protocol.errors import NotFound
from counterseal.protocol.keyset import VerifiedKeyset
from counterseal.protocol.quarters import quarter_of
from counterseal.protocol.release import SealedShares
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.wire.material import SHARES

BODIES = {"bar": ("eve",), "court": ("ann", "bob", "cec"), "ombudsman": ("dan",)}
WITNESSES = ("gazette", "harbour", "ivy")


def running(folder: Path, **changes: Any) -> Iterator[FullDomain]:
    """For fixtures: a domain with one keyset, stopped in the end. `changes` are rules of the
    charter that differ.
    """
    domain = FullDomain(folder, changes)
    try:
        domain.start()
        domain.keyset_digest = domain.keyset(quarter_of(domain.now()))
        yield domain
    finally:
        domain.close()


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


class FullDomain(ServedDomain):
    """`start` makes it all; `close` ends what was started. `processes` are the witnesses', by
    name.
    """

    def __init__(self, folder: Path, changes: dict[str, Any] | None = None) -> None:
        super().__init__(folder)
        self.changes = changes or {}
        self.processes: dict[str, Process] = {}
        self.keyset_digest = b""
        self.custodians = [
            create_home(folder / m, "custodian", m, b) for b, ms in BODIES.items() for m in ms
        ]
        self.witnesses = [
            witness.create(folder / n, n, f"127.0.0.1:{free_port()}") for n in WITNESSES
        ]
        self.prosecutor = create_home(folder / "prosecutor", "issuer", "prosecutor", "prosecution")
        self.judge = create_home(folder / "judge", "issuer", "judge", "judiciary")
        self.deputy = create_home(folder / "deputy", "issuer", "deputy", "prosecution")
        self.opener = create_home(folder / "opener", "opener", "opener")
        self._used: tuple[VerifiedCharter, VerifiedKeyset] | None = None

    def start(self) -> FullDomain:
        """Charter and witnesses."""
        self.charter_bytes = self.sign(self.draft())
        for home in self.witnesses:
            self.run_witness(home)
        client = InstitutionClient(self.url)
        until(lambda: ceremony.publish_charter(client, self.charter_bytes, token=self.token))
        return self

    def in_force(self) -> tuple[VerifiedCharter, VerifiedKeyset]:
        """See `ServedDomain`; `use` says what it is."""
        assert self._used is not None
        return self._used

    def use(self, keyset: bytes) -> None:
        """From now on people use the newest charter, and the keyset with this digest."""
        rules = self.rules(self.custodians[0])
        self._used = rules.latest, rules.keysets[keyset]

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
        command = program("witness", "run", "--home", home.path, *others)
        output = self.folder / f"{home.card.name}.log"
        self.processes[home.card.name] = Process(command, output)
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
        """Delivers everybody's keys, assembles, signs and publishes the keyset; returns its
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

    def talk(self, keyset: bytes, texts: Sequence[str]) -> tuple[Person, Person, bytes]:
        """Alice writes `texts` to Bob in the present period, which is then closed; gives both and
        the conversation.
        """
        self.use(keyset)
        alice, bob = Person(self, "alice"), Person(self, "bob")
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
        self.next_period()

    def warrant(self, account: bytes, **changes: Any) -> bytes:
        """A warrant for an account's first day, signed, approved, submitted and taken by the
        ledger, and returns its digest.
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
        shown = ask(self.service_for(self.opener), SHARES, warrant=digest)
        records = [SealedShares.decode(row) for row in shown.sealed]
        return {record.position: record for record in records}

    @property
    def charter_first(self) -> bytes:
        """Digest of the first charter."""
        return ceremony.charter_in(self.charter_bytes)[1]

    @property
    def charter(self) -> VerifiedCharter:
        """The charter as the first custodian has verified it."""
        return self.rules(self.custodians[0]).latest

    def kill_witness(self, name: str) -> None:
        """Ends a witness as a power cut would."""
        self.processes.pop(name).kill()

    def close(self) -> None:
        """Ends every process."""
        for process in self.processes.values():
            process.child.terminate()
        for process in self.processes.values():
            process.stop()
        super().close()
