"""A charter that follows the one before it and has both quorums' signatures: the only form in which
a charter judges anything (section 6).

`ReceivedCharter.decode` reads a statement, `check` gives the `VerifiedCharter`.

| rule | refuses |
| --- | --- |
| C18 | a charter without the signatures of both quorums; a position that the charter does not |
|     | have |
| C19 | a charter that is not the next one after the charter before: domain, version, previous |
|     | digest, demonstration |
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property

import msgspec

from .charter import Charter, Issuer, Opener
from .charter_checks import check_charter
from .cose import ReceivedSign
from .errors import Refused, refuse_as
from .keys import InstitutionKey
from .tree import Tree


class VerifiedCharter(msgspec.Struct, frozen=True, dict=True):
    """A charter that fits (C1 to C16), follows its predecessor (C19) and has both quorums'
    signatures (C18).
    """

    charter: Charter
    digest: bytes
    statement: bytes
    signers: tuple[bytes, ...]

    @cached_property
    def tree(self) -> Tree:
        """The holders' tree."""
        return self.charter.tree

    @cached_property
    def holder_keys(self) -> tuple[InstitutionKey, ...]:
        """Each position's signing key."""
        return tuple(holder.key for holder in self.charter.holders)

    @cached_property
    def positions(self) -> Mapping[bytes, int]:
        """Holder's kid to position."""
        return {key.kid: position for position, key in enumerate(self.holder_keys)}

    @cached_property
    def keys_by_kid(self) -> Mapping[bytes, InstitutionKey]:
        """Every holder's signing key by kid."""
        return {key.kid: key for key in self.holder_keys}

    @cached_property
    def custodian_keys(self) -> Mapping[bytes, InstitutionKey]:
        """The custodians' signing keys by kid."""
        return {key.kid: key for key in self.holder_keys[: self.tree.custodian_count]}

    @cached_property
    def issuers(self) -> Mapping[bytes, Issuer]:
        """Issuers by kid."""
        return {issuer.key.kid: issuer for issuer in self.charter.issuers}

    @cached_property
    def issuer_keys(self) -> Mapping[bytes, InstitutionKey]:
        """The issuers' signing keys by kid."""
        return {kid: issuer.key for kid, issuer in self.issuers.items()}

    @cached_property
    def openers(self) -> Mapping[bytes, Opener]:
        """Openers by sealing key."""
        return {opener.xwing: opener for opener in self.charter.openers}

    def holder_name(self, position: int) -> str:
        """What people call the holder at a position."""
        return self.charter.holders[position].name

    def check_holder(self, position: int) -> InstitutionKey:
        """The signing key of the holder at `position`. Raises `Refused` C18 for a position that the
        charter does not have.
        """
        if not 0 <= position < len(self.holder_keys):
            raise Refused("C18", f"The charter has no holder at position {position}.")
        return self.holder_keys[position]

    def check_quorums(self, kids: Iterable[bytes], witnesses: int) -> tuple[int, ...]:
        """The signers' positions, if they are a custodians' quorum and `witnesses` witnesses.
        Raises `Refused` C18.
        """
        positions = tuple(sorted(self.positions[kid] for kid in kids if kid in self.positions))
        with refuse_as("C18", "Signatures are missing; pass it on to those who have not signed:"):
            self.tree.custodian_quorum(positions)
            self.tree.witness_quorum(positions, witnesses)
        return positions


class ReceivedCharter(msgspec.Struct, frozen=True):
    """A charter statement that is right in form, and nothing more."""

    charter: Charter
    cose: ReceivedSign
    statement: bytes

    @classmethod
    def decode(cls, statement: bytes) -> ReceivedCharter:
        """Raises `Refused` E1 to E7, X1, X3, X4."""
        cose = ReceivedSign.decode(statement, Charter.limit)
        return cls(Charter.decode(cose.payload), cose, statement)

    def check(self, previous: VerifiedCharter | None) -> VerifiedCharter:
        """The verified charter. `previous` is the charter before it, None for version 1, which its
        own quorums sign (and which an app pins). Raises `Refused` C1 to C16, C18, C19, X2, X4."""
        charter = check_charter(self.charter)
        digest = hashlib.sha256(self.cose.payload).digest()
        own = VerifiedCharter(charter, digest, self.statement, self.cose.kids)
        check_succession(charter, previous)
        judge = previous or own
        self.cose.verify(judge.keys_by_kid)
        judge.check_quorums(self.cose.kids, judge.charter.witnesses.w)
        return own


def check_succession(charter: Charter, previous: VerifiedCharter | None) -> Charter:
    """The charter again, if it is the next after `previous` (None: the first). Raises `Refused`
    C19.
    """
    if previous is None:
        if charter.version != 1:
            raise Refused("C19", f"Charter {charter.version} comes without its predecessor.")
        return charter

    before = previous.charter
    expected = (before.domain, before.version + 1, previous.digest, before.demonstration)
    if (charter.domain, charter.version, charter.previous, charter.demonstration) != expected:
        raise Refused("C19", f"This is not the one successor of charter {before.version}.")

    return charter
