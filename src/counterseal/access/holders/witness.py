"""The witness: a daemon that weighs nothing. It cosigns one history, keeps keys from being left
out, and gives shares for what is logged.

It signs nothing that it has not first written down: the head it cosigned, the key it drew, the
release it made. Stopped at any point and started again, it goes on from what is on its disk and
never tells two stories.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from counterseal import state_files
from counterseal.access.common import keysets, signing, store
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient, post_statement
from counterseal.access.common.ledger_copy import Fresh
from counterseal.access.common.new_home import cosigner_of, create_home
from counterseal.access.common.pin import pinned_charter
from counterseal.access.common.rules import Rules, keys_of_ledger, keys_of_log
from counterseal.access.holders.holder import Case, Holder
from counterseal.access.holders.notices import NoticeStore
from counterseal.access.holders.witness_server import WitnessServer, serve
from counterseal.protocol.charter import Charter
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import (
    BadInput,
    Conflict,
    CountersealError,
    FatalError,
    NotFound,
    Refused,
    Unavailable,
)
from counterseal.protocol.keyset import HolderKey, Keyset, check_holder_key
from counterseal.protocol.notice import seal_dummy
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.tlog.checkpoint import Checkpoint, KeyPair
from counterseal.tlog.cosigner import Cosigner, Response
from counterseal.tlog.errors import LedgerError, TlogError
from counterseal.tlog.witness_state import FileWitnessStore
from counterseal.wire.notices import NOTICE_POST, PostNotice

DEFAULT_LISTEN = "127.0.0.1:8460"


def create(
    path: Path,
    name: str,
    listen: str = DEFAULT_LISTEN,
    url: str | None = None,
    passphrase: bytes | None = None,
) -> InstitutionHome:
    """A new witness's home: institution, cosigning and reader keys, and its card. `url` is where
    others reach it.
    """
    host, port = address(listen)
    home = create_home(
        path, "witness", name, url=url or f"http://{host}:{port}", passphrase=passphrase
    )
    state_files.write_state(path / "listen", listen.encode(), mode=state_files.PUBLIC)
    return home


def address(listen: str) -> tuple[str, int]:
    """`HOST:PORT` as a pair. Raises `BadInput`."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise BadInput(f"{listen!r} is not HOST:PORT, such as {DEFAULT_LISTEN}.")
    return host.strip("[]"), int(port)


class WitnessDaemon:
    """One witness at work: what its HTTP server answers, and its own rounds. Safe to call from
    several threads.
    """

    def __init__(
        self,
        home: InstitutionHome,
        service_url: str | None = None,
        clock: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self.home, self.clock = home, clock
        self._service_url = service_url
        self._logs: dict[str, KeyPair] = {}
        self.heads = FileWitnessStore(home.path / "heads")
        self._cosigner = Cosigner(
            cosigner_of(home.keys, home.card.name), self._logs, self.heads, clock, self._gate
        )
        self.rules = Rules(home, clock)
        # rules, keysets and rounds; cosigning has its own lock and never waits for this one
        self.lock = threading.RLock()
        self.trouble: str | None = None
        place = home.path / "holding"
        self.holding: str | None = place.read_text(encoding="utf-8") if place.exists() else None
        self.box = NoticeStore(home)
        # its source is set each round
        self._holder = Holder(home, InstitutionClient("http://127.0.0.1"), clock, self.rules)

    # cosigning
    def cosign(self, method: str, path: str, body: bytes) -> Response:
        """The tlog-witness interface. A witness whose owner has signed no charter yet knows no log
        (404).
        """
        if not self._logs:
            self._learn_logs()
        return self._cosigner.handle(method, path, body)

    def _learn_logs(self) -> None:
        try:
            charter = pinned_charter(self.home)
        except NotFound:
            return
        self._know(charter)

    def _know(self, charter: Charter) -> None:
        self._logs[charter.log.origin] = keys_of_log(charter)
        self._logs[charter.ledger.origin] = keys_of_ledger(charter)

    def _gate(self, checkpoint: Checkpoint) -> None:
        """A log that refuses a notice that is due gets no more cosignatures: nobody can silence it
        and go on.
        """
        if self.holding is not None:
            raise TlogError("T19", f"{checkpoint.origin}: {self.holding}")

    # keysets
    def take_holder_key(self, statement: bytes) -> int:
        """Keeps a holder's delivered key for good; gives its position. Raises `Conflict` for a
        second, other key.
        """
        record = HolderKey.decode(ReceivedSign.decode(statement, HolderKey.limit).payload)
        charter = self._charter(record.charter_digest)
        check_holder_key(statement, charter, record.quarter, record.position)
        place = self._delivered(charter, record.quarter) / str(record.position)
        if (
            not state_files.write_first(place, statement)
            and store.read(place, "holder key") != statement
        ):
            raise Conflict(
                f"Position {record.position} has delivered another key for quarter "
                f"{record.quarter} already."
            )
        return record.position

    def signed_keyset(self, charter_digest: bytes, quarter: int) -> bytes:
        """The keyset's draft with this witness's signature, made when no key that was delivered is
        missing from it.

        Raises `Refused` K1 to K8, `NotFound`, `Unavailable`.
        """
        with self.lock:
            charter = self._charter(charter_digest)
            self.rules.sync(self.service)
            held = self.rules.trusted.keyset_for(charter_digest, quarter)
            if held is not None:
                return held.statement
            self._deliver_own(charter, quarter)
            payload = keysets.draft(self.service, quarter)
            folder = self._delivered(charter, quarter)
            delivered = [store.read(place, "holder key") for place in sorted(folder.glob("[0-9]*"))]
            keysets.check_draft(self.home, self.rules, payload, quarter, delivered)
            return signing.add(payload, self.home.signer, Keyset.limit)

    def _deliver_own(self, charter: VerifiedCharter, quarter: int) -> None:
        """Draws and delivers this witness's own key for the quarter, once."""
        done = self._delivered(charter, quarter) / "own"
        if done.exists():
            return
        keysets.deliver(self.home, charter, quarter, self.service)
        state_files.write_state(done, b"", mode=state_files.PUBLIC)

    def _delivered(self, charter: VerifiedCharter, quarter: int) -> Path:
        return self.home.path / "delivered" / f"{charter.digest.hex()}.{quarter}"

    def _charter(self, digest: bytes) -> VerifiedCharter:
        try:
            # without the lock: two witnesses that deliver to each other must not wait for each
            # other
            return self.rules.charter(digest)
        except NotFound:
            with self.lock:
                self.rules.sync(self.service)
            return self.rules.charter(digest)

    # what else the server answers
    def notices_after(self, index: int) -> list[tuple[int, bytes]]:
        """Published notices, dummies among them."""
        return self.box.after(index)

    def health(self) -> str | None:
        """What is wrong, in a sentence."""
        return self.holding or self.trouble

    @property
    def service(self) -> InstitutionClient:
        """The domain's service. Raises `NotFound` before this home has been told its address."""
        url = self._service_url or self.home.service_url()
        return InstitutionClient(url, self.home.domain() or "", self.home.signer)

    # the witness's rounds
    def round(self) -> None:
        """One round of this witness's own work. Raises `CountersealError` when something is refused
        or does not answer.
        """
        with self.lock:
            self.rules.sync(self.service)
            self._know(self.rules.in_force().charter)
            for folder in sorted((self.home.path / "delivered").glob("*.*")):
                digest, _, quarter = folder.name.partition(".")
                self._deliver_own(self.rules.charter(bytes.fromhex(digest)), int(quarter))
            if not self.rules.keysets:
                return
            self._holder.source = self.service
            fresh = self._at_own_head()
            refused: CountersealError | None = None
            for case in list(self._holder.cases(fresh)):
                try:
                    self._release(fresh, case)
                    self._holder.hand_over(self.service, fresh, case)
                except CountersealError as error:
                    # one warrant that fails a check holds up neither the others nor anybody's
                    # notice
                    refused = error
            self._publish(fresh)
            if refused is not None:
                raise refused

    def _at_own_head(self) -> Fresh:
        """The ledger at this witness's own latest head: the log must have published what this
        witness cosigned.
        """
        ledger = self.rules.in_force().charter.ledger
        for attempt in range(20):
            head = self.heads.load(ledger.origin)
            try:
                return self._holder.sync(head.size if head else 0)
            except LedgerError as error:
                if error.rule != "G3" or attempt == 19:
                    raise
                time.sleep(0.1)  # cosigned a moment ago, published in a moment
        raise Unavailable("The ledger's checkpoint stays behind this witness's own head.")

    def _release(self, fresh: Fresh, case: Case) -> None:
        """Releases each listing that the custodians' quorum has released in the ledger: no
        weighing, every check (R10).
        """
        for digest in case.to_release:
            try:
                case.warrant.charter.tree.custodian_quorum(case.warrant.access.released_by(digest))
            except Refused:
                continue
            listing = self._holder.verify(fresh, case, digest)
            held = self._holder.held_release(case, digest)
            if held is None:
                in_force = self.rules.in_force().charter
                notices = self.box.seal(
                    self.service, listing, case.position, self.clock(), in_force
                )
                held = self._holder.release(case, listing, notices)
            post_statement(self.service, held)

    def _publish(self, fresh: Fresh) -> None:
        """A batch at each beat of the cadence: due notices first, dummies for the rest. A refused
        one stops the cosigning.
        """
        now, rule = self.clock(), self.rules.in_force().charter.notices
        if now < self.box.next_batch():
            return
        position = self.rules.in_force().positions.get(self.home.signer.kid)
        due = [] if position is None else self.box.due(fresh.state, position, now)
        batch = [(sealed, digest, moment) for moment, digest, sealed in due[: rule.per_cadence]]
        for sealed, digest, moment in batch:
            # Silence is a refusal too, once it has lasted: a service that is down does not go on
            # getting its log cosigned.
            self._publish_one(
                sealed, digest, position or 0, patient=now < moment + max(60, 3 * rule.cadence)
            )
        for _ in range(rule.per_cadence - len(batch)):
            self._publish_one(
                seal_dummy(self.rules.latest.charter.domain).encode(),
                None,
                position or 0,
                patient=True,
            )
        self.box.set_next(max(self.box.next_batch(), now - now % rule.cadence) + rule.cadence)

    def _publish_one(
        self, sealed: bytes, digest: bytes | None, position: int, *, patient: bool
    ) -> None:
        try:
            self.service.post(NOTICE_POST, PostNotice(sealed, position))
        except CountersealError as error:
            if digest is not None and not (patient and isinstance(error, Unavailable)):
                self._hold(
                    f"The service refuses a notice that is due ({error.code}); this witness "
                    "cosigns nothing more until it is taken."
                )
            raise
        self.box.published(sealed, digest)
        if digest is not None:
            self._hold(None)

    def _hold(self, reason: str | None) -> None:
        """Durable, so that a restart does not make this witness forget why it stopped."""
        place = self.home.path / "holding"
        if reason is not None:
            state_files.write_state(place, reason.encode(), mode=state_files.PUBLIC)
        else:
            place.unlink(missing_ok=True)
        self.holding = reason

    def rounds(self, stop: threading.Event, fatal: Callable[[FatalError], None]) -> None:
        """Rounds at the ledger's tick until `stop` is set; what goes wrong is said in `health` and
        tried again.
        """
        while not stop.wait(self._interval()):
            try:
                self.round()
                self.trouble = None
            except (Unavailable, NotFound) as error:
                self.trouble = error.message
            except CountersealError as error:
                self.trouble = f"{error.code}: {error.message}"
            except FatalError as error:
                fatal(error)
                return

    def _interval(self) -> float:
        with self.lock:
            newest = self.rules.trusted.newest
            tick = newest.charter.ledger.tick if newest else 1
        return float(min(max(tick, 1), 30)) / 2


def run(
    home: InstitutionHome,
    listen: str | None = None,
    service_url: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Runs a witness until it is stopped. `ready` is told the address as soon as it answers. Raises
    `FatalError`.
    """
    host, port = address(listen or store.read(home.path / "listen", "witness's address").decode())
    daemon = WitnessDaemon(home, service_url)
    server = WitnessServer((host, port), daemon)
    stop = threading.Event()
    if ready is not None:
        ready(f"http://{host}:{server.server_address[1]}")
    try:
        serve(server, lambda: daemon.rounds(stop, server.stop))
    finally:
        stop.set()
