"""How a window's `prk` is shared among the positions of a holders' tree, and joined again: Shamir's
sharing in GF(256), node by node (section 2).

The compiled core shares and joins in daily use. This is the reference that vectors and audits
compare it with, and joins what is opened by hand.

| rule | refuses |
| --- | --- |
| S5 | a joined `prk` that does not give the label's key commitment |
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Mapping

from . import cbor
from .errors import Refused
from .tree import Tree
from .window import Label
from .window_key import key_commitment


def split(tree: Tree, prk: bytes) -> tuple[bytes, ...]:
    """Each position's share (32 bytes) of `prk` (32 bytes); the same `prk` always gives the same
    shares.
    """
    custodians, witnesses = _split(prk, prk, (), 2, 2)
    bodies = tree.custodians.bodies
    of_bodies = _split(prk, custodians, (0,), tree.custodians.needed, len(bodies))

    shares: list[bytes] = []
    for j, value in enumerate(of_bodies):
        shares += _split(prk, value, (0, j), bodies[j].threshold, bodies[j].members)
    shares += _split(prk, witnesses, (1,), tree.witnesses.needed, tree.witnesses.members)
    return tuple(shares)


def combine(tree: Tree, shares: Mapping[int, bytes]) -> bytes:
    """`prk` from a quorum of shares by position. Whether it is the right one, the label's
    commitment says: `join`. Raises `Refused` S4.
    """
    for position, share in shares.items():
        if not 0 <= position < tree.count or len(share) != 32:
            raise Refused(
                "S4", f"A share has no position from 0 to {tree.count - 1}, or not 32 bytes."
            )

    bodies = tree.custodian_quorum(shares)
    tree.witness_quorum(shares)

    where = tree.body_positions()
    points = {
        j + 1: _join_node(shares, where[j], tree.custodians.bodies[j].threshold) for j in bodies
    }
    custodians = _interpolate(points, tree.custodians.needed)
    witnesses = _join_node(shares, tree.witness_positions(), tree.witnesses.needed)
    return _interpolate({1: custodians, 2: witnesses}, 2)


def join(tree: Tree, label: Label, shares: Mapping[int, bytes]) -> bytes:
    """The window's `prk` (32 bytes) from checked shares by position. Raises `Refused` S4 or S5."""
    return check_prk(label, combine(tree, shares))


def check_prk(label: Label, prk: bytes) -> bytes:
    """`prk` again, if the label commits to it. Raises `Refused` S5."""
    if not hmac.compare_digest(key_commitment(prk), label.key_commitment):
        raise Refused("S5", "The shares do not join to the key that the label commits to.")
    return prk


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
