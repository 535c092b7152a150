"""The charters, keysets and revocations of the domain, as everything here is judged by them.

The service publishes them and can change none: a successor needs both quorums of the charter before
it, a keyset the custodians' quorum and c witnesses. The fold is protocol's `TrustedRules`; what is
the service's own is that it reads them from its store, dates them by its clock and answers in its
own words. Changed on the event loop, after the change is durable; read anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from counterseal.protocol.entry import LoggedEntry
from counterseal.protocol.errors import Conflict, NotFound, Refused, Unavailable
from counterseal.protocol.keys import InstitutionKey
from counterseal.protocol.keyset import ReceivedKeyset, VerifiedKeyset
from counterseal.protocol.trusted_rules import (
    TrustedCharter,
    TrustedKeyset,
    TrustedRules,
    VerifiedRevocation,
    verify_revocation,
)
from counterseal.protocol.verified_charter import ReceivedCharter, VerifiedCharter
from counterseal.service.store.interface import Snapshot
from counterseal.service.store.rows import StoredCharter, StoredKeyset, StoredRevocation
from counterseal.wire.domain import ServiceIdentity


class DomainRules:
    """Every charter, keyset and revocation so far. `now` returns Unix seconds."""

    def __init__(self, service: ServiceIdentity, now: Callable[[], int]) -> None:
        self.domain = service.domain
        self.rules = TrustedRules()
        self.revocations: list[StoredRevocation] = []
        self._service = service
        self._now = now

    def load(self, snapshot: Snapshot) -> None:
        """Reads what was logged.

        Everything is verified again, since a database can be written to by others.
        """
        for charter in snapshot.trust.charters():
            self.add_charter(self.rules.check_charter(charter.statement), charter)
        for keyset in snapshot.trust.keysets():
            self.add_keyset(self.rules.check_keyset(keyset.statement), keyset)
        for revocation in snapshot.trust.revocations():
            verified = self.rules.check_revocation(revocation.statement)
            self.add_revocation(verified, revocation)

    def add_charter(self, verified: VerifiedCharter, row: StoredCharter) -> None:
        """Takes in a charter that is logged."""
        logged = LoggedEntry.of(row.statement, row.log_index)
        self.rules.add_charter(verified, logged, row.active_from)

    def add_keyset(self, verified: VerifiedKeyset, row: StoredKeyset) -> None:
        """Takes in a keyset that is logged."""
        self.rules.add_keyset(verified, LoggedEntry.of(row.statement, row.log_index))

    def add_revocation(self, verified: VerifiedRevocation, row: StoredRevocation) -> None:
        """Takes in a revocation that is logged; of two for one issuer the earlier time stays."""
        self.rules.add_revocation(verified)
        known = next((one for one in self.revocations if one.issuer == row.issuer), None)
        if known is None or row.since < known.since:
            kept = [one for one in self.revocations if one is not known]
            self.revocations = sorted([*kept, row], key=lambda one: one.log_index)

    @property
    def in_force(self) -> VerifiedCharter:
        """The newest charter whose activation delay is over.

        Raises `Unavailable` "no-charter" before the first.
        """
        now = self._now()
        for logged in reversed(self.rules.charters):
            if logged.active is not None and logged.active <= now:
                return logged.charter
        raise Unavailable(
            "This domain has no charter yet; publish one with POST /v1/charters.", code="no-charter"
        )

    @property
    def newest(self) -> VerifiedCharter:
        """The last charter, in force or not yet. Raises `Unavailable` "no-charter"."""
        return self.rules.newest or self.in_force

    def charter(self, digest: bytes) -> VerifiedCharter:
        """The charter with this digest. Raises `NotFound` "charter"."""
        found = self.rules.find_charter(digest)
        if found is None:
            raise NotFound("There is no charter with this digest.", code="charter")
        return found.charter

    def keyset(self, digest: bytes) -> VerifiedKeyset:
        """The keyset with this digest. Raises `NotFound` "keyset"."""
        found = self.rules.find_keyset(digest)
        if found is None:
            raise NotFound("There is no logged keyset with this digest.", code="keyset")
        return found.keyset

    def institution(self, kid: bytes) -> InstitutionKey | None:
        """The signing key of a holder, issuer or opener of any charter so far."""
        return self.rules.institutions.get(kid)

    def check_context(self, charter: bytes, quarter: int, keyset: bytes) -> None:
        """Returns if a group may be under these: the charter in force, a logged keyset of it.

        Raises `Refused` L1.
        """
        if charter != self.in_force.digest:
            raise Refused(
                "L1", "The group's charter is not the one in force; move the group on first."
            )
        found = self.rules.find_keyset(keyset)
        if found is None:
            raise Refused("L1", "The group's keyset is not in the log.")
        record = found.keyset.keyset
        if (record.charter_digest, record.quarter) != (charter, quarter):
            raise Refused(
                "L1", "The group's keyset is of another charter or quarter than the group says."
            )

    def published_charter(self, statement: bytes) -> TrustedCharter | None:
        """The charter that was published with these very bytes."""
        published = self.rules.charters
        return next((one for one in published if one.charter.statement == statement), None)

    def published_keyset(self, statement: bytes) -> TrustedKeyset | None:
        """The keyset that was published with these very bytes."""
        published = self.rules.keysets
        return next((one for one in published if one.keyset.statement == statement), None)

    def check_charter(self, statement: bytes) -> VerifiedCharter:
        """A posted charter, verified as the next one, that names this service's own keys.

        Raises `Refused` C1 to C19, `Conflict` "charter-published".
        """
        charter = ReceivedCharter.decode(statement).charter
        if charter.domain != self.domain:
            raise Refused(
                "C2",
                f"The charter is of {charter.domain!r}; this service serves {self.domain!r}.",
            )
        newest = self.rules.newest
        if newest is not None and charter.version <= newest.charter.version:
            raise Conflict(
                f"Charter {charter.version} is published already.", code="charter-published"
            )
        verified = self.rules.check_charter(statement)
        self._check_own_keys(verified)
        return verified

    def check_keyset(self, statement: bytes) -> VerifiedKeyset:
        """A posted keyset, verified as the next one.

        Raises `Refused` K1 to K8, `NotFound` "charter".
        """
        received = ReceivedKeyset.decode(statement)
        charter = self.charter(received.keyset.charter_digest)
        return received.check(charter, self.rules.last_keyset)

    def check_revocation(self, statement: bytes) -> VerifiedRevocation:
        """A posted revocation, by the quorum of the charter in force. Raises `Refused` W1, W18."""
        return verify_revocation(statement, self.in_force)

    def _check_own_keys(self, charter: VerifiedCharter) -> None:
        pairs = (
            (charter.charter.log.vkeys, self._service.log_vkeys),
            (charter.charter.ledger.vkeys, self._service.ledger_vkeys),
        )
        for named, own in pairs:
            if (named.ed25519, named.mldsa44) != own:
                raise Refused(
                    "C14",
                    "The charter names other log or ledger keys than this service's;"
                    " see GET /v1/identity.",
                )
