"""The demonstration's warrant, from draft to opened evidence: every step is the command that its
party would type.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from counterseal.demonstration.domain import (
    APPROVER,
    BODIES,
    COURT,
    GROUND,
    OPENER,
    PERIOD,
    REQUESTER,
    Domain,
    folder,
)
from counterseal.demonstration.plan import Plan, days
from counterseal.demonstration.processes import run
from counterseal.protocol.errors import Unavailable

_LISTING_SECONDS = 120.0


def releasing() -> list[str]:
    """The members who release: two of the court's three, and one each of two more bodies. The
    others are not needed.
    """
    court, *others = BODIES.values()
    return [*court[:2], others[0][0], others[1][0]]


class WarrantSteps:
    """One warrant's way."""

    def __init__(self, domain: Domain, plan: Plan, account: str) -> None:
        self._domain, self._plan, self._account = domain, plan, account
        self._files = domain.root / "warrant"
        self.digest = ""

    def order(self, told: Callable[[str], None]) -> None:
        """The requester drafts and signs, the approver of another body approves, and both
        statements go into the ledger.
        """
        self._files.mkdir()
        requester, approver = (
            folder(self._domain.root, "issuers", name) for name in (REQUESTER, APPROVER)
        )
        draft, approval = self._files / "warrant", self._files / "approval"
        run("warrant", "draft", "--home", str(requester), *self._scope(), "--out", str(draft))
        run("warrant", "sign", "--home", str(requester), "--yes", str(draft))
        first, last = days(self._plan)
        told(
            f"{REQUESTER} signs a warrant for {self._plan.target}, {first} to {last}: a request,"
            " no more."
        )
        run(
            "warrant",
            "approve",
            "--home",
            str(approver),
            "--yes",
            "--out",
            str(approval),
            str(draft),
        )
        told(f"{APPROVER}, of another body, approves it: the double lock.")
        run("warrant", "submit", "--home", str(requester), str(draft), str(approval))
        self.digest = self._await_listing(requester)

    def _scope(self) -> list[str]:
        plan = self._plan
        hours = (plan.end - plan.start) // PERIOD
        units = hours if plan.direction == "sent" else hours * len(plan.members)
        moments = [
            datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            for at in (plan.start, plan.end)
        ]
        return [
            *("--account", self._account, "--from", moments[0], "--until", moments[1]),
            *(
                "--ground",
                GROUND,
                "--direction",
                plan.direction,
                "--units",
                str(units),
                "--reference",
                "DEMO 1/2026",
            ),
        ]

    def _await_listing(self, requester: Path) -> str:
        until = time.monotonic() + _LISTING_SECONDS
        while time.monotonic() < until:
            self._domain.check()
            found: list[dict[str, Any]] = json.loads(
                run("warrant", "status", "--home", str(requester), "--json")
            )
            if found and found[0]["listings"]:
                return str(found[0]["digest"])
            time.sleep(0.3)
        raise Unavailable("The service has listed no windows for the warrant.")

    def review(self) -> list[str]:
        """What a custodian is shown before it decides, in words."""
        home = folder(self._domain.root, "custodians", BODIES[COURT][0])
        return [
            line
            for line in run("custodian", "review", "--home", str(home)).splitlines()
            if line.strip()
        ]

    def release(self, told: Callable[[str], None]) -> None:
        """A quorum of custodians releases; the witnesses follow by themselves, once the releases
        are in the ledger.
        """
        names = releasing()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._release, names))
        told(
            f"{', '.join(names)} released their shares, each on its own machine. The other bodies"
            " were not needed."
        )

    def _release(self, name: str) -> None:
        home = folder(self._domain.root, "custodians", name)
        run("custodian", "release", "--home", str(home), "--warrant", self.digest, "--yes")

    def open(self, out: Path) -> tuple[int, int]:
        """The opener joins the shares and writes the evidence; returns how many windows and frames
        it opened.
        """
        home = folder(self._domain.root, "opener", OPENER)
        place = ("--home", str(home), "--service", self._domain.url, "--out", str(out))
        said: dict[str, Any] = json.loads(run("open", self.digest, *place, "--wait", "--json"))
        return int(said["windows"]), int(said["frames"])


def verify(evidence: Path, keys: Sequence[str]) -> str:
    """Checks the evidence as anybody can, trusting only the keys. Raises `Unavailable` when it does
    not hold.
    """
    arguments = [part for key in keys for part in ("--key", key)]
    return run("evidence", "verify", str(evidence), *arguments)
