"""The opener: fetches what was released under a warrant, opens it, and writes the evidence bag. It
decides nothing and signs a report.

Everything that comes from the service is checked here before it counts: the log and the ledger by
their cosigned checkpoints, the warrant by the ledger, each share by its hash in the counterseal
(S3), each window by the warrant's scope and its period root, each key by the label's commitment
(S5), each seal by being made again (S2). A holder whose signed share is false is named, also when
no quorum is left. The bag is written only if the check that its receivers run finds nothing wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from counterseal.access.common import signing
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient, post_statement
from counterseal.access.common.log_view import LogView
from counterseal.access.common.rules import Rules, keys_of_ledger, keys_of_log, keys_of_witnesses
from counterseal.access.common.sources import ask
from counterseal.access.openers.ledger import OpenedLedger, OpenerLedger, Prover, events_about
from counterseal.evidence.logged import Keys
from counterseal.evidence.messages import rfc3339
from counterseal.evidence.package import REPORT, Material, Package, Written
from counterseal.evidence.records import (
    AccountChain,
    BagAccounts,
    BagCharters,
    BagFrame,
    BagKeysets,
    BagPeriods,
    PlacedCharter,
    PlacedWindow,
    ProvedStatement,
    WindowFile,
)
from counterseal.evidence.shares import check_seal, quorum, sift, who
from counterseal.protocol import cbor
from counterseal.protocol.access import Access
from counterseal.protocol.cose import ReceivedSign, sign
from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.errors import (
    CountersealError,
    NotAuthorised,
    NotFound,
    Refused,
    Unavailable,
)
from counterseal.protocol.export import check_export
from counterseal.protocol.opened_shares import open_shares
from counterseal.protocol.release import Listing, SealedShares
from counterseal.protocol.report import Destruction, OpeningReport
from counterseal.protocol.tree import Tree
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.protocol.warrant import Warrant
from counterseal.protocol.window import Label
from counterseal.wire.accounts import ACCOUNT_CHAIN, ShownChainStatement
from counterseal.wire.ledger_tree import LEDGER_FILE
from counterseal.wire.log import LOG_FILE
from counterseal.wire.material import MATERIAL, SHARES, ListedMaterial

_PAGE = 50
_NOT_YET = 1 << 62  # since when a charter is in force that the log has not dated
_POLL = 1.0
Clock = Callable[[], int]
Teller = Callable[[str], None]


class SharesMissing(Unavailable):
    """Not enough holders have handed their shares over yet; the same call may succeed later."""

    default_code = "shares-missing"


class FalseShares(CountersealError):
    """Holders signed shares that are not the sealed ones, and those left are no quorum. The message
    names them.
    """

    default_code = "S3"


class Held(msgspec.Struct):
    """What holders handed over for one listing, by position: shares by window, and the signed
    statement. `refused` says what was no statement.
    """

    digest: bytes
    listing: Listing
    shares: dict[int, dict[bytes, bytes | None]]
    statements: dict[int, bytes]
    refused: list[str]


def warrant_digest(given: str) -> bytes:
    """A warrant's digest (32 bytes) from 64 hexadecimal digits or from a file that holds the
    warrant. Raises `NotFound`, `Refused`.
    """
    if len(given) == 64 and all(digit in "0123456789abcdef" for digit in given.lower()):
        return bytes.fromhex(given)
    try:
        data = Path(given).read_bytes()
    except OSError as error:
        raise NotFound(
            f"There is no warrant at {given} ({error.strerror}), nor is that a digest of 64 digits."
        ) from None
    return Warrant.decode(signing.payload_of(data, Warrant.limit)).digest()


class WarrantOpener:
    """One opener's work on one service. `tell` gets a sentence at each step."""

    def __init__(
        self,
        home: InstitutionHome,
        service: InstitutionClient,
        clock: Clock = lambda: int(time.time()),
        tell: Teller = lambda _: None,
    ) -> None:
        self.home, self.service, self._clock, self._tell = home, service, clock, tell
        self.rules = Rules(home, clock)
        self._ledger = OpenerLedger(self.rules, clock)
        self._custody: list[dict[str, Any]] = []
        self._roots: dict[int, bytes] = {}

    def sync(self) -> OpenedLedger:
        """Charters, keysets and the whole ledger up to a fresh checkpoint."""
        if self.home.pinned() is None:
            raise NotFound(
                f"{self.home.path} trusts no charter yet; accept the domain's first one with "
                "`counterseal charter sign --accept-only`."
            )
        self.rules.sync(self.service)
        return self._ledger.sync(self.service)

    def open(self, warrant: bytes, place: Path, *, wait: bool = False) -> Written:
        """Opens what was released under the warrant (by digest) into a new bag at `place`, and
        posts the opening report.

        With `wait` it waits for shares that are still to come. Raises `SharesMissing`,
        `FalseShares`, `Unsound`, `NotAuthorised` O1, `Refused` O4, `Conflict` for a place that is
        taken.
        """
        told, access, held = self._await(warrant, wait=wait)
        with Package(place) as package:
            self._take_windows(package, access, held)
            material, keys = self._material(package, told, access, held)
            written = package.finish(material, keys, self.home.signer, self._custody, self._clock())
        self.post(written.report)
        return written

    def _await(self, warrant: bytes, *, wait: bool) -> tuple[OpenedLedger, Access, list[Held]]:
        while True:
            told = self.sync()
            access = self._access(told, warrant)
            checkpoint = told.checkpoint.checkpoint
            self._custody.clear()  # the round that succeeds is the one that counts
            self._note("read the ledger", size=checkpoint.size, root=checkpoint.root.hex())
            try:
                return told, access, self.collect(access)
            except SharesMissing as missing:
                if not wait:
                    raise
                self._tell(f"{missing.message} Waiting.")
                time.sleep(_POLL)

    def post(self, report: bytes) -> None:
        """Logs the opening report; posting it again does no harm."""
        post_statement(self.service, report)

    def post_again(self, warrant: bytes, place: Path) -> bool:
        """Whether the warrant's bag is at `place` already; if so its report is logged, in case the
        first try was cut off.
        """
        file = place / REPORT
        if not file.is_file():
            return False
        statement = file.read_bytes()
        report = OpeningReport.decode(ReceivedSign.decode(statement, OpeningReport.limit).payload)
        if report.warrant_digest != warrant:
            return False
        if report not in self._access(self.sync(), warrant).reports:
            self.post(statement)
        return True

    def log_destruction(self, warrant: bytes) -> None:
        """Logs that everything opened under the warrant has been destroyed. Whoever calls has
        destroyed it before.
        """
        access = self._access(self.sync(), warrant, export=False)
        record = Destruction(
            access.warrant.domain, access.warrant.charter_digest, warrant, self._clock()
        )
        post_statement(self.service, sign([self.home.signer], record.encode()))

    def collect(self, access: Access) -> list[Held]:
        """The shares handed over so far, for every listing. Raises `SharesMissing`, which says how
        many of which are missing.
        """
        charter = self.rules.charter(access.warrant.charter_digest)
        if not access.listings:
            raise SharesMissing("The ledger has no listing of this warrant's windows yet.")
        held = {digest: Held(digest, listing, {}, {}, []) for digest, listing in access.listings}
        for sealed in self._sealed_shares(access.digest):
            one = held.get(sealed.listing_digest)
            if one is not None:
                self._open_sealed(charter, one, sealed)
        missing = [
            sentence for one in held.values() if (sentence := _missing(charter, one, access))
        ]
        if missing:
            raise SharesMissing(" ".join(missing))
        for one in held.values():
            names = who(charter, sorted(one.shares))
            self._tell(
                f"Listing {one.listing.number}: shares of {len(one.listing.windows)} windows "
                f"from {names}."
            )
            self._note(
                "opened shares",
                listing=one.digest.hex(),
                holders=sorted(one.shares),
                refused=one.refused,
            )
        return list(held.values())

    def _access(self, told: OpenedLedger, warrant: bytes, *, export: bool = True) -> Access:
        access = told.state.access(warrant)
        if access.warrant.opener_key != self.home.reader.public:
            raise NotAuthorised(
                "The warrant names another opener's key than this home's.", code="O1"
            )
        if export:
            try:
                check_export(told.state, warrant, self._clock())
            except Refused as error:
                after = (
                    f"`counterseal opener destroyed {warrant.hex()[:16]}...` logs it."
                    if access.lapsed_at
                    else ""
                )
                raise Refused(
                    error.rule, f"{error.message} Nothing is exported. {after}".strip()
                ) from error
        return access

    def _sealed_shares(self, warrant: bytes) -> Iterator[SealedShares]:
        for sealed in ask(self.service, SHARES, warrant=warrant).sealed:
            yield SealedShares.decode(sealed)

    def _open_sealed(self, charter: VerifiedCharter, held: Held, sealed: SealedShares) -> None:
        """Takes shares that their holder signed; others are noted and count as missing (R11,
        X5).
        """
        try:
            holder = charter.check_holder(sealed.position)
            domain = charter.charter.domain
            verified = open_shares(self.home.reader, sealed, holder, domain, held.listing.windows)
        except Refused as error:
            held.refused.append(f"position {sealed.position}: {error.message} [{error.rule}]")
            return
        held.shares[sealed.position] = {one.window_id: one.share for one in verified.shares.shares}
        held.statements[sealed.position] = verified.statement

    def _take_windows(self, package: Package, access: Access, held: Sequence[Held]) -> None:
        """Fetches every listed window and finds false shares; raises `FalseShares` if any window is
        left without a quorum.
        """
        charter = self.rules.charter(access.warrant.charter_digest)
        false: dict[int, int] = {}
        short = 0
        for one in held:
            for row in self._material_rows(access.digest, one.listing):
                window, root = _window_file(row), row.root
                window_id = Label.decode(window.label).window_id
                package.add_window(window)
                self._roots[window.period] = root
                seal = check_seal(
                    Counterseal.decode(window.counterseal),
                    [frame.message for frame in window.frames],
                )
                given = {
                    p: shares.get(window_id)
                    for p, shares in one.shares.items()
                    if window_id in shares
                }
                sifted = sift(window_id, seal, given)
                for position in sifted.false:
                    false[position] = false.get(position, 0) + 1
                short += not _has_quorum(charter.tree, sifted.good)
        for position, count in sorted(false.items()):
            self._tell(f"{who(charter, [position])} signed a false share of {count} windows [S3].")
            self._note("found a false share", holder=position, windows=count, rule="S3")
        if short and false:
            raise FalseShares(
                f"False shares, each signed by its holder: {who(charter, sorted(false))}. "
                f"Without them the shares of {short} windows are no quorum. The statements are "
                "with the service; ask another holder to release, and the charter's bodies to act."
            )

    def _material_rows(self, warrant: bytes, listing: Listing) -> Iterator[ListedMaterial]:
        after, wanted, number = 0, len(listing.windows), listing.number
        while after < wanted:
            page = ask(
                self.service, MATERIAL, warrant=warrant, listing=number, after=after, limit=_PAGE
            )
            if not page.rows:
                raise NotFound(
                    f"The service gives {after} of the {wanted} windows of listing {number}."
                )
            yield from page.rows
            after += len(page.rows)
            self._tell(f"Listing {number}: {after} of {wanted} windows fetched.")

    def _material(
        self, package: Package, told: OpenedLedger, access: Access, held: Sequence[Held]
    ) -> tuple[Material, Keys]:
        """Everything beside the windows, with proofs under the newest cosigned checkpoints."""
        charter = self.rules.latest.charter
        view: LogView = self.rules.log
        note = view.update(self.service)
        prover = Prover(self.service, LOG_FILE, note.checkpoint.size)
        chains, names = self._accounts(package.senders | set(access.warrant.account_ids), prover)
        ledger = Prover(self.service, LEDGER_FILE, told.checkpoint.checkpoint.size)
        material = Material(
            warrant=access.digest,
            log_note=note.note,
            ledger_note=told.checkpoint.note,
            charters=self._charters(prover),
            keysets=self._keysets(prover),
            accounts=chains,
            periods=BagPeriods(
                tuple(
                    ProvedStatement(root, index, prover.path(index))
                    for index, root in sorted(self._roots.items())
                )
            ),
            events=events_about(told, access.digest, ledger),
            shares={
                (one.listing.number, p): statement
                for one in held
                for p, statement in one.statements.items()
            },
            names=names,
        )
        return material, Keys(
            keys_of_log(charter), keys_of_ledger(charter), keys_of_witnesses(charter)
        )

    def _charters(self, prover: Prover) -> BagCharters:
        return BagCharters(
            tuple(
                PlacedCharter(
                    one.charter.statement,
                    one.index,
                    prover.path(one.index),
                    _NOT_YET if one.active is None else one.active,
                )
                for one in self.rules.trusted.charters
            )
        )

    def _keysets(self, prover: Prover) -> BagKeysets:
        return BagKeysets(
            tuple(
                ProvedStatement(one.keyset.statement, one.index, prover.path(one.index))
                for one in self.rules.trusted.keysets
            )
        )

    def _accounts(
        self, accounts: set[bytes], prover: Prover
    ) -> tuple[BagAccounts, dict[bytes, str]]:
        """The chains, each statement with its proof, and the names that the service gives: display
        name, else handle.
        """
        chains: list[AccountChain] = []
        names: dict[bytes, str] = {}
        for account in sorted(accounts):
            shown = ask(self.service, ACCOUNT_CHAIN, account=account)
            names[account] = shown.display or shown.handle
            links = tuple(_link(statement, prover) for statement in shown.chain)
            chains.append(AccountChain(account, links))
        return BagAccounts(tuple(chains)), names

    def _note(self, what: str, **more: Any) -> None:
        self._custody.append({"at": rfc3339(self._clock() * 1000), "what": what, **more})


def _missing(charter: VerifiedCharter, held: Held, access: Access) -> str | None:
    """In words: how many shares of which holders a listing still lacks; None if there is a
    quorum.
    """
    tree, there = charter.tree, set(held.shares)
    bodies = len(tree.satisfied_bodies(there))
    witnesses = len(there.intersection(tree.witness_positions()))
    if bodies >= tree.custodians.needed and witnesses >= tree.witnesses.needed:
        return None
    released = set(access.released_by(held.digest)) - there
    promised = (
        f" Released and not handed over yet: {who(charter, sorted(released))}." if released else ""
    )
    refused = f" Refused: {'; '.join(held.refused)}." if held.refused else ""
    return (
        f"Listing {held.listing.number} has shares of {bodies} of the {tree.custodians.needed} "
        "custodian bodies needed and of "
        f"{witnesses} of the {tree.witnesses.needed} witnesses needed.{promised}{refused}"
    )


def _has_quorum(tree: Tree, positions: Mapping[int, bytes]) -> bool:
    try:
        return bool(quorum(tree, positions))
    except Refused:  # S4
        return False


def _window_file(row: ListedMaterial) -> WindowFile:
    """A window of the material as the evidence has it."""
    proof = row.proof
    return WindowFile(
        row.label,
        row.roster,
        row.counterseal,
        PlacedWindow(proof.frames, proof.frames_root, proof.index, proof.windows, proof.path),
        row.log_index,
        tuple(BagFrame(frame.n, frame.time, frame.message) for frame in row.frames),
    )


def _link(shown: ShownChainStatement, prover: Prover) -> ProvedStatement:
    statement = (
        shown.statement
        if shown.possession is None
        else cbor.encode([shown.statement, shown.possession])
    )
    return ProvedStatement(statement, shown.log_index, prover.path(shown.log_index))
