"""The rules of a domain as somebody trusts them: charters, keysets and revocations in the order of
the log, each following the one before. Without I/O: bytes and times are handed in.

Everybody keeps one `TrustedRules` and adds to it what is new, in two steps. `check_...` verifies a
statement as the next one and changes nothing; `add_...` takes in what was verified, together with
its place in the log. Between the two the caller proves that place and stores the statement:

```python
rules = TrustedRules(pinned)                     # the digest of charter 1; None: any that is signed
charter = rules.check_charter(statement)         # C1 to C16, C18, C19: by the charter before it
logged = verify_logged(entry_hash(statement), index, path, checkpoint)   # tlog.checkpoint
rules.add_charter(charter, logged, active)       # `active`: since when it is in force, or None
rules.date(charter.digest, rules.active_from(charter, logged_at))        # as soon as that is known

keyset = rules.check_keyset(statement) # K1 to K8: by its charter and the keyset before
rules.add_keyset(keyset, logged) rules.add_revocation(rules.check_revocation(statement)) # W1, W18
```

What was added before is returned again by `check_...` and `add_...`, so a list that is read anew
can be handed in as a whole. What a program verified and stored itself it may take back in by
`restored_rules.py`, which verifies no signature.

Who says the time from which a successor is in force differs, so it is a parameter:

- the service adds a charter with `active_from(charter, clock)`, and keeps that time;
- a holder adds the first with 0 and each successor with None, and dates it by the first directory
  root that covers it, which is the same for whoever asks;
- a device adds charters with None and dates with 0 the one that the service calls in force, if that
  is not older than the one it knew;
- a verifier takes the times that the package names.

What needs no more than the times and the revocations (`AccessState`) takes `rulebook()`, a value
that does not change.

| rule | refuses |
| --- | --- |
| W1 | a statement of another domain or charter than it is judged by |
| W12 | what a revoked issuer signed |
| W18 | a cancellation, reinstatement or revocation by somebody who may not |
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec

from .approval import Revocation
from .charter import Issuer
from .cose import ReceivedSign
from .entry import LoggedEntry, entry_hash
from .errors import Refused, refuse_as
from .keys import InstitutionKey
from .keyset import ReceivedKeyset, VerifiedKeyset
from .verified_charter import ReceivedCharter, VerifiedCharter, check_succession


class TrustedCharter(msgspec.Struct, frozen=True):
    """A charter, its index in the log, and since when it is in force (Unix seconds; None while
    nobody has said).
    """

    charter: VerifiedCharter
    index: int
    active: int | None


class TrustedKeyset(msgspec.Struct, frozen=True):
    """A keyset and its index in the log."""

    keyset: VerifiedKeyset
    index: int


class VerifiedRevocation(msgspec.Struct, frozen=True):
    """A revocation that the custodians' quorum of its charter signed."""

    revocation: Revocation


class Rulebook(msgspec.Struct, frozen=True):
    """Charters with the time (seconds) from which each is in force, in order of version, and
    revocations.
    """

    charters: tuple[tuple[int, VerifiedCharter], ...]
    revocations: tuple[VerifiedRevocation, ...] = ()

    @property
    def domain(self) -> str:
        """The domain all of it is about."""
        return self.charters[0][1].charter.domain

    def in_force(self, time: int) -> VerifiedCharter:
        """The charter that judges issuers at `time`: the newest that is in force. Raises `Refused`
        W1.
        """
        for since, charter in reversed(self.charters):
            if since <= time:
                return charter
        raise Refused("W1", f"No charter of this domain is in force at {time}.")

    def charter(self, digest: bytes) -> VerifiedCharter:
        """The charter with this digest, whose windows and holders a warrant is about. Raises
        `Refused` W1.
        """
        for _, charter in self.charters:
            if charter.digest == digest:
                return charter
        raise _unknown(digest)

    def issuer(self, kid: bytes, time: int) -> Issuer:
        """The issuer whose key `kid` was at `time`. Raises `Refused` W1."""
        issuer = self.in_force(time).issuers.get(kid)
        if issuer is None:
            raise Refused("W1", f"The charter in force at {time} has no issuer {kid.hex()[:16]}.")
        return issuer

    def check_not_revoked(self, kid: bytes, time: int) -> bytes:
        """`kid` again, if what it signed at `time` is valid. Raises `Refused` W12."""
        for verified in self.revocations:
            if verified.revocation.issuer == kid and verified.revocation.start <= time:
                raise Refused("W12", f"The issuer {kid.hex()[:16]} is revoked.")
        return kid


class TrustedRules:
    """A domain's charters, keysets and revocations, as far as whoever holds this has verified them.

    Only ever grows. Its tuples are replaced as wholes, so one thread may add while others read.
    """

    def __init__(
        self, pinned: bytes | None = None, shown_otherwise: Literal["C19", "M7"] = "C19"
    ) -> None:
        """`pinned` is the digest of the first charter; None takes any that its own quorums signed.
        `shown_otherwise` is the rule by which a charter other than the pinned or the known one is
        refused: M7 on a member's device.
        """
        self.pinned = pinned
        self.charters: tuple[TrustedCharter, ...] = ()
        self.keysets: tuple[TrustedKeyset, ...] = ()
        self.revocations: tuple[VerifiedRevocation, ...] = ()
        self.institutions: Mapping[bytes, InstitutionKey] = {}
        """The signing key, by kid, of every holder, issuer and opener of any charter so far."""
        self._shown_otherwise = shown_otherwise

    # charters

    @property
    def newest(self) -> VerifiedCharter | None:
        """The last charter, in force or not yet; None before the first."""
        return self.charters[-1].charter if self.charters else None

    def find_charter(self, digest: bytes) -> TrustedCharter | None:
        """The charter with this digest, or None."""
        return next((one for one in self.charters if one.charter.digest == digest), None)

    def charter(self, digest: bytes) -> VerifiedCharter:
        """The charter with this digest. Raises `Refused` W1."""
        found = self.find_charter(digest)
        if found is None:
            raise _unknown(digest)
        return found.charter

    def in_force(self, time: int) -> VerifiedCharter:
        """The newest charter that is in force at `time`. Raises `Refused` W1."""
        return self.rulebook().in_force(time)

    def check_charter(self, statement: bytes) -> VerifiedCharter:
        """The charter, verified as the first or the next one, or the one already known. Raises
        `Refused` C1 to C16, C18, C19 (or M7), E1 to E7, X1 to X4.
        """
        received = ReceivedCharter.decode(statement)
        known = self._known(received.charter.version, _payload_digest(received.cose))

        return received.check(self.newest) if known is None else known.charter

    def add_charter(
        self, charter: VerifiedCharter, logged: LoggedEntry, active: int | None
    ) -> TrustedCharter:
        """Takes in a charter, in force from `active` (Unix seconds; None: not said yet). Raises
        `Refused` C19 (or M7) for one that is not the next, or that is not what is logged.
        """
        known = self._known(charter.charter.version, charter.digest)
        if known is not None:
            return known

        check_succession(charter.charter, self.newest)
        if logged.entry != entry_hash(charter.statement):
            raise Refused("C19", "What is logged is another statement than this charter.")

        added = TrustedCharter(charter, logged.index, active)
        record = charter.charter
        signers = (*record.holders, *record.issuers, *record.openers)
        keys = {signer.key.kid: signer.key for signer in signers}
        self.institutions = {**self.institutions, **keys}
        self.charters = (*self.charters, added)
        return added

    def active_from(self, charter: VerifiedCharter, logged_at: int) -> int:
        """When a charter that was logged at `logged_at` comes into force (Unix seconds): its
        predecessor's activation delay later; the first at once.
        """
        previous = self.find_charter(charter.charter.previous or b"")
        return logged_at + (previous.charter.charter.activation_delay if previous else 0)

    def date(self, digest: bytes, active: int) -> TrustedCharter:
        """Says since when a charter is in force (Unix seconds). A charter that has a time keeps it.
        Raises `Refused` W1 for a charter that is not here.
        """
        known = self.find_charter(digest)
        if known is None:
            raise _unknown(digest)
        if known.active is not None:
            return known

        dated = msgspec.structs.replace(known, active=active)
        self.charters = tuple(dated if one is known else one for one in self.charters)
        return dated

    def _known(self, version: int, digest: bytes) -> TrustedCharter | None:
        """The charter of this version, None if it is new. Raises `Refused` C19 or M7 if it is known
        as another, or the first and not the pinned one.
        """
        if not self.charters and self.pinned is not None and digest != self.pinned:
            raise Refused(
                self._shown_otherwise, "This first charter is not the one that is pinned here."
            )

        for known in self.charters:
            if known.charter.charter.version == version:
                if known.charter.digest != digest:
                    raise Refused(
                        self._shown_otherwise,
                        f"Another charter {version} is known; keep both and report it.",
                    )
                return known

        return None

    # keysets

    @property
    def last_keyset(self) -> VerifiedKeyset | None:
        """The last keyset, of whatever charter; None before the first."""
        return self.keysets[-1].keyset if self.keysets else None

    def find_keyset(self, digest: bytes) -> TrustedKeyset | None:
        """The keyset with this digest, or None."""
        return next((one for one in self.keysets if one.keyset.digest == digest), None)

    def keyset_for(self, charter_digest: bytes, quarter: int) -> VerifiedKeyset | None:
        """The keyset of a quarter under a charter, or None."""
        for one in self.keysets:
            record = one.keyset.keyset
            if (record.charter_digest, record.quarter) == (charter_digest, quarter):
                return one.keyset
        return None

    def check_keyset(
        self, statement: bytes, charter_digest: bytes | None = None, quarter: int | None = None
    ) -> VerifiedKeyset:
        """The keyset, verified by its charter as the next after the last one, or the one already
        known. `charter_digest` and `quarter` are what it was shown as, if it was. Raises `Refused`
        W1 for an unknown charter, K1 to K4, K6 to K8, E1 to E7, X1 to X4.
        """
        received = ReceivedKeyset.decode(statement)
        record = received.keyset
        of_charter = charter_digest in (None, record.charter_digest)
        if not of_charter or quarter not in (None, record.quarter):
            raise Refused("K1", f"The keyset shown for quarter {quarter} is not for that.")

        known = self.find_keyset(_payload_digest(received.cose))
        if known is not None:
            return known.keyset
        return received.check(self.charter(record.charter_digest), self.last_keyset)

    def add_keyset(self, keyset: VerifiedKeyset, logged: LoggedEntry) -> TrustedKeyset:
        """Takes in a keyset. Raises `Refused` K1 for one that does not follow the last, or that is
        not what is logged.
        """
        known = self.find_keyset(keyset.digest)
        if known is not None:
            return known

        last = self.last_keyset
        if keyset.keyset.previous != (last.digest if last else None):
            raise Refused("K1", "The keyset does not follow the last one; take those between.")
        if logged.entry != entry_hash(keyset.statement):
            raise Refused("K1", "What is logged is another statement than this keyset.")

        added = TrustedKeyset(keyset, logged.index)
        self.keysets = (*self.keysets, added)
        return added

    # revocations

    def check_revocation(self, statement: bytes) -> VerifiedRevocation:
        """The revocation, verified by the charter that it names. Raises `Refused` W1, W18, E1 to
        E7, X1, X3, X4.
        """
        received = ReceivedSign.decode(statement, Revocation.limit)
        charter = self.charter(Revocation.decode(received.payload).charter_digest)
        return verify_revocation(statement, charter)

    def add_revocation(self, revocation: VerifiedRevocation) -> VerifiedRevocation:
        """Takes in a revocation. It needs no place in the log: a custodian who signed one goes by
        it at once, and to obey it early takes nothing from anybody but its issuer.
        """
        if revocation not in self.revocations:
            self.revocations = (*self.revocations, revocation)
        return revocation

    def rulebook(self) -> Rulebook:
        """The charters whose time is known, and the revocations, as they are now."""
        dated = [(one.active, one.charter) for one in self.charters if one.active is not None]
        return Rulebook(tuple(dated), self.revocations)


def verify_revocation(statement: bytes, charter: VerifiedCharter) -> VerifiedRevocation:
    """The revocation, if the custodians' quorum of `charter` signed it. Raises `Refused` W1 or W18,
    E1 to E7, X1, X3, X4.
    """
    cose = ReceivedSign.decode(statement, Revocation.limit)
    revocation = Revocation.decode(cose.payload)
    if (revocation.domain, revocation.charter_digest) != (charter.charter.domain, charter.digest):
        raise Refused("W1", "The revocation is of another domain or charter.")

    with refuse_as("W18", "The custodians' quorum has not signed this revocation."):
        kids = cose.verify(charter.custodian_keys)
        charter.tree.custodian_quorum(charter.positions[kid] for kid in kids)

    return VerifiedRevocation(revocation)


def _payload_digest(cose: ReceivedSign) -> bytes:
    return hashlib.sha256(cose.payload).digest()


def _unknown(digest: bytes) -> Refused:
    return Refused(
        "W1", f"The charter {digest.hex()[:16]} is not one of this domain's; fetch the log."
    )
