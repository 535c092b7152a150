"""The rules that a holder or an issuer goes by: the domain's charters and keysets, each verified
and proved to stand in the log.

The first charter is the one that this home pinned when its owner signed or accepted it; each later
one follows by C18 and C19. A service that shows another charter, or another custodian's key, is
refused here and nowhere later.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import msgspec

from counterseal.access.common import signing, store
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.log_view import LogView, log_entries
from counterseal.access.common.sources import Source, get_array
from counterseal.protocol.approval import Revocation
from counterseal.protocol.charter import Charter
from counterseal.protocol.charter_checks import check_charter
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import Conflict, NotAuthorised, NotFound, Refused
from counterseal.protocol.keyset import ReceivedKeyset, VerifiedKeyset
from counterseal.protocol.trusted_rules import Rulebook, VerifiedRevocation, verify_revocation
from counterseal.protocol.verified_charter import ReceivedCharter, VerifiedCharter, active_from
from counterseal.tlog.checkpoint import KeyPair, log_keys, witness_keys


def keys_of_log(charter: Charter) -> KeyPair:
    """The log's pair of verifier keys."""
    return log_keys((charter.log.vkeys.ed25519, charter.log.vkeys.mldsa44))


def keys_of_ledger(charter: Charter) -> KeyPair:
    """The ledger's pair of verifier keys."""
    return log_keys((charter.ledger.vkeys.ed25519, charter.ledger.vkeys.mldsa44))


def keys_of_witnesses(charter: Charter) -> tuple[KeyPair, ...]:
    """Each witness's pair of cosigning keys, in charter order."""
    return tuple(
        witness_keys((w.vkeys.ed25519, w.vkeys.mldsa44)) for w in charter.witnesses.members
    )


def pinned_charter(home: InstitutionHome) -> Charter:
    """The charter that the home pinned: its owner signed or accepted it, so it stands without the
    others' signatures.

    Raises `NotFound` before there is one.
    """
    digest = home.pinned()
    if digest is None:
        raise NotFound(
            f"{home.path} trusts no charter yet; sign one with `charter sign FILE --home {home.path}`."
        )
    payload = signing.payload_of(home.charter_statement(digest), Charter.limit)
    if hashlib.sha256(payload).digest() != digest:
        raise Refused(
            "C19", f"The charter kept in {home.path} is not the one that it pins; restore the file."
        )
    return check_charter(Charter.decode(payload))


NEVER = 1 << 62


class Known(msgspec.Struct, frozen=True):
    """A charter, its index in the log, and since when it is in force (Unix seconds; None while the
    log does not say).
    """

    charter: VerifiedCharter
    index: int
    dated: int | None

    @property
    def active(self) -> int:
        """Since when it is in force; the end of time while the log does not say."""
        return NEVER if self.dated is None else self.dated


class Rules:
    """A domain's charters and keysets as far as this home has verified them. `sync` goes on from
    what is held.
    """

    def __init__(
        self, home: InstitutionHome, clock: Callable[[], int] = lambda: int(time.time())
    ) -> None:
        self.home, self._clock = home, clock
        self.charters: list[Known] = []
        self.keysets: dict[bytes, VerifiedKeyset] = {}
        self.revocations: list[VerifiedRevocation] = []
        self._taken: set[bytes] = set()
        self._views: dict[tuple[str, KeyPair], LogView] = {}

    def sync(self, source: Source) -> None:
        """Takes charters and keysets that are new. Raises `Refused` C1 to C19, K1 to K8,
        `TlogError`, `Unavailable`.
        """
        rows = get_array(source, "/v1/charters")
        for place, row in enumerate(rows):
            match row:
                case (bytes(statement), int(index)):
                    self._take_charter(source, place, statement, index)
                case _:
                    raise Refused("E6", "An answer of /v1/charters is not [[charter, index], ...].")
        if len(rows) < len(self.charters):
            raise Conflict(
                "The service shows fewer charters than before; keep both answers, one of them is false."
            )
        self._date_charters(source)
        for known in self.charters:
            self._take_keysets(source, known.charter)
        self._take_revocations(source)

    def _take_charter(self, source: Source, place: int, statement: bytes, index: int) -> None:
        if place < len(self.charters):
            if self.charters[place].charter.statement != statement:
                raise Conflict(
                    f"The service shows another charter {place + 1} than before; keep both, one of them is false."
                )
            return
        previous = self.charters[-1].charter if self.charters else None
        verified = ReceivedCharter.decode(statement).check(previous)
        if previous is None and verified.digest != self.home.pinned():
            raise Refused(
                "C19",
                "The service shows another first charter than the one that this home pinned; trust neither.",
            )
        judge = previous or verified
        if self._log_of(judge.charter).prove(source, entry_hash(statement)) != index:
            raise Refused(
                "C19",
                f"Charter {verified.charter.version} does not stand in the log where the service says.",
            )
        self.home.keep_charter(verified.digest, statement)
        self.charters.append(Known(verified, index, 0 if previous is None else None))

    def _date_charters(self, source: Source) -> None:
        """Gives each successor the time from which it is in force: a delay after the log's own next
        statement of the time.

        That statement, a directory root, is the same for whoever asks and whenever: else two
        holders would judge one ledger by two charters. Roots are logged hourly and after changes;
        until there is one, the successor is not in force.
        """
        for place, known in enumerate(self.charters):
            if known.dated is None:
                logged_at = self._time_after(source, known.index)
                if logged_at is not None:
                    active = active_from(logged_at, self.charters[place - 1].charter)
                    self.charters[place] = Known(known.charter, known.index, active)

    def _time_after(self, source: Source, index: int) -> int | None:
        """The time of the first directory root over the entry at `index`; None if none is logged
        yet.
        """
        seen = self.log.update(source).checkpoint
        for place, entry in log_entries(source, index + 1, seen.size):
            try:
                match get_array(source, f"/v1/statements/{entry.hex()}"):
                    case (bytes(statement),) if entry_hash(statement) == entry:
                        root = DirectoryRoot.decode(statement)
                        if index < root.log_size <= place:
                            return root.time
            except (Refused, NotFound, NotAuthorised):
                continue  # another statement, or an account's: those are not for everybody
        return None

    def _take_keysets(self, source: Source, charter: VerifiedCharter) -> None:
        for row in get_array(source, f"/v1/keysets/{charter.digest.hex()}"):
            match row:
                case (int(quarter), bytes(statement), int(index)):
                    self._take_keyset(source, charter, quarter, statement, index)
                case _:
                    raise Refused(
                        "E6", "An answer of /v1/keysets is not [[quarter, keyset, index], ...]."
                    )

    def _take_keyset(
        self, source: Source, charter: VerifiedCharter, quarter: int, statement: bytes, index: int
    ) -> None:
        if (entry := entry_hash(statement)) in self._taken:
            return
        received = ReceivedKeyset.decode(statement)
        previous = next(reversed(self.keysets.values()), None)
        keyset = received.check(charter, previous)
        if keyset.keyset.quarter != quarter:
            raise Refused("K1", f"The keyset shown for quarter {quarter} is for another.")
        if self.log.prove(source, entry) != index:
            raise Refused(
                "K1",
                f"The keyset of quarter {quarter} does not stand in the log where the service says.",
            )
        self.keysets[keyset.digest] = keyset
        self._taken.add(entry)

    def _take_revocations(self, source: Source) -> None:
        """Revocations that the service shows, and those that this home keeps: a custodian who
        signed one need not ask for it.

        Each is verified by its custodians' quorum (W18); one that is shown stands in the log as
        well.
        """
        shown: list[bytes] = []
        for row in get_array(source, "/v1/revocations"):
            match row:
                case (bytes(statement), int(index)):
                    if self.log.prove(source, entry_hash(statement)) != index:
                        raise Refused(
                            "W18", "A revocation does not stand in the log where the service says."
                        )
                    shown.append(statement)
                case _:
                    raise Refused(
                        "E6", "An answer of /v1/revocations is not [[statement, index], ...]."
                    )
        folder = self.home.path / "revocations"
        kept = (
            [store.read(place, "revocation") for place in sorted(folder.glob("*"))]
            if folder.is_dir()
            else []
        )
        for statement in (*shown, *kept):
            received = ReceivedSign.decode(statement, Revocation.limit)
            charter = self.charter(Revocation.decode(received.payload).charter_digest)
            verified = verify_revocation(statement, charter)
            if verified not in self.revocations:
                self.revocations.append(verified)
                store.write(
                    folder / hashlib.sha256(received.payload).hexdigest(), statement, private=False
                )

    @property
    def latest(self) -> VerifiedCharter:
        """The newest charter, in force or not yet. Raises `NotFound` before the first."""
        if not self.charters:
            raise NotFound("No charter is published yet; `charter publish` comes first.")
        return self.charters[-1].charter

    def in_force(self, at: int | None = None) -> VerifiedCharter:
        """The newest charter whose activation delay has passed at `at` (this home's clock unless
        given).
        """
        now = self._clock() if at is None else at
        active = [known.charter for known in self.charters if known.active <= now]
        if not active:
            raise NotFound("No charter is published yet; `charter publish` comes first.")
        return active[-1]

    @property
    def rulebook(self) -> Rulebook:
        """Charters with the times from which they are in force, and revocations: what the ledger is
        folded by.
        """
        dated = [(known.dated, known.charter) for known in self.charters if known.dated is not None]
        return Rulebook(tuple(dated), tuple(self.revocations))

    def charter(self, digest: bytes) -> VerifiedCharter:
        """The charter with this digest. Raises `NotFound`."""
        for known in self.charters:
            if known.charter.digest == digest:
                return known.charter
        raise NotFound(f"No charter {digest.hex()[:16]} is in this domain's log.")

    def keyset(self, digest: bytes) -> VerifiedKeyset:
        """The keyset with this digest. Raises `NotFound`."""
        found = self.keysets.get(digest)
        if found is None:
            raise NotFound(f"No keyset {digest.hex()[:16]} is in this domain's log.")
        return found

    def keyset_of(self, charter_digest: bytes, quarter: int) -> VerifiedKeyset | None:
        """The keyset of a quarter under a charter, or None."""
        for keyset in self.keysets.values():
            if (keyset.keyset.charter_digest, keyset.keyset.quarter) == (charter_digest, quarter):
                return keyset
        return None

    @property
    def log(self) -> LogView:
        """The log, judged by the keys and witnesses of the charter in force."""
        return self._log_of(self.in_force().charter)

    def _log_of(self, charter: Charter) -> LogView:
        return self._view("log", keys_of_log(charter), charter)

    def _view(self, name: str, keys: KeyPair, charter: Charter) -> LogView:
        view = self._views.get((name, keys))
        witnesses = keys_of_witnesses(charter)
        if view is None or not view.judged_by(witnesses, charter.witnesses.c):
            place = self.home.path / f"{name}.checkpoint"
            view = self._views[name, keys] = LogView(
                place, name, keys, witnesses, charter.witnesses.c
            )
        return view
