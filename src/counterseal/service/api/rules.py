"""Charters, keysets and revocations: published here, read by anybody."""

from __future__ import annotations

from counterseal.service.api.gate import Call, FirstCall, Gate, ServedEndpoint
from counterseal.service.publication import RulePublication
from counterseal.service.trust import DomainRules
from counterseal.wire.charter import CHARTER, CHARTER_IN_FORCE, CharterStatement
from counterseal.wire.charters import CHARTERS, ShownCharter, ShownCharters
from counterseal.wire.keyset_draft import (
    HOLDER_KEY_POST,
    KEYSET_DRAFT,
    HolderKeyPosted,
    KeysetDraft,
    PostHolderKey,
    PostKeyset,
)
from counterseal.wire.keysets import KEYSETS, ShownKeyset, ShownKeysets
from counterseal.wire.publishing import (
    CHARTER_POST,
    KEYSET_POST,
    REVOCATION_POST,
    CharterPosted,
    KeysetPosted,
    PostCharter,
    PostRevocation,
    RevocationPosted,
)
from counterseal.wire.revocations import REVOCATIONS, ShownRevocation, ShownRevocations


class RuleRoutes:
    """Publishing and reading the domain's rules."""

    def __init__(self, trust: DomainRules, publication: RulePublication) -> None:
        self._trust = trust
        self._publication = publication

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.anybody(CHARTER_IN_FORCE, self.in_force),
            gate.anybody(CHARTERS, self.charters),
            gate.anybody(CHARTER, self.charter),
            gate.first_operator(CHARTER_POST, self.post_charter),
            gate.anybody(KEYSET_DRAFT, self.draft),
            gate.anybody(HOLDER_KEY_POST, self.post_holder_key),
            gate.anybody(KEYSET_POST, self.post_keyset),
            gate.anybody(KEYSETS, self.keysets),
            gate.anybody(REVOCATIONS, self.revocations),
            gate.anybody(REVOCATION_POST, self.post_revocation),
        ]

    async def in_force(self, _: Call[None]) -> CharterStatement:
        """The charter in force."""
        return CharterStatement(self._trust.in_force.statement)

    async def charter(self, call: Call[None]) -> CharterStatement:
        """A charter by its digest."""
        return CharterStatement(self._trust.charter(call.parts["digest"]).statement)

    async def charters(self, _: Call[None]) -> ShownCharters:
        """All charters."""
        rows = (
            ShownCharter(one.charter.statement, one.index) for one in self._trust.rules.charters
        )
        return ShownCharters(tuple(rows))

    async def post_charter(self, call: FirstCall[PostCharter]) -> CharterPosted:
        """The first charter, from the operator, or the next one."""
        if not self._trust.rules.charters:
            call.require_operator()
        return CharterPosted(*await self._publication.charter(call.request.statement))

    async def draft(self, call: Call[None]) -> KeysetDraft:
        """The keyset of a quarter as it is so far."""
        return KeysetDraft((await self._publication.draft(call.parts["quarter"])).encode())

    async def post_holder_key(self, call: Call[PostHolderKey]) -> HolderKeyPosted:
        """A holder's key of a quarter."""
        return HolderKeyPosted(await self._publication.holder_key(call.request.statement))

    async def post_keyset(self, call: Call[PostKeyset]) -> KeysetPosted:
        """A signed keyset."""
        return KeysetPosted(*await self._publication.keyset(call.request.statement))

    async def keysets(self, call: Call[None]) -> ShownKeysets:
        """The logged keysets of a charter."""
        rows = (
            ShownKeyset(one.keyset.keyset.quarter, one.keyset.statement, one.index)
            for one in self._trust.rules.keysets
            if one.keyset.keyset.charter_digest == call.parts["charter"]
        )
        return ShownKeysets(tuple(rows))

    async def revocations(self, _: Call[None]) -> ShownRevocations:
        """All revocations."""
        rows = (ShownRevocation(row.statement, row.log_index) for row in self._trust.revocations)
        return ShownRevocations(tuple(rows))

    async def post_revocation(self, call: Call[PostRevocation]) -> RevocationPosted:
        """A signed revocation."""
        return RevocationPosted(await self._publication.revocation(call.request.statement))
