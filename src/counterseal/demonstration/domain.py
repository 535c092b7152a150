"""Sets up a whole domain in one folder: service, witnesses, custodians, issuers, opener, charter,
keysets.

Each party has a folder and keys of its own; what passes between them passes through files and
through HTTP on loopback, as it would between machines.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from counterseal.access.authorities import ceremony, charter_draft
from counterseal.access.authorities.charter_file import CharterFile, parse
from counterseal.access.common import keysets
from counterseal.access.common.card import Kind
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.new_home import create_home
from counterseal.access.common.rules import Rules
from counterseal.access.holders import witness
from counterseal.demonstration.plan import DAY, Plan, days, quarters
from counterseal.demonstration.processes import Daemon, run
from counterseal.protocol.charter import VkeyPair
from counterseal.protocol.errors import NotFound, Unavailable
from counterseal.protocol.verified_charter import VerifiedCharter

NAME = "demo.counterseal.localhost"
PERIOD = 3600
_START_SECONDS = 30.0

# Bodies whose interests differ, and members; the court decides by two of its three.
BODIES: dict[str, tuple[str, ...]] = {
    "Court of Registry": ("Judge Adeyemi", "Judge Lindqvist", "Judge Marchetti"),
    "Bar Association": ("Advocate Sorel",),
    "Data Protection Authority": ("Commissioner Haug",),
    "Civil Liberties Trust": ("Trustee Okafor",),
    "Employees' Council": ("Speaker Novak",),
}
COURT = "Court of Registry"
WITNESSES = ("university", "newspaper", "auditor", "library")
REQUESTER, APPROVER, OPENER = "Prosecutor Ilves", "Judge Fontaine", "Forensic Office"
GROUND = "fraud"


class Domain(msgspec.Struct):
    """A running domain. `homes` are by name: custodians' members, witnesses, issuers and the
    opener.
    """

    root: Path
    url: str
    charter: VerifiedCharter
    homes: dict[str, InstitutionHome]
    daemons: list[Daemon]
    # "log", "ledger", "witnesses": vkeys
    keys: dict[str, list[str]]

    @property
    def custodians(self) -> dict[str, InstitutionHome]:
        """The custodians' members, by name, in charter order."""
        return {member: self.homes[member] for body in BODIES for member in sorted(BODIES[body])}

    def check(self) -> None:
        """Raises `Unavailable` if one of the domain's processes has died."""
        for daemon in self.daemons:
            daemon.check()

    def stop(self) -> None:
        """Stops what was started, the service last."""
        for daemon in reversed(self.daemons):
            daemon.stop()


def folder(root: Path, kind: str, name: str) -> Path:
    """Where a party's folder is: plain names, whatever the party is called."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())
    return root / kind / "-".join(part for part in plain.split("-") if part)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago: the address is in a witness's card before it runs."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(taken.getsockname()[1]) for taken in held]
    for taken in held:
        taken.close()
    return ports


def _homes(root: Path) -> dict[str, InstitutionHome]:
    homes: dict[str, InstitutionHome] = {}

    def create(kind: Kind, place: str, name: str, body: str | None = None) -> None:
        homes[name] = create_home(folder(root, place, name), kind, name, body)

    for body, members in BODIES.items():
        for member in members:
            create("custodian", "custodians", member, body)
    create("issuer", "issuers", REQUESTER, "Prosecution Service")
    create("issuer", "issuers", APPROVER, "Warrants Tribunal")
    create("opener", "opener", OPENER)
    for name, port in zip(WITNESSES, _free_ports(len(WITNESSES)), strict=True):
        homes[name] = witness.create(folder(root, "witnesses", name), name, f"127.0.0.1:{port}")
    return homes


def _charter_file(plan: Plan, now: int) -> CharterFile:
    first = plan.lines[0].sent_at_ms // 1000 // DAY * DAY
    span = (plan.end - plan.start) // DAY
    return parse(
        {
            "demonstration": True,
            "period": PERIOD,
            "custodians": {
                "needed": 3,
                "body": [{"name": body, "threshold": 2 if body == COURT else 1} for body in BODIES],
            },
            "witnesses": {"shares": 2, "cosignatures": 3, "order": list(WITNESSES)},
            "issuer": [
                {"name": REQUESTER, "roles": ["requester"]},
                {"name": APPROVER, "roles": ["approver"]},
            ],
            "ground": [
                {"name": GROUND, "words": "Serious fraud, on reasonable suspicion", "urgent": False}
            ],
            "caps": {
                "units_30_days": max(2_000, span * 24 * len(plan.members)),
                "accounts_per_warrant": 1,
                "days_per_warrant": max(92, span),
            },
            "notices": {
                "delay": "1 s",
                "extension": "1 s",
                "extensions_max": 0,
                "cadence": "1 s",
                "per_cadence": 1,
            },
            "ledger": {"tick": "1 s", "leaves": 8, "batch": 16_384},
            "activation_delay": "1 s",
            # It has to hold on the file's days, for windows, and today, for issuers.
            "valid_from": min(first, now // DAY * DAY),
            "valid_until": max(now, plan.lines[-1].sent_at_ms // 1000) // DAY * DAY + 366 * DAY,
        }
    )


def build(root: Path, plan: Plan, now: int, told: Callable[[str], None]) -> Domain:
    """Starts the domain under `root`, which is empty. `told` gets a sentence as each step is done.
    Raises `CountersealError`.
    """
    run("service", "init", "--data", str(root / "service"), "--domain", NAME)
    service_daemon = Daemon(
        "The service", root / "service", ["serve", "--data", str(root / "service"), "--port", "0"]
    )
    daemons = [service_daemon]
    try:
        url = service_daemon.await_file(root / "service" / "address")
        told(f"The service runs at {url}.")
        homes = _homes(root)
        charter = _charter(url, plan, now, homes)
        told(
            f"Charter 1 is drawn up and signed by {len(homes) - 3} holders: custodians' members"
            " and witnesses."
        )
        for name in WITNESSES:
            place = folder(root, "witnesses", name)
            daemons.append(
                Daemon(f"Witness {name}", place, ["witness", "run", "--home", str(place)])
            )
        token = (root / "service" / "operator.token").read_text(encoding="ascii").strip()
        ceremony.publish_charter(InstitutionClient(url), charter, token=token)
        rules = {home.path: Rules(home) for home in homes.values() if home.card.kind == "custodian"}
        for view in rules.values():
            _sync(view, InstitutionClient(url), daemons)
        told("The witnesses run and cosign the log; the charter is in it.")
        for quarter in quarters(plan):
            _keyset(InstitutionClient(url), homes, rules, quarter, daemons)
        told("The holders drew this quarter's keys; the keyset is in the log.")
        charter_1 = next(iter(rules.values())).latest
        return Domain(root, url, charter_1, homes, daemons, _keys(charter_1))
    except BaseException:
        for daemon in reversed(daemons):
            daemon.stop()
        raise


def _sync(rules: Rules, service: InstitutionClient, daemons: Sequence[Daemon]) -> None:
    """Reads the charters and keysets, once what was just published is under a cosigned
    checkpoint.
    """
    until = time.monotonic() + _START_SECONDS
    while True:
        for daemon in daemons:
            daemon.check()
        try:
            rules.sync(service)
            return
        except (NotFound, Unavailable):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _charter(url: str, plan: Plan, now: int, homes: dict[str, InstitutionHome]) -> bytes:
    identity = charter_draft.identity(InstitutionClient(url))
    cards = [home.card for home in homes.values()]
    data = charter_draft.draft(_charter_file(plan, now), cards, identity, now).encode()
    for home in homes.values():
        if home.card.kind in ("custodian", "witness"):
            data = ceremony.sign_charter(home, data, url)
    for home in homes.values():
        ceremony.accept_charter(home, data, url)
    return data


def _keyset(
    service: InstitutionClient,
    homes: dict[str, InstitutionHome],
    rules: dict[Path, Rules],
    quarter: int,
    daemons: Sequence[Daemon],
) -> None:
    """The keyset of a quarter in which something was written: keys drawn, the record signed by
    custodians and witnesses, published.
    """
    members = [home for home in homes.values() if home.path in rules]
    first = rules[members[0].path]
    for home in members:
        keysets.deliver(home, first.latest, quarter, service)
    data = ceremony.assemble_keyset(service, first, quarter)
    for home in members:
        data = ceremony.sign_keyset(home, rules[home.path], data, quarter)
    ceremony.publish_keyset(service, first, data)
    for view in rules.values():
        held = len(view.keysets)
        while len(view.keysets) == held:
            _sync(view, service, daemons)


def _keys(charter: VerifiedCharter) -> dict[str, list[str]]:
    record = charter.charter

    def pair(vkeys: VkeyPair) -> list[str]:
        return [vkeys.ed25519, vkeys.mldsa44]

    return {
        "log": pair(record.log.vkeys),
        "ledger": pair(record.ledger.vkeys),
        "witnesses": [vkey for member in record.witnesses.members for vkey in pair(member.vkeys)],
    }


def describe(plan: Plan) -> str:
    """The warrant's span in words."""
    first, last = days(plan)
    return f"{first} to {last}" if first != last else first
