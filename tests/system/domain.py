"""A whole domain on this machine for tests: the real service in a process of its own, and witnesses
that cosign.

The institutions are those of tests/vectors/world.py. What they do here by hand is what their
programs do for real; tests that are about those programs start them instead.
"""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.vectors import world

from counterseal.protocol import cbor, charter, keyset, verified_charter, vkey
from counterseal.protocol.cose import sign
from counterseal.protocol.keyset import quarter_of
from counterseal.tlog.checkpoint import log_keys
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.witness import FileWitnessStore, Witness

SERVE = """
import sys
from pathlib import Path
from counterseal.service.server import run
sys.exit(run(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]), sys.stderr))
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Cosigner:
    """One witness in a thread: it cosigns what follows from what it has cosigned, and nothing
    else.
    """

    def __init__(self, name: str, folder: Path) -> None:
        vkey_name = f"{name.lower()}.example"
        mldsa44 = MLDSA44PrivateKey.from_seed_bytes(world.seed("mldsa44 " + vkey_name))
        self.signer = WitnessSigner(vkey_name, world.ed25519(vkey_name), mldsa44)
        self.logs: dict = {}
        self.notices: list[tuple[int, bytes]] = []
        self.witness = Witness(
            self.signer, self.logs, FileWitnessStore(folder), lambda: int(time.time())
        )
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign] # a service that was killed has hung up
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _handler(self):
        cosigner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                answer = cosigner.witness.handle("POST", self.path, body)
                self._send(answer.status, answer.content_type, answer.body)

            def do_GET(self) -> None:
                if self.path.startswith("/notices?after="):
                    after = int(self.path.partition("=")[2])
                    page = [[n, sealed] for n, sealed in cosigner.notices if n > after]
                    self._send(200, "application/cbor", cbor.encode(page))
                else:
                    answer = cosigner.witness.handle("GET", self.path, b"")
                    self._send(answer.status, answer.content_type, answer.body)

            def _send(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Domain:
    """The service, its witnesses, its charter and its keysets."""

    def __init__(
        self,
        folder: Path,
        *,
        demonstration: bool = True,
        clock: int = world.T0,
        period: int = world.HOUR,
    ) -> None:
        self.folder = folder
        self.demonstration = demonstration
        self.start_clock = clock if demonstration else int(time.time()) // world.DAY * world.DAY
        self.period = period
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = folder / "service"
        self.process: subprocess.Popen | None = None
        self.cosigners = [Cosigner(name, folder / "witness" / name) for name in world.WITNESSES]
        self.charters: list[verified_charter.VerifiedCharter] = []
        self.keysets: list[keyset.VerifiedKeyset] = []

    def start(self) -> None:
        """Makes the domain and opens it: service, charter, first keyset."""
        from counterseal.service import identity

        made = identity.create(self.data, world.DOMAIN)
        (self.data / "settings.toml").write_text("[log]\ndirectory_root_delay = 0.3\n")
        for cosigner in self.cosigners:
            for signer in (made.log, made.ledger):
                cosigner.logs[signer.keys.name] = log_keys(signer.keys.texts())
        self.run()
        self.publish_charter(self.first_charter(made))
        self.publish_keyset(quarter_of(self.start_clock))

    def run(self, **environment: str) -> None:
        """Starts the service's process and waits until it answers."""
        command = [sys.executable, "-c", SERVE, str(self.data), str(self.port)]
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **environment}
            )
        for _ in range(200):
            if self.process.poll() is not None:
                raise AssertionError((self.folder / "service.log").read_text()[-4000:])
            try:
                urllib.request.urlopen(self.url + "/v1/health", timeout=2).read()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(
            "the service does not answer: " + (self.folder / "service.log").read_text()[-4000:]
        )

    def kill(self) -> None:
        """Ends the service as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for cosigner in self.cosigners:
            cosigner.stop()

    def first_charter(self, made) -> charter.Charter:
        vkeys = [charter.VkeyPair(*signer.keys.texts()) for signer in (made.log, made.ledger)]
        members = tuple(
            charter.Witness(
                name,
                world.signer(name).public,
                world.vkeys(cosigner.signer.keys.name, vkey.WITNESS_ED25519),
                cosigner.url,
            )
            for name, cosigner in zip(world.WITNESSES, self.cosigners, strict=True)
        )
        base = world.CHARTER
        return msgspec.structs.replace(
            base,
            demonstration=self.demonstration,
            witnesses=charter.Witnesses(2, 3, members),
            log=charter.Log(base.log.origin, vkeys[0]),
            ledger=msgspec.structs.replace(base.ledger, vkeys=vkeys[1], tick=1),
            period_length=self.period,
            activation_delay=0,
            urgent=msgspec.structs.replace(base.urgent, max_period=6 * world.HOUR),
            valid_from=self.start_clock,
            valid_until=self.start_clock + 366 * world.DAY,
        )

    def next_charter(self, **changes) -> charter.Charter:
        """A successor of the newest charter."""
        before = self.charters[-1]
        return msgspec.structs.replace(
            before.charter, version=before.charter.version + 1, previous=before.digest, **changes
        )

    def publish_charter(self, record: charter.Charter) -> verified_charter.VerifiedCharter:
        statement = world.statement(record, *world.QUORUM)
        verified = verified_charter.ReceivedCharter.decode(statement).check(
            self.charters[-1] if self.charters else None
        )
        self.ask("POST", "/v1/charters", [statement])
        self.charters.append(verified)
        return verified

    def publish_keyset(self, quarter: int) -> keyset.VerifiedKeyset:
        judge = self.charters[-1]
        for position, name in enumerate(world.ALL_HOLDERS):
            xwing = world.sealing(f"{name} {quarter} {judge.charter.version}").public
            record = keyset.HolderKey(world.DOMAIN, judge.digest, quarter, position, xwing)
            self.ask("POST", "/v1/keysets/holder-keys", [world.statement(record, name)])
        (payload,) = self.ask("GET", f"/v1/keysets/draft/{quarter}")
        statement = sign([world.signer(name) for name in world.KEYSET_SIGNERS], payload)
        verified = keyset.ReceivedKeyset.decode(statement).check(
            judge, self.keysets[-1] if self.keysets else None
        )
        self.ask("POST", "/v1/keysets", [statement])
        self.keysets.append(verified)
        return verified

    @property
    def genesis(self) -> str:
        return self.charters[0].digest.hex()

    def clock(self) -> int:
        return self.ask("GET", "/v1/clock")[0]

    def step(self, now: int) -> None:
        """Steps a demonstration's clock; answers when the roots of the periods before are
        cosigned.
        """
        token = (self.data / "operator.token").read_text().strip()
        self.ask("POST", "/v1/operator/clock", [now], {"Authorization": f"Bearer {token}"})

    def next_period(self, count: int = 1) -> int:
        now = (self.clock() // self.period + count) * self.period
        self.step(now)
        return now

    def ask(self, method: str, path: str, body=None, headers=None):
        data = None if body is None else cbor.encode(body)
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers=headers or {}
        )
        try:
            answer = urllib.request.urlopen(request, timeout=30).read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None
        return cbor.decode(answer, 1 << 26)
