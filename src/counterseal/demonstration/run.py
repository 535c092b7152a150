"""The demonstration from start to end, and what it reports."""

from __future__ import annotations

import asyncio
import importlib.resources
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.sources import ask
from counterseal.demonstration.chat import read_chat
from counterseal.demonstration.domain import (
    APPROVER,
    BODIES,
    REQUESTER,
    WITNESSES,
    Domain,
    build,
    folder,
)
from counterseal.demonstration.narrator import Narrator
from counterseal.demonstration.plan import Plan, days, make_plan
from counterseal.demonstration.replay import Members, Replayed
from counterseal.demonstration.warrant_steps import WarrantSteps, verify
from counterseal.protocol.errors import BadInput, Unavailable
from counterseal.tlog.periods import decode_period_root
from counterseal.wire.periods import PERIODS

Result = dict[str, Any]
_NOTICE_SECONDS = 60.0


class Options(msgspec.Struct, frozen=True):
    """What was asked for on the command line. `out` is absolute, and new or empty."""

    chat: Path | None
    members: int | None
    target: str | None
    first: str | None
    last: str | None
    direction: str
    out: Path
    headless: bool


class Shown(msgspec.Struct, frozen=True):
    """What the live part came to: the replay, what was opened, and how many windows with frames the
    domain has.
    """

    replayed: Replayed
    windows_opened: int
    frames_opened: int
    windows: int


def demonstrate(options: Options, narrator: Narrator, done: Callable[[Result], None]) -> None:
    """Runs it all; `done` gets the report. Unless headless, everything stays up until Ctrl-C.
    Raises `CountersealError`.
    """
    plan = _plan(options)
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise BadInput(f"{options.out} is there already and not empty; name a new folder.")
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    narrator.chapter("A domain is set up")
    narrator.say(f"Everything goes into {options.out}.")
    domain = build(options.out, plan, int(time.time()), narrator.say)
    try:
        shown = asyncio.run(_live(domain, plan, narrator, options.out))
        narrator.say(f"All of it took {time.monotonic() - started:.0f} seconds.")
        if options.headless:
            # before the report: the ledger goes on ticking, and the sizes told should be those that
            # stay
            domain.stop()
        done(_report(domain, plan, shown, options.out))
        if not options.headless:
            _stay(domain, narrator, plan)
    finally:
        domain.stop()


def _plan(options: Options) -> Plan:
    path = options.chat
    if path is None:
        path = Path(str(importlib.resources.files("counterseal") / "demo_data" / "sample.jsonl"))
    return make_plan(
        read_chat(path),
        options.members,
        options.target,
        options.first,
        options.last,
        options.direction,
    )


async def _live(domain: Domain, plan: Plan, narrator: Narrator, out: Path) -> Shown:
    members = Members(domain, plan)
    try:
        await members.join(narrator.say)
        narrator.chapter("People talk")
        with narrator.counting("messages sent", len(plan.lines)) as bar:
            replayed = await members.replay(
                lambda sent: bar.update(bar.task_ids[0], completed=sent)
            )
        narrator.say(
            f"{replayed.shown} times a device showed a message it had verified; {replayed.refused}"
            " times it refused one."
        )
        access = WarrantSteps(domain, plan, replayed.accounts[plan.target])
        opened = await asyncio.to_thread(_open, access, domain, narrator, out)
        await _notified(members, plan, narrator)
        return Shown(replayed, *opened, await asyncio.to_thread(_windows, domain))
    finally:
        await members.stop()


def _open(access: WarrantSteps, domain: Domain, narrator: Narrator, out: Path) -> tuple[int, int]:
    narrator.chapter("A warrant")
    access.order(narrator.say)
    narrator.say(
        "Both stand in the ledger, under a checkpoint that the witnesses cosigned. A custodian is"
        " shown:"
    )
    narrator.quote(access.review())
    access.release(narrator.say)
    narrator.chapter("The opening")
    opened = access.open(out / "evidence")
    narrator.say("The opener joined the shares, proved each window's key, and wrote the evidence.")
    keys = [key for group in ("log", "ledger", "witnesses") for key in domain.keys[group]]
    verify(out / "evidence", keys)
    narrator.say(
        "Anybody with the log's and the witnesses' keys can check it; `evidence verify` just did,"
        " and all of it holds."
    )
    return opened


async def _notified(members: Members, plan: Plan, narrator: Narrator) -> None:
    until = time.monotonic() + _NOTICE_SECONDS
    while not await members.notices(plan.target):
        if time.monotonic() > until:
            raise Unavailable(f"No notice has reached {plan.target}.")
        await asyncio.sleep(0.5)
    narrator.chapter("The notice")
    narrator.say(
        f"{plan.target} was told: the notice is in the log, and the app found it and proved it."
    )
    other = next(name for name in plan.members if name != plan.target)
    if not await members.notices(other):
        narrator.say(f"{other}'s app tried every notice too: none was for {other}.")


def _windows(domain: Domain) -> int:
    """How many windows of the domain have frames, by the logged period roots."""
    total, after = 0, -1
    while rows := ask(InstitutionClient(domain.url), PERIODS, after=after).rows:
        total += sum(decode_period_root(row.root).windows for row in rows)
        after = rows[-1].log_index
    return total


def _report(domain: Domain, plan: Plan, shown: Shown, out: Path) -> Result:
    replayed = shown.replayed
    first, last = days(plan)

    def tree(name: str) -> Result:
        directory = domain.root / "service" / name
        size = int((directory / "checkpoint").read_text(encoding="utf-8").split("\n")[1])
        return {"directory": str(directory), "size": size, "keys": domain.keys[name]}

    def folders(kind: str, names: list[str]) -> dict[str, str]:
        return {name: str(folder(domain.root, kind, name)) for name in names}

    return {
        "messages_sent": replayed.sent,
        "messages_shown": replayed.shown,
        "messages_refused": replayed.refused,
        "accounts": len(replayed.accounts),
        "windows": shown.windows,
        "warrant": {
            "account": replayed.accounts[plan.target],
            "from": first,
            "until": last,
            "direction": plan.direction,
            "windows_opened": shown.windows_opened,
            "frames_opened": shown.frames_opened,
        },
        "log": {**tree("log"), "witnesses": domain.keys["witnesses"]},
        "ledger": tree("ledger"),
        "evidence": str(out / "evidence"),
        "folders": {
            "service": str(domain.root / "service"),
            "members": {
                name: str(folder(domain.root, "members", plan.handles[name]))
                for name in plan.members
            },
            "custodians": folders(
                "custodians", [member for members in BODIES.values() for member in members]
            ),
            "witnesses": folders("witnesses", list(WITNESSES)),
            "issuers": folders("issuers", [REQUESTER, APPROVER]),
        },
    }


def _stay(domain: Domain, narrator: Narrator, plan: Plan) -> None:
    home = folder(domain.root, "members", plan.handles[plan.target])
    narrator.chapter("Try it yourself; Ctrl-C ends it")
    narrator.say(f"The service: {domain.url}")
    narrator.quote(
        [
            f"counterseal read --home {home}",
            f"counterseal notices --home {home}",
            f"counterseal charter show --service {domain.url}",
            f"counterseal warrant status --home {folder(domain.root, 'issuers', REQUESTER)}",
        ]
    )
    stop = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        while not stop.wait(1.0):
            domain.check()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    narrator.say("Stopped. The folders stay.")
