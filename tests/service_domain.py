"""A whole small domain for tests of the service: its real process, witnesses that cosign over HTTP,
institutions, and devices.

Witnesses here decide by tlog's own `Witness`; only the HTTP around it is the tests'. Devices use
the compiled core.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from counterseal.core import _core
from counterseal.protocol import account, cbor, charter, keyset
from counterseal.protocol.calendars import Calendar
from counterseal.protocol.cbor import tag
from counterseal.protocol.cose import sign
from counterseal.protocol.keys import InstitutionSigner, SealingKey
from counterseal.protocol.sign1 import sign1
from counterseal.tlog.checkpoint import log_keys
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.witness import FileWitnessStore, Witness

DOMAIN = "chat.example.org"
LENGTH = 3600
DAY0 = 1_767_225_600  # 2026-01-01, where a demonstration's clock begins


class Refusal(Exception):
    """An answer that is an error: its status, code and message."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        try:
            said = json.loads(body)
            self.code, self.message = said["code"], said["message"]
        except ValueError:
            value = cbor.decode(body, 1 << 20)
            self.code, self.message = str(value[0]) if isinstance(value, tuple) else "", repr(value)
        super().__init__(f"{status} {self.code}: {self.message}")


class Process:
    """The service as a child process."""

    def __init__(self, directory: Path, failpoint: str | None = None) -> None:
        self.directory = directory
        environment = {**os.environ, "PYTHONWARNINGS": "default"}
        environment.pop("COUNTERSEAL_FAILPOINT", None)
        if failpoint is not None:
            environment["COUNTERSEAL_FAILPOINT"] = failpoint
        address = directory / "address"
        address.unlink(missing_ok=True)
        self.log = (directory / "stderr").open("ab")
        program = [sys.executable, "-c", "from counterseal.cli.main import main; main()"]
        arguments = ["serve", "--data", str(directory), "--port", "0"]
        self.child = subprocess.Popen(
            [*program, *arguments], env=environment, stderr=self.log, stdout=self.log
        )
        deadline = time.monotonic() + 20
        while not address.exists():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.log.close()
                raise RuntimeError(
                    f"the service did not start: {(directory / 'stderr').read_text()[-2000:]}"
                )
            time.sleep(0.01)
        self.url = address.read_text().strip()

    def stop(self) -> int:
        """Ends it gracefully; gives its exit status."""
        self.child.terminate()
        status = self.child.wait(20)
        self.log.close()
        return status

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.child.kill()
        self.child.wait(20)
        self.log.close()


class Http:
    """One connection to the service, kept alive; made again when it was lost."""

    def __init__(self, url: str) -> None:
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, Any]:
        """Status, body and headers of one request."""
        # the service closes what is idle for longer
        if self._connection is None or time.monotonic() - self._used > 30:
            self.close()
            self._connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        self._used = time.monotonic()
        try:
            self._connection.request(method, path, body or None, headers or {})
            answer = self._connection.getresponse()
            return answer.status, answer.read(), answer.headers
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise

    def array(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The array answered. Raises `Refusal`."""
        status, data, _ = self.raw(
            method, path, b"" if body is None else cbor.encode(body), headers
        )
        if status != 200:
            raise Refusal(status, data)
        return cbor.decode(data, 1 << 26)

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TestWitness:
    """A witness over HTTP."""

    __test__ = False

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.key = InstitutionSigner.generate()
        self.signer = WitnessSigner(
            name, Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate()
        )
        self.directory = directory
        self.down = False
        self.sizes: list[tuple[str, int]] = []
        self.logs: dict[str, Any] = {}
        self.witness: Witness | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                if outer.down or outer.witness is None:
                    self.send_error(503)
                    return
                response = outer.witness.handle(self.command, self.path, body)
                self.send_response(response.status)
                self.send_header("Content-Type", response.content_type)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def know(self, pairs: dict[str, Any]) -> None:
        """Tells it the logs."""
        self.witness = Witness(
            self.signer, pairs, FileWitnessStore(self.directory), lambda: int(time.time())
        )

    def close(self) -> None:
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()


class Domain:
    """A domain with its institutions; `process` is its running service."""

    def __init__(
        self,
        directory: Path,
        *,
        demonstration: bool = True,
        failpoint: str | None = None,
        tick: int = 1,
    ) -> None:
        self.directory = directory
        self.data = directory / "service"
        self.people: list[Person] = []
        self.demonstration = demonstration
        self.tick = tick
        self.custodians = [[InstitutionSigner.generate() for _ in range(2)] for _ in range(2)]
        self.witnesses = [
            TestWitness(f"witness-{i}.example", directory / f"w{i}") for i in range(2)
        ]
        for i in range(2):
            (directory / f"w{i}").mkdir()
        self.requester, self.approver = InstitutionSigner.generate(), InstitutionSigner.generate()
        self.opener, self.opener_key, self.reader_key = (
            InstitutionSigner.generate(),
            SealingKey.generate(),
            SealingKey.generate(),
        )
        self.holder_seals: dict[int, SealingKey] = {}
        init = ["service", "init", "--data", str(self.data), "--domain", DOMAIN, "--json"]
        program = [sys.executable, "-c", "from counterseal.cli.main import main; main()"]
        self.identity = json.loads(
            subprocess.run([*program, *init], check=True, capture_output=True).stdout
        )
        self.token = (self.data / "operator.token").read_text().strip()
        pairs = {
            keys.name: keys
            for keys in (log_keys(self.identity["log"]), log_keys(self.identity["ledger"]))
        }
        for witness in self.witnesses:
            witness.know(pairs)
        self.process = Process(self.data, failpoint)
        self.http = Http(self.process.url)

    @property
    def holders(self) -> list[InstitutionSigner]:
        """Holders' signing keys by position."""
        return [
            *(member for body in self.custodians for member in body),
            *(witness.key for witness in self.witnesses),
        ]

    def make_charter(
        self, version: int = 1, previous: bytes | None = None, **changes: Any
    ) -> charter.Charter:
        """A charter record of this domain."""
        bodies = tuple(
            charter.Body(
                f"body {j}",
                1,
                tuple(
                    charter.Member(f"member {j}.{m}", key.public) for m, key in enumerate(members)
                ),
            )
            for j, members in enumerate(self.custodians)
        )
        witnesses = tuple(
            charter.Witness(w.name, w.key.public, charter.VkeyPair(*w.signer.keys.texts()), w.url)
            for w in self.witnesses
        )
        log, ledger = (charter.VkeyPair(*self.identity[name]) for name in ("log", "ledger"))
        values: dict[str, Any] = {
            "domain": DOMAIN, "version": version, "previous": previous, "demonstration": self.demonstration,
            "custodians": charter.Custodians(2, bodies), "witnesses": charter.Witnesses(1, 2, witnesses),
            "issuers": (
                charter.Issuer("prosecutor", "office", ("requester",), self.requester.public),
                charter.Issuer("judge", "court", ("approver",), self.approver.public),
            ),
            "authorisation": "double-lock", "grounds": (charter.Ground("serious crime", True, "words of the law"),),
            "caps": charter.Caps(1000, 10, 365), "urgent": charter.Urgent(86_400, 3_600, "court"),
            "calendars": (Calendar("court", 0, (), ()),),
            "notices": charter.Notices(60, 60, 2, 5, 2, None), "retention": 86_400 * 90, "period_length": LENGTH,
            "disclosure": (), "log": charter.Log(self.identity["log_origin"], log),
            "ledger": charter.Ledger(self.identity["ledger_origin"], ledger, self.tick, 4, 16_368, 3_600, 86_400),
            "activation_delay": 0, "openers": (charter.Opener("opener", self.opener.public, self.opener_key.public),),
            "readers": (charter.Reader("auditor", self.reader_key.public),),
            "valid_from": DAY0, "valid_until": DAY0 + 10 * 365 * 86_400,
        }  # fmt: skip
        return charter.Charter(**{**values, **changes})

    def publish_charter(self, record: charter.Charter | None = None) -> bytes:
        """Signs a charter with everybody and publishes it; gives its digest."""
        self.record = record or self.make_charter()
        self.charter_statement = sign(self.holders, self.record.encode())
        digest, _ = self.http.array("POST", "/v1/charters", [self.charter_statement])
        self.charter_digest: bytes = digest
        return digest

    @property
    def quarter(self) -> int:
        """The quarter of the domain's clock."""
        return keyset.quarter_of(self.now())

    def publish_keyset(self, quarter: int | None = None) -> bytes:
        """Every holder's key, the draft, everybody's signature; gives the keyset's digest."""
        quarter = quarter or self.quarter
        for position, holder in enumerate(self.holders):
            seal = self.holder_seals[position] = SealingKey.generate()
            key = keyset.HolderKey(DOMAIN, self.charter_digest, quarter, position, seal.public)
            self.http.array("POST", "/v1/keysets/holder-keys", [sign([holder], key.encode())])
        [payload] = self.http.array("GET", f"/v1/keysets/draft/{quarter}")
        digest, _ = self.http.array("POST", "/v1/keysets", [sign(self.holders, payload)])
        self.keyset_digest: bytes = digest
        self.keyset_quarter = quarter
        return digest

    def now(self) -> int:
        """The domain's clock."""
        return int(self.http.array("GET", "/v1/clock")[0])

    def step(self, now: int) -> None:
        """Steps a demonstration's clock."""
        self.http.array(
            "POST", "/v1/operator/clock", [now], {"Authorization": f"Bearer {self.token}"}
        )

    def institution(
        self, signer: InstitutionSigner, method: str, path: str, body: Any = None
    ) -> Any:
        """A request signed by an institution."""
        data = b"" if body is None else cbor.encode(body)
        moment, nonce = int(time.time() * 1000), os.urandom(16)
        signed = cbor.encode(
            [
                tag("institution-request"),
                DOMAIN,
                method,
                path,
                moment,
                nonce,
                hashlib.sha256(data).digest(),
            ]
        )
        ed25519, mldsa65 = signer.sign(signed, signed)
        words = ".".join((b64(signer.kid), str(moment), b64(nonce), b64(ed25519), b64(mldsa65)))
        return self.http.array(
            method, path, body, {"Authorization": f"Counterseal-Institution {words}"}
        )

    def restart(self, failpoint: str | None = None) -> None:
        """Starts the service again, after it was stopped or killed."""
        self.http.close()
        self.process = Process(self.data, failpoint)
        self.http = Http(self.process.url)
        for person in self.people:
            person.http.close()
            person.http = Http(self.process.url)

    def ready(self) -> None:
        """Charter and keyset published."""
        self.publish_charter()
        self.publish_keyset()

    def close(self) -> None:
        """Ends everything."""
        for person in self.people:
            person.http.close()
            person.core.close()
        self.http.close()
        if self.process.child.poll() is None:
            self.process.kill()
        self.process.log.close()
        for witness in self.witnesses:
            witness.close()


class Person:
    """An account with one device, its groups in a real encrypted database."""

    def __init__(self, domain: Domain, handle: str, *, register: bool = True) -> None:
        self.domain = domain
        self.handle = handle
        self.account_key, seed = Ed25519PrivateKey.generate(), os.urandom(32)
        self.device_private = Ed25519PrivateKey.from_private_bytes(seed)
        self.device = self.device_private.public_key().public_bytes_raw()
        self.notice = SealingKey.generate()
        record = account.Account(
            DOMAIN,
            self.account_key.public_key().public_bytes_raw(),
            self.notice.public,
            os.urandom(16),
            int(time.time()),
        )
        self.account = record.digest()
        self.account_statement = sign1(self.account_key, record.encode())
        first = account.Device(self.account, self.account, 1, self.device, int(time.time()))
        self.device_statement: Any = cbor.decode(
            account.sign_link(self.account_key, first, self.device_private), 8192
        )
        self.head, self.number = first.digest(), 1
        self.http = Http(domain.process.url)
        domain.people.append(self)
        self.core = _core.Device.create(str(domain.directory / f"{handle}.db"), os.urandom(32))
        self.core.set_identity(self.account, seed)
        if register:
            self.register()

    def authorization(
        self,
        method: str,
        path: str,
        data: bytes,
        moment: int | None = None,
        nonce: bytes | None = None,
    ) -> str:
        """The header of one request."""
        moment, nonce = moment or int(time.time() * 1000), nonce or os.urandom(16)
        signed = cbor.encode(
            [tag("request"), DOMAIN, method, path, moment, nonce, hashlib.sha256(data).digest()]
        )
        signature = self.device_private.sign(signed)
        words = (b64(self.account), b64(self.device), str(moment), b64(nonce), b64(signature))
        return f"Counterseal-Device {'.'.join(words)}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A request signed by the device."""
        data = b"" if body is None else cbor.encode(body)
        return self.http.array(
            method, path, body, {"Authorization": self.authorization(method, path, data)}
        )

    def register(self) -> int:
        """Makes the account; gives the log index."""
        body = [self.handle, self.account_statement, list(self.device_statement)]
        got, index = self.call("POST", "/v1/accounts", body)
        assert got == self.account
        return int(index)

    def use_keyset(self) -> None:
        """Tells the core of the domain's newest keyset."""
        domain = self.domain
        keys = [domain.holder_seals[i].public for i in range(len(domain.holders))]
        self.core.register_keyset(
            DOMAIN,
            domain.charter_digest,
            domain.keyset_digest,
            domain.record.tree.encode(),
            keys,
            domain.record.period_length,
        )

    def packages(self, count: int = 5) -> None:
        """Uploads key packages."""
        made = self.core.key_packages(count, False, _core.DEFAULT_SUITE)
        made += self.core.key_packages(1, True, _core.DEFAULT_SUITE)
        self.call("POST", "/v1/key-packages", [made])

    def create(self) -> bytes:
        """A conversation of one; gives its id."""
        domain, conversation = self.domain, os.urandom(16)
        self.use_keyset()
        info = self.core.group_create(
            conversation,
            _core.DEFAULT_SUITE,
            domain.charter_digest,
            domain.keyset_quarter,
            domain.keyset_digest,
        )
        assert self.call(
            "POST", "/v1/conversations", [info, self.core.group_tree(conversation)]
        ) == (conversation,)
        return conversation

    def add(self, conversation: bytes, *others: Person) -> int:
        """Adds others' devices; gives the commit's n."""
        claimed = self.call("POST", "/v1/key-packages/claim", [[other.device for other in others]])
        commit = self.core.group_commit(conversation, [package for _, package in claimed], [], None)
        welcome = [[other.device for other in others], commit.welcome, commit.tree]
        [n] = self.call(
            "POST",
            f"/v1/conversations/{conversation.hex()}/commits",
            [commit.epoch, commit.message, welcome],
        )
        self.core.group_merge(conversation)
        return int(n)

    def join(self, after: int = 0) -> tuple[bytes, int]:
        """Takes the newest Welcome; gives the conversation and the commit's n."""
        self.use_keyset()
        *_, (_, _, conversation, welcome, tree, n) = self.call("GET", f"/v1/inbox?after={after}")[0]
        self.core.group_join(welcome, tree)
        self.core.group_accept(conversation)
        return conversation, n

    def open_window(self, conversation: bytes, serial: int = 1) -> Any:
        """Opens a window of the present period and uploads it."""
        now = self.domain.now()
        window = self.core.window_open(
            conversation, now - now % self.domain.record.period_length, serial
        )
        assert self.call(
            "POST", "/v1/windows", [window.label, window.roster, window.counterseal]
        ) == (window.window_id,)
        return window

    def seal(self, window: Any, text: str) -> bytes:
        """One sealed frame."""
        now = self.domain.now()
        content = cbor.encode([tag("content"), now * 1000, "text", text, []])
        return self.core.frame_seal(window.window_id, content).message

    def send(self, conversation: bytes, *messages: bytes) -> Any:
        """Posts frames."""
        return self.call("POST", f"/v1/conversations/{conversation.hex()}/frames", [list(messages)])

    def events(self, conversation: bytes, after: int = 0) -> Any:
        """A page of events."""
        return self.call(
            "GET", f"/v1/conversations/{conversation.hex()}/events?after={after}&limit=500"
        )


def eventually(ask: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `ask` gives once it gives something; refusals count as nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            given = ask()
            if given:
                return given
        except Refusal as refusal:
            if time.monotonic() > deadline:
                raise AssertionError(f"still refused: {refusal}") from None
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    """The status and code with which a call is refused."""
    try:
        given = call()
    except Refusal as refusal:
        return refusal.status, refusal.code
    raise AssertionError(f"it was taken: {given!r}")


def domain_in(directory: Path, **options: Any) -> Iterator[Domain]:
    """For fixtures: a domain that is closed in the end."""
    domain = Domain(directory, **options)
    try:
        yield domain
    finally:
        domain.close()
