"""The charters and keysets of the domain, verified, in memory: what everything here is judged by.

The service publishes them and can change none: a successor needs both quorums of the charter before
it, a keyset the custodians' quorum and c witnesses. Changed on the event loop, after the change is
durable; read anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw
import msgspec

from counterseal.protocol.errors import Conflict, NotFound, Refused, Unavailable
from counterseal.protocol.keys import InstitutionKey
from counterseal.protocol.keyset import ReceivedKeyset, VerifiedKeyset
from counterseal.protocol.verified_charter import ReceivedCharter, VerifiedCharter, active_from
from counterseal.service.store import charters as table
from counterseal.service.store.charters import CharterRow, KeysetRow, RevocationRow


class LoggedCharter(msgspec.Struct, frozen=True):
    """A charter with its place in the log and when it comes into force (seconds)."""

    verified: VerifiedCharter
    log_index: int
    active_from: int


class LoggedKeyset(msgspec.Struct, frozen=True):
    """A keyset with its place in the log."""

    verified: VerifiedKeyset
    log_index: int


class Charters:
    """Every charter and keyset so far, oldest first."""

    def __init__(self, domain: str, now: Callable[[], int]) -> None:
        self.domain = domain
        self._now = now
        self.charters: list[LoggedCharter] = []
        self.keysets: list[LoggedKeyset] = []
        self.revocations: list[RevocationRow] = []
        self._by_digest: dict[bytes, LoggedCharter] = {}
        self._keysets_by_digest: dict[bytes, LoggedKeyset] = {}
        self.institutions: dict[bytes, InstitutionKey] = {}

    def load(self, db: apsw.Connection) -> None:
        """Reads what was logged; everything is verified again, since a database can be written to
        by others.
        """
        for row in table.charters(db):
            previous = self.charters[-1].verified if self.charters else None
            self.add_charter(
                LoggedCharter(
                    ReceivedCharter.decode(row.statement).check(previous),
                    row.log_index,
                    row.active_from,
                )
            )
        for keyset in table.keysets(db):
            charter = self.charter(keyset.charter).verified
            verified = ReceivedKeyset.decode(keyset.statement).check(charter, self.last_keyset)
            self.add_keyset(LoggedKeyset(verified, keyset.log_index))
        self.revocations = table.revocations(db)

    def add_charter(self, logged: LoggedCharter) -> None:
        """Takes in a charter that is logged."""
        charter = logged.verified.charter
        self.charters.append(logged)
        self._by_digest[logged.verified.digest] = logged
        for signer in (*charter.holders, *charter.issuers, *charter.openers):
            self.institutions[signer.key.kid] = signer.key

    def add_keyset(self, logged: LoggedKeyset) -> None:
        """Takes in a keyset that is logged."""
        self.keysets.append(logged)
        self._keysets_by_digest[logged.verified.digest] = logged

    @property
    def in_force(self) -> VerifiedCharter:
        """The newest charter whose activation delay is over. Raises `Unavailable` "no-charter"
        before the first.
        """
        now = self._now()
        for logged in reversed(self.charters):
            if logged.active_from <= now:
                return logged.verified
        raise Unavailable(
            "This domain has no charter yet; publish one with POST /v1/charters.", code="no-charter"
        )

    @property
    def newest(self) -> VerifiedCharter | None:
        """The last charter logged, in force or not yet."""
        return self.charters[-1].verified if self.charters else None

    @property
    def last_keyset(self) -> VerifiedKeyset | None:
        """The last keyset logged, of whatever charter."""
        return self.keysets[-1].verified if self.keysets else None

    def charter(self, digest: bytes) -> LoggedCharter:
        """The charter with this digest. Raises `NotFound` "charter"."""
        logged = self._by_digest.get(digest)
        if logged is None:
            raise NotFound("There is no charter with this digest.", code="charter")
        return logged

    def keyset(self, digest: bytes) -> LoggedKeyset:
        """The keyset with this digest. Raises `NotFound` "keyset"."""
        logged = self._keysets_by_digest.get(digest)
        if logged is None:
            raise NotFound("There is no logged keyset with this digest.", code="keyset")
        return logged

    def institution(self, kid: bytes) -> InstitutionKey | None:
        """The signing key of a holder, issuer or opener of any charter so far."""
        return self.institutions.get(kid)

    def check_context(self, charter: bytes, quarter: int, keyset: bytes) -> None:
        """Returns if a group may stand under these: the charter in force, and a logged keyset of
        it. Raises `Refused` L1.
        """
        if charter != self.in_force.digest:
            raise Refused(
                "L1", "The group's charter is not the one in force; move the group on first."
            )
        logged = self._keysets_by_digest.get(keyset)
        if logged is None:
            raise Refused("L1", "The group's keyset is not in the log.")
        record = logged.verified.keyset
        if (record.charter_digest, record.quarter) != (charter, quarter):
            raise Refused(
                "L1", "The group's keyset is of another charter or quarter than the group says."
            )

    def check_successor(self, statement: bytes, now: int) -> LoggedCharter:
        """A posted charter, verified as the next one; its log index is still to be given. Raises
        `Refused` C1 to C19, `Conflict`.
        """
        received = ReceivedCharter.decode(statement)
        if received.charter.domain != self.domain:
            raise Refused(
                "C2",
                f"The charter is of {received.charter.domain!r}; this service serves {self.domain!r}.",
            )
        if self.newest is not None and received.charter.version <= self.newest.charter.version:
            raise Conflict(
                f"Charter {received.charter.version} is published already.",
                code="charter-published",
            )
        verified = received.check(self.newest)
        return LoggedCharter(verified, -1, active_from(now, self.newest))

    def row(self, logged: LoggedCharter, index: int) -> CharterRow:
        """What the database keeps of a charter."""
        return CharterRow(logged.verified.statement, index, logged.active_from)


def keyset_row(verified: VerifiedKeyset, index: int) -> KeysetRow:
    """What the database keeps of a keyset."""
    record = verified.keyset
    return KeysetRow(record.charter_digest, record.quarter, verified.statement, index)
