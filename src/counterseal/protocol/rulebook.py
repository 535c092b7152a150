"""What the log says that judging an access needs: which charter is in force when, and which
issuers' keys are revoked.

| rule | refuses |
| --- | --- |
| W1 | a statement of another domain or charter than it is judged by |
| W12 | what a revoked issuer signed |
| W18 | a cancellation, reinstatement or revocation by somebody who may not |
"""

from __future__ import annotations

import msgspec

from .approval import Revocation
from .charter import Issuer, VerifiedCharter
from .cose import ReceivedSign
from .errors import Refused


class VerifiedRevocation(msgspec.Struct, frozen=True):
    """A revocation that the custodians' quorum of its charter signed."""

    revocation: Revocation


class Rulebook(msgspec.Struct, frozen=True):
    """Charters with the time (seconds) from which each is in force, ascending, and revocations. All
    from the log.
    """

    charters: tuple[tuple[int, VerifiedCharter], ...]
    revocations: tuple[VerifiedRevocation, ...] = ()

    @property
    def domain(self) -> str:
        """The domain all of it is about."""
        return self.charters[0][1].charter.domain

    def in_force(self, time: int) -> VerifiedCharter:
        """The charter that judges issuers at `time`. Raises `Refused` W1."""
        charter = None
        for since, candidate in self.charters:
            if since <= time:
                charter = candidate
        if charter is None:
            raise Refused("W1", f"No charter of this domain is in force at {time}.")
        return charter

    def charter(self, digest: bytes) -> VerifiedCharter:
        """The charter with this digest, whose windows and holders a warrant is about. Raises
        `Refused` W1.
        """
        for _, charter in self.charters:
            if charter.digest == digest:
                return charter
        raise Refused(
            "W1", f"The charter {digest.hex()[:16]} is not one of this domain's; fetch the log."
        )

    def issuer(self, kid: bytes, time: int) -> Issuer:
        """The issuer whose key `kid` was at `time`. Raises `Refused` W1."""
        issuer = self.in_force(time).issuers.get(kid)
        if issuer is None:
            raise Refused(
                "W1",
                f"The charter in force at {time} has no issuer {kid.hex()[:16]}; fold the ledger again.",
            )
        return issuer

    def check_not_revoked(self, kid: bytes, time: int) -> bytes:
        """`kid` again, if what it signed at `time` stands. Raises `Refused` W12."""
        for verified in self.revocations:
            if verified.revocation.issuer == kid and verified.revocation.start <= time:
                raise Refused(
                    "W12",
                    f"The issuer {kid.hex()[:16]} is revoked from {verified.revocation.start} on.",
                )
        return kid


def verify_revocation(statement: bytes, charter: VerifiedCharter) -> VerifiedRevocation:
    """The revocation, if the custodians' quorum of `charter` (the one in force) signed it. Raises
    `Refused` W1 or W18.
    """
    cose = ReceivedSign.decode(statement, Revocation.limit)
    revocation = Revocation.decode(cose.payload)
    if (revocation.domain, revocation.charter_digest) != (charter.charter.domain, charter.digest):
        raise Refused("W1", "The revocation is of another domain or charter.")
    try:
        charter.tree.custodian_quorum(
            charter.positions[kid] for kid in cose.verify(charter.custodian_keys)
        )
    except Refused as error:
        raise Refused(
            "W18", f"The custodians' quorum has not signed this revocation. {error.message}"
        ) from error
    return VerifiedRevocation(revocation)
