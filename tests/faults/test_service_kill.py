"""Kill -9 at every durable write of the service, before it and after it, under traffic: what was
acknowledged is there, nothing is half written, and neither log forks. The witnesses live through
it, so a fork would be refused by them and seen here."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support import world
from tests.support.domain import Domain, running
from tests.support.http import HttpRefusal
from tests.support.person import Person
from tests.support.waiting import until
from tests.support.world import DOMAIN

from counterseal.protocol import cbor
from counterseal.protocol.account_chain import Device, sign_link
from counterseal.protocol.approval import Approval
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.cose import sign
from counterseal.protocol.keys import SealingKey, seal_to
from counterseal.protocol.keyset import HolderKey
from counterseal.protocol.notice import PADDED, SealedNotice
from counterseal.protocol.warrant import Warrant
from counterseal.tlog.checkpoint import Checkpoint, log_keys, parse_checkpoint, verify_cosigned
from counterseal.tlog.note import parse_note
from counterseal.tlog.proof import verify_consistency, verify_inclusion
from counterseal.tlog.tree import leaf_hash

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(300)]

GONE = (OSError, http.client.HTTPException)
WITNESS = len(world.CUSTODIANS)
"""The first witness's position."""


class Traffic:
    """One of everything, again and again; remembers what was acknowledged, and asks for it again
    after a restart.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.alice, self.bob = Person(domain, "alice"), Person(domain, "bob")
        self.alice.packages()
        self.bob.packages()
        self.conversation = self.alice.create()
        self.alice.add(self.conversation, self.bob)
        self.bob.join()
        self.serial = 0
        self.draft = domain.keyset.keyset.quarter + 1
        self.round = 0
        self.sealed: list[bytes] = []
        self.frames: dict[bytes, tuple[int, int]] = {}
        self.logged: dict[bytes, int] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.offsets: dict[bytes, int] = {}
        self.queued: list[bytes] = []
        self.groups: dict[bytes, int] = {}
        self.leaving: dict[bytes, tuple[int, bytes]] = {}
        self.notices: dict[int, bytes] = {}
        self.seen: dict[str, Checkpoint] = {}
        self.checked: set[tuple[str, Any]] = set()

    def go(self) -> None:
        """One round of each kind of write."""
        self.round += 1
        steps: list[Callable[[], None]] = [
            self.account,
            self.group,
            self.frame,
            self.blob,
            self.statement,
            self.packages,
            self.profile,
            self.holder_key,
            self.device,
            self.leave,
            self.notice,
            self.clock,
        ]
        for step in steps:
            step()

    def account(self) -> None:
        person = Person(self.domain, f"r{self.round}-{os.urandom(3).hex()}", register=False)
        index = person.register()
        entry = H([tag("entry"), person.account_statement])
        self.logged[entry] = index - 1

    def group(self) -> None:
        """A conversation and the commit that brings the other in."""
        conversation = self.alice.create()
        self.groups[conversation] = 0
        self.bob.packages(1)
        self.groups[conversation] = self.alice.add(conversation, self.bob)

    def frame(self) -> None:
        """A window's frames in two posts, the second with the first's bytes again."""
        self.serial += 1
        window = self.alice.open_window(self.conversation, self.serial)
        one, other = self.alice.seal(window, f"round {self.round}"), self.alice.seal(window, "more")
        for batch in ([one], [one, other]):
            stamps, refusal = self.alice.send(self.conversation, *batch)
            assert refusal is None
            for message, stamp in zip(batch, stamps, strict=True):
                assert self.frames.setdefault(message, stamp) == stamp

    def blob(self) -> None:
        data = os.urandom(5_000)
        digest = hashlib.sha256(data).digest()
        assert self.alice.call("POST", "/v1/blobs", [digest, len(data)]) == (0,)
        for offset in (0, 2_500):
            target = f"/v1/blobs/{digest.hex()}?offset={offset}"
            part = data[offset : offset + 2_500]
            header = {"Authorization": self.alice.authorization("PATCH", target, part)}
            status, body, _ = self.alice.http.raw("PATCH", target, part, header)
            assert status == 200, body
            self.offsets[digest] = offset + 2_500
        self.blobs[digest] = data

    def statement(self) -> None:
        """A warrant and its approval: what the ledger may not lose."""
        now, start = int(time.time()), self.domain.now() - self.domain.now() % 3600
        warrant = Warrant(
            DOMAIN,
            self.domain.charter.digest,
            (self.alice.account,),
            start,
            start + 3600,
            "sent",
            None,
            "fraud",
            "normal",
            1,
            self.domain.opener_key.public,
            now + 3600,
            os.urandom(4).hex(),
            now,
        )
        self.domain.http.array(
            "POST", "/v1/ledger", [sign([self.domain.requester], warrant.encode())]
        )
        self.queued.append(warrant.digest())
        approval = Approval(DOMAIN, self.domain.charter.digest, warrant.digest(), now)
        self.domain.http.array(
            "POST", "/v1/ledger", [sign([self.domain.approver], approval.encode())]
        )

    def packages(self) -> None:
        self.bob.packages(1)
        assert len(self.alice.call("POST", "/v1/key-packages/claim", [[self.bob.device]])) == 1

    def profile(self) -> None:
        self.alice.call(
            "PUT", f"/v1/accounts/{self.alice.account.hex()}/profile", [f"Alice {self.round}"]
        )

    def holder_key(self) -> None:
        key = HolderKey(
            DOMAIN, self.domain.charter.digest, self.draft, 0, SealingKey.generate().public
        )
        self.domain.http.array(
            "POST", "/v1/keysets/holder-keys", [sign([self.domain.holders[0]], key.encode())]
        )
        self.domain.http.array("GET", f"/v1/keysets/draft/{self.draft}")

    def device(self) -> None:
        """A second device in an account's chain."""
        person = Person(self.domain, f"d{self.round}-{os.urandom(3).hex()}")
        second = Ed25519PrivateKey.generate()
        added = Device(
            person.account, person.head, 2, second.public_key().public_bytes_raw(), int(time.time())
        )
        link = sign_link(person.account_key, added, second)
        path = f"/v1/accounts/{person.account.hex()}/statements"
        [self.logged[H([tag("entry"), link])]] = person.call(
            "POST", path, ["device", *cbor.decode(link, 8_192)]
        )

    def leave(self) -> None:
        """A proposal to leave."""
        other = Person(self.domain, f"l{self.round}-{os.urandom(3).hex()}")
        other.packages(1)
        conversation = self.alice.create()
        self.alice.add(conversation, other)
        other.join()
        proposal = other.core.group_leave(conversation)
        path = f"/v1/conversations/{conversation.hex()}/proposals"
        [n] = other.call("POST", path, [1, proposal])
        self.leaving[conversation] = (n, proposal)

    def notice(self) -> None:
        """A witness's notice, which nobody may make unseen."""
        info = [tag("notice-seal"), DOMAIN]
        sealed = SealedNotice(seal_to(SealingKey.generate().public, info, bytes(PADDED))).encode()
        [index] = self.domain.institution(
            self.domain.holders[WITNESS], "POST", "/v1/notices", [sealed, WITNESS]
        )
        self.notices[index] = sealed

    def clock(self) -> None:
        self.domain.step(self.domain.now() + 3600)

    def check(self, *, everything: bool = False) -> None:
        """After a restart: all that was acknowledged is there, once; the logs have only grown.

        What was found after an earlier restart is looked for again when `everything` is asked for,
        as the last test of this file does: what any restart lost is missing then.
        """
        if everything:
            self.checked.clear()
        self._check_events()
        self._check_groups()
        self._check_blobs()
        for conversation, (n, proposal) in self._new("leaving", self.leaving):
            assert [n, 2, proposal] in [
                [row[0], row[1], row[3]] for row in self.alice.events(conversation)[0]
            ]
        for index, sealed in self._new("notices", self.notices):
            assert (index, sealed) in self.domain.http.array(
                "GET", f"/v1/notices?after={index - 1}"
            )
        for name in ("log", "ledger"):
            self._check_growth(name)
        for entry, index in self._new("logged", self.logged):
            proof = until(
                lambda entry=entry: self.domain.http.array("GET", f"/v1/log/proof/{entry.hex()}")
            )
            root = self._checkpoint(proof[3].encode(), "log")
            verify_inclusion(leaf_hash(entry), index, proof[1], root.root, proof[2])

    def _new(self, kind: str, found: dict[Any, Any]) -> list[tuple[Any, Any]]:
        """What of these was not looked for since the last full check."""
        new = [(key, value) for key, value in found.items() if (kind, key) not in self.checked]
        self.checked.update((kind, key) for key, _ in new)
        return new

    def _check_blobs(self) -> None:
        for digest, data in self._new("blobs", self.blobs):
            path = f"/v1/blobs/{digest.hex()}"
            header = {"Authorization": self.alice.authorization("GET", path, b"")}
            assert self.alice.http.raw("GET", path, b"", header)[:2] == (200, data)
        unfinished = {one: at for one, at in self.offsets.items() if one not in self.blobs}
        for digest, offset in self._new("offsets", unfinished):
            [held] = self.alice.call("POST", "/v1/blobs", [digest, 5_000])
            assert held >= offset

    def check_ledger(self) -> None:
        """Every warrant that was taken comes to its listing."""
        for digest in self.queued:
            path = f"/v1/warrants/{digest.hex()}/shares"
            assert self.domain.institution(self.domain.opener, "GET", path) == ((),)
        until(lambda: self.domain.backlog == 0, 30)

    def _check_events(self) -> None:
        events: list[Any] = []
        while page := self.bob.events(self.conversation, events[-1][0] if events else 0)[0]:
            events += page
        assert [event[0] for event in events] == list(range(1, len(events) + 1))
        bodies = [event[3] for event in events]
        assert len(set(bodies)) == len(bodies)
        stored = {event[3]: (event[0], event[2]) for event in events}
        for message, stamp in self.frames.items():
            assert stored[message] == tuple(stamp)

    def _check_groups(self) -> None:
        """Every conversation is there; where its commit was acknowledged, the other has the
        Welcome.
        """
        held = {row[0]: row[1] for row in self.alice.call("GET", "/v1/conversations")}
        welcomed: dict[bytes, int] = {}
        after = 0
        while page := self.bob.call("GET", f"/v1/inbox?after={after}")[0]:
            welcomed.update({row[2]: row[5] for row in page})
            after = page[-1][0]
        for conversation, n in self.groups.items():
            assert held[conversation] >= n
            assert not n or welcomed[conversation] == n

    def _check_growth(self, name: str) -> None:
        size = self.seen[name].size if name in self.seen else 0

        def published() -> Checkpoint | None:
            status, note, _ = self.domain.http.raw("GET", f"/{name}/checkpoint")
            return self._checkpoint(note, name) if status == 200 else None

        new = until(published)
        assert new.size >= size
        if size:
            [path] = self.domain.http.array(
                "GET", f"/v1/{name}/consistency?from={size}&to={new.size}"
            )
            verify_consistency(size, self.seen[name].root, new.size, new.root, path)
        self.seen[name] = new

    def _checkpoint(self, note: bytes, name: str) -> Checkpoint:
        keys, witnesses = (
            log_keys(self.domain.identity[name]),
            [w.signer.keys for w in self.domain.witnesses],
        )
        verify_cosigned(note, keys, witnesses, 3)
        return parse_checkpoint(parse_note(note).text)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    with running(tmp_path_factory.mktemp("kill")) as domain:
        yield Traffic(domain)


WRITES = [
    "account",
    "conversation",
    "commit",
    "frames",
    "window",
    "blob",
    "blob.append",
    "blob.finish",
    "ledger-statement",
    "key-packages",
    "claim",
    "profile",
    "holder-key",
    "ledger-key",
    "statement",
    "proposal",
    "notice",
    "clock",
    "period",
    "directory-root",
    "tick",
    "listing",
    "log.row",
    "log.tile",
    "log.checkpoint",
    "ledger.row",
    "ledger.tile",
    "ledger.checkpoint",
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", WRITES)
def test_killed_at(traffic: Traffic, name: str, when: str) -> None:
    """The process dies at its next such write; traffic goes on until it does."""
    domain = traffic.domain
    domain.process.kill()
    domain.http.close()
    if name == "ledger-key":  # it is drawn once a quarter, so let there be a new one
        traffic.draft += 1
    try:
        domain.restart(f"{name}:{when}")
        for _ in range(10):
            traffic.go()
            time.sleep(0.2)
    except (*GONE, RuntimeError):
        pass
    assert domain.process.ended() == -9
    domain.restart()
    traffic.check()
    traffic.clock()  # a new period: how often a window may be opened again in one is bounded (L5)


def kill_at_random_moments(traffic: Traffic, seeds: range) -> None:
    """Kills at moments that nobody chose, one a seed, and after each all that is new is there."""
    domain = traffic.domain
    for seed in seeds:
        timer = threading.Timer(random.Random(seed).uniform(0.05, 1.5), domain.process.child.kill)
        timer.start()
        try:
            while True:
                traffic.go()
        except (*GONE, HttpRefusal):
            pass
        timer.join()
        domain.process.ended()
        domain.restart()
        traffic.check()
        traffic.clock()
    traffic.check_ledger()
    traffic.check(everything=True)


def test_killed_at_any_time(traffic: Traffic) -> None:
    kill_at_random_moments(traffic, range(5))


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_killed_a_hundred_times(traffic: Traffic) -> None:
    kill_at_random_moments(traffic, range(5, 105))


def test_a_restored_backup_is_not_served(traffic: Traffic, tmp_path: Path) -> None:
    """T25: a database from before what the witnesses have cosigned. The service says so and ends;
    it never signs a second history.
    """
    domain = traffic.domain
    domain.process.stop()
    backup = tmp_path / "backup"
    subprocess.run(["cp", "-a", str(domain.data), str(backup)], check=True)
    domain.restart()
    traffic.go()
    traffic.check(everything=True)
    domain.process.stop()
    subprocess.run(["rm", "-rf", str(domain.data)], check=True)
    subprocess.run(["cp", "-a", str(backup), str(domain.data)], check=True)
    domain.restart()
    assert domain.process.ended(20) == 70
    assert "T25" in domain.process.output
