"""The holders' tree: who has which position, and which sets of holders suffice (section 2).

`tree = [[needed, [[threshold, members], ...]], [w, W]]`.

| rule | refuses |
| --- | --- |
| S4 | a set of shares that does not satisfy the tree |
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from . import cbor
from .errors import Refused
from .record import Part, decode_part

Small = Annotated[int, Meta(ge=1, le=255)]
POSITIONS_MAX = 510
"""Positions of a tree, at most, that a keyset and a counterseal have room for."""
LIMIT = 2_048
"""Bytes that an encoded tree may have."""


class BodyNode(Part, frozen=True):
    """A custodian body: `threshold` of its `members`."""

    threshold: Small
    members: Small


class CustodiansNode(Part, frozen=True):
    """The custodians: `needed` of the bodies."""

    needed: Small
    bodies: Annotated[tuple[BodyNode, ...], Meta(min_length=1, max_length=255)]


class WitnessesNode(Part, frozen=True):
    """The witnesses: `needed` (w) of `members` (W)."""

    needed: Small
    members: Small


class Tree(Part, frozen=True):
    """Two quorums that share nobody, and only together suffice."""

    custodians: CustodiansNode
    witnesses: WitnessesNode

    def encode(self) -> bytes:
        """The tree's one encoding: what the compiled core takes."""
        return cbor.encode(self.plain())

    @classmethod
    def decode(cls, data: bytes) -> Tree:
        """Raises `Refused` E1 to E7, and S4 for a tree that nobody could satisfy."""
        return decode_part(data, LIMIT, cls).check()

    def check(self) -> Tree:
        """The tree again, if each node asks for no more than it has. Raises `Refused` S4."""
        nodes = [(body.threshold, body.members) for body in self.custodians.bodies]
        nodes.append((self.custodians.needed, len(self.custodians.bodies)))
        nodes.append((self.witnesses.needed, self.witnesses.members))
        if any(needed > there for needed, there in nodes):
            raise Refused("S4", "A node of the tree asks for more shares than it hands out.")
        return self

    @property
    def custodian_count(self) -> int:
        """Positions 0 to this minus 1 are custodians' members; the witnesses follow."""
        return sum(body.members for body in self.custodians.bodies)

    @property
    def count(self) -> int:
        """Number of positions."""
        return self.custodian_count + self.witnesses.members

    def body_positions(self) -> tuple[range, ...]:
        """The positions of each body's members, in charter order."""
        ranges, at = [], 0
        for body in self.custodians.bodies:
            ranges.append(range(at, at + body.members))
            at += body.members
        return tuple(ranges)

    def witness_positions(self) -> range:
        """The witnesses' positions."""
        return range(self.custodian_count, self.count)

    def satisfied_bodies(self, positions: Iterable[int]) -> tuple[int, ...]:
        """Indices of the bodies of which enough members are among `positions`."""
        there = set(positions)
        enough = zip(self.custodians.bodies, self.body_positions(), strict=True)
        return tuple(
            j
            for j, (body, where) in enumerate(enough)
            if len(there.intersection(where)) >= body.threshold
        )

    def custodian_quorum(self, positions: Iterable[int]) -> tuple[int, ...]:
        """The satisfied bodies, if they are enough. Raises `Refused` S4."""
        bodies = self.satisfied_bodies(positions)
        if len(bodies) < self.custodians.needed:
            raise Refused("S4", f"{len(bodies)} bodies of {self.custodians.needed} take part.")
        return bodies

    def witness_quorum(
        self, positions: Iterable[int], needed: int | None = None
    ) -> tuple[int, ...]:
        """The witnesses among `positions`, if they are `needed` (w by default). Raises `Refused`
        S4.
        """
        there = tuple(sorted(set(positions).intersection(self.witness_positions())))
        needed = self.witnesses.needed if needed is None else needed
        if len(there) < needed:
            raise Refused("S4", f"{len(there)} witnesses take part where {needed} are needed.")
        return there
