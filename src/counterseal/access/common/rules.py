"""The rules that an institution goes by: the domain's charters, keysets and revocations, each
verified and proved to be in the log.

The first charter is the one that this home pinned when its owner signed or accepted it; the others
follow by `TrustedRules`. A service that shows another charter, or another custodian's key, is
refused here and nowhere later.
"""

from __future__ import annotations

from counterseal import state_files
from counterseal.protocol.charter import Charter
from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.protocol.entry import LoggedEntry, entry_hash
from counterseal.protocol.errors import Conflict, NotAuthorised, NotFound, Refused
from counterseal.protocol.keyset import VerifiedKeyset
from counterseal.protocol.trusted_rules import Rulebook, TrustedRules
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.tlog.checkpoint import KeyPair, log_keys, witness_keys
from counterseal.wire.charters import CHARTERS, ShownCharter
from counterseal.wire.keysets import KEYSETS
from counterseal.wire.log import STATEMENT
from counterseal.wire.revocations import REVOCATIONS

from . import store
from .clock import Clock, real_clock
from .home import InstitutionHome
from .log_view import LogView, log_entries
from .sources import Source, ask


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


class Rules:
    """A domain's rules as far as this home has verified them, in `trusted`. `sync` goes on from
    what is held.
    """

    def __init__(self, home: InstitutionHome, clock: Clock = real_clock) -> None:
        self.home, self._clock = home, clock
        self.trusted = TrustedRules()
        self._view: LogView | None = None

    def sync(self, source: Source) -> None:
        """Takes charters, keysets and revocations that are new. Raises `Refused` C1 to C19, K1 to
        K8, W18, `TlogError`, `Conflict`, `Unavailable`.
        """
        # no digest is the empty one: a home without a pin takes no charter
        self.trusted.pinned = self.home.pinned() or b""
        shown, known = ask(source, CHARTERS).rows, self.trusted.charters
        if [row.statement for row in shown[: len(known)]] != [
            one.charter.statement for one in known
        ]:
            raise Conflict(
                "The service shows other charters than before, or fewer; keep both answers, one of "
                "them is false."
            )
        for row in shown[len(known) :]:
            self._take_charter(source, row)
        self._date_charters(source)

        for one in self.trusted.charters:
            self._take_keysets(source, one.charter.digest)
        self._take_revocations(source)

    def _take_charter(self, source: Source, row: ShownCharter) -> None:
        before = self.trusted.newest
        charter = self.trusted.check_charter(row.statement)
        if self.trusted.find_charter(charter.digest) is not None:
            raise Refused("C19", "The service shows a charter twice; trust neither.")
        judge = before or charter
        logged = _at_place(
            self._log_of(judge.charter).prove(source, entry_hash(row.statement)),
            row.log_index,
            "C19",
        )
        self.home.keep_charter(charter.digest, row.statement)
        self.trusted.add_charter(charter, logged, 0 if before is None else None)

    def _date_charters(self, source: Source) -> None:
        """Dates each successor: in force a delay after the log's own next statement of the time.

        That statement, a directory root, is the same for whoever asks and whenever: else two
        holders would judge one ledger by two charters. Roots are logged hourly and after changes;
        until there is one, the successor is not in force.
        """
        for one in self.trusted.charters:
            if one.active is None:
                logged_at = self._time_after(source, one.index)
                if logged_at is not None:
                    active = self.trusted.active_from(one.charter, logged_at)
                    self.trusted.date(one.charter.digest, active)

    def _time_after(self, source: Source, index: int) -> int | None:
        """The time of the first directory root over the entry at `index`; None if none is logged
        yet.
        """
        seen = self.log.update(source).checkpoint
        for place, entry in log_entries(source, index + 1, seen.size):
            try:
                statement = ask(source, STATEMENT, entry=entry).statement
                root = DirectoryRoot.decode(statement)
            except (Refused, NotFound, NotAuthorised):
                continue  # another statement, or an account's: those are not for everybody
            if entry_hash(statement) == entry and index < root.log_size <= place:
                return root.time
        return None

    def _take_keysets(self, source: Source, charter_digest: bytes) -> None:
        for row in ask(source, KEYSETS, charter=charter_digest).rows:
            keyset = self.trusted.check_keyset(row.statement, charter_digest, row.quarter)
            if self.trusted.find_keyset(keyset.digest) is None:
                proved = self.log.prove(source, entry_hash(row.statement))
                self.trusted.add_keyset(keyset, _at_place(proved, row.log_index, "K1"))

    def _take_revocations(self, source: Source) -> None:
        """Revocations that the service shows, and those that this home keeps: a custodian who
        signed one need not ask for it.

        Each is verified by its custodians' quorum (W18); one that is shown is in the log as well.
        """
        folder = self.home.path / "revocations"
        for row in ask(source, REVOCATIONS).rows:
            verified = self.trusted.check_revocation(row.statement)
            proved = self.log.prove(source, entry_hash(row.statement))
            _at_place(proved, row.log_index, "W18")
            if verified not in self.trusted.revocations:
                self.trusted.add_revocation(verified)
                place = folder / verified.revocation.digest().hex()
                state_files.write_state(place, row.statement, mode=state_files.PUBLIC)

        known = {one.revocation.digest().hex() for one in self.trusted.revocations}
        for place in sorted(folder.glob("*")):
            if place.name not in known:
                statement = store.read(place, "revocation")
                self.trusted.add_revocation(self.trusted.check_revocation(statement))

    @property
    def keysets(self) -> dict[bytes, VerifiedKeyset]:
        """All keysets by digest, in order."""
        return {one.keyset.digest: one.keyset for one in self.trusted.keysets}

    @property
    def latest(self) -> VerifiedCharter:
        """The newest charter, in force or not yet. Raises `NotFound` before the first."""
        if self.trusted.newest is None:
            raise NotFound("No charter is published yet; `charter publish` comes first.")
        return self.trusted.newest

    def in_force(self, at: int | None = None) -> VerifiedCharter:
        """The newest charter whose activation delay has passed at `at` (this home's clock unless
        given). Raises `NotFound` before the first.
        """
        if self.trusted.newest is None:
            return self.latest  # raises
        return self.trusted.in_force(self._clock() if at is None else at)

    @property
    def rulebook(self) -> Rulebook:
        """What the ledger is folded by."""
        return self.trusted.rulebook()

    def charter(self, digest: bytes) -> VerifiedCharter:
        """The charter with this digest. Raises `NotFound`."""
        found = self.trusted.find_charter(digest)
        if found is None:
            raise NotFound(f"No charter {digest.hex()[:16]} is in this domain's log.")
        return found.charter

    @property
    def log(self) -> LogView:
        """The log, judged by the keys and witnesses of the charter in force."""
        return self._log_of(self.in_force().charter)

    def _log_of(self, charter: Charter) -> LogView:
        keys, witnesses = keys_of_log(charter), keys_of_witnesses(charter)
        needed = charter.witnesses.c
        if self._view is None or not self._view.judged_by(keys, witnesses, needed):
            place = self.home.path / "log.checkpoint"
            self._view = LogView(place, keys, witnesses, needed)
        return self._view


def _at_place(proved: LoggedEntry, index: int, rule: str) -> LoggedEntry:
    """The proved entry again, if it is where the service said. Raises `Refused` by the rule of its
    statement.
    """
    if proved.index != index:
        raise Refused(
            rule,
            f"The service says that a statement is in the log at {index}, and proves that it is at "
            f"{proved.index}.",
        )
    return proved
