"""The holders' tree: who stands where, which sets of holders suffice, and Shamir's sharing over it
(section 2).

`tree = [[needed, [[threshold, members], ...]], [w, W]]`. The compiled floor shares and joins in
earnest; the sharing here is the reference that vectors and audits compare it with.

| rule | refuses |
| --- | --- |
| S4 | a set of shares that does not satisfy the tree |
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta

from . import cbor
from .errors import Refused
from .record import Part, convert

Small = Annotated[int, Meta(ge=1, le=255)]
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
        """The tree's one encoding: what the compiled floor takes."""
        return cbor.encode(self.plain())

    @classmethod
    def decode(cls, data: bytes) -> Tree:
        """Raises `Refused` E1 to E7, and S4 for a tree that nobody could satisfy."""
        return convert(cbor.decode(data, LIMIT), cls).check()

    def check(self) -> Tree:
        """The tree again, if each node asks for no more than it has. Raises `Refused` S4."""
        nodes = [(body.threshold, body.members) for body in self.custodians.bodies]
        nodes.append((self.custodians.needed, len(self.custodians.bodies)))
        nodes.append((self.witnesses.needed, self.witnesses.members))
        if any(needed > there for needed, there in nodes):
            raise Refused(
                "S4", "A node of the holders' tree asks for more shares than it hands out."
            )
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
            raise Refused(
                "S4",
                f"{len(bodies)} custodian bodies take part where {self.custodians.needed} are needed.",
            )
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

    def split(self, prk: bytes) -> tuple[bytes, ...]:
        """Each position's share (32 bytes) of `prk` (32 bytes); the same `prk` always gives the
        same shares.
        """
        custodians, witnesses = _split(prk, prk, (), 2, 2)
        bodies = self.custodians.bodies
        shares: list[bytes] = []
        for j, value in enumerate(
            _split(prk, custodians, (0,), self.custodians.needed, len(bodies))
        ):
            shares += _split(prk, value, (0, j), bodies[j].threshold, bodies[j].members)
        return (
            *shares,
            *_split(prk, witnesses, (1,), self.witnesses.needed, self.witnesses.members),
        )

    def join(self, shares: Mapping[int, bytes]) -> bytes:
        """`prk` from a quorum of shares by position. Raises `Refused` S4; S5 asks whether it is the
        right one.
        """
        if not all(
            0 <= position < self.count and len(share) == 32 for position, share in shares.items()
        ):
            raise Refused(
                "S4", f"A share has no position from 0 to {self.count - 1}, or not 32 bytes."
            )
        bodies = self.custodian_quorum(shares)
        self.witness_quorum(shares)
        where = self.body_positions()
        points = {
            j + 1: _join_node(shares, where[j], self.custodians.bodies[j].threshold) for j in bodies
        }
        custodians = _interpolate(points, self.custodians.needed)
        witnesses = _join_node(shares, self.witness_positions(), self.witnesses.needed)
        return _interpolate({1: custodians, 2: witnesses}, 2)


def _join_node(shares: Mapping[int, bytes], where: range, threshold: int) -> bytes:
    return _interpolate({i - where.start + 1: shares[i] for i in where if i in shares}, threshold)


def _split(
    prk: bytes, secret: bytes, path: tuple[int, ...], threshold: int, count: int
) -> list[bytes]:
    drawn = (
        cbor.expand(prk, [cbor.tag("shares"), path], 32 * (threshold - 1)) if threshold > 1 else b""
    )
    coefficients = [secret, *(drawn[at : at + 32] for at in range(0, len(drawn), 32))]
    return [_evaluate(coefficients, x) for x in range(1, count + 1)]


def _evaluate(coefficients: list[bytes], x: int) -> bytes:
    value = bytes(32)
    for coefficient in reversed(coefficients):
        value = bytes(_multiply(v, x) ^ c for v, c in zip(value, coefficient, strict=True))
    return value


def _interpolate(points: Mapping[int, bytes], threshold: int) -> bytes:
    """The polynomial's value at 0 from the first `threshold` points."""
    chosen = sorted(points.items())[:threshold]
    value = bytes(32)
    for x, share in chosen:
        weight = 1
        for other, _ in chosen:
            if other != x:
                weight = _multiply(weight, _multiply(other, _inverse(other ^ x)))
        value = bytes(v ^ _multiply(weight, s) for v, s in zip(value, share, strict=True))
    return value


def _multiply(a: int, b: int) -> int:
    """In GF(256) modulo x^8 + x^4 + x^3 + x + 1. Not constant-time: the reference joins what is
    being opened anyway.
    """
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


@functools.cache
def _inverse(a: int) -> int:
    result = 1
    for _ in range(254):
        result = _multiply(result, a)
    return result
