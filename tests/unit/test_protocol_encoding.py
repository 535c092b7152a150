"""CBOR, records, keys and signatures (rules E1 to E7, X1 to X6, K5)."""

import time
from typing import Any

import msgspec
import pytest
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.protocol import cbor, cose, errors, keys, sign1, statement
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import Refused


def test_a_mebibyte_decodes_at_once():
    big = cbor.encode(["t", *([[b"x" * 3000, [b"y", {}, b"z" * 1216], 5]] * 250)])
    began = time.perf_counter()
    cbor.decode(big, 4 << 20)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    "value", [1.5, object(), {"a": 1}, bytearray(b"x"), 1 << 64, -(1 << 64) - 1, "\ud800"]
)
def test_e3_what_has_no_encoding(value):
    with refused("E3"):
        cbor.encode([value])


def test_e3_depth():
    deep: list[object] = []
    for _ in range(15):
        deep = [deep]
    assert cbor.encode(cbor.decode(cbor.encode(deep), 100)) == cbor.encode(deep)
    with refused("E3"):
        cbor.encode([deep])


def test_e7_is_checked(monkeypatch):
    monkeypatch.setattr(cbor, "encode", lambda value: b"")
    with refused("E7"):
        cbor.decode(b"\x01", 10)


def test_expand_and_h():
    assert len(cbor.expand(bytes(32), ["t"], 64)) == 64
    assert cbor.H(["a", 1]) == cbor.H(("a", 1))


def test_e4_e6_a_record_that_nobody_could_decode_is_not_encoded():
    with refused("E6"):
        w.make_label(b"short").encode()
    with refused("E6"):
        w.make_label(bytes(32), domain="d" * 254).encode()
    # characters count, then bytes
    wide = msgspec.structs.replace(w.make_label(bytes(32)), domain="\U0001f512" * 253)
    with refused("E4"):
        wide.encode()


def test_cose_adds_one_person_at_a_time():
    payload = cbor.encode(["counterseal/v1/x", 1])
    whole = cose.sign([w.signer("Amaro")], payload)
    for name in ("Bolt", "Dede"):
        whole = cose.add_signature(whole, w.signer(name), 100)
    received = cose.ReceivedSign.decode(whole, 100)
    allowed = {w.signer(name).kid: w.signer(name).public for name in ("Amaro", "Bolt", "Dede")}
    assert received.verify(allowed) == tuple(sorted(allowed))
    assert received.encode() == whole
    with refused("X4"):
        cose.add_signature(whole, w.signer("Dede"), 100)
    with refused("X4"):
        received.verify({})
    with refused("E4"):
        cose.ReceivedSign.decode(whole, 5)
    swapped = {kid: w.signer("Amaro").public for kid in allowed}
    with refused("X4"):
        received.verify(swapped)


def arrays(data, limit) -> Any:
    return cbor.decode(data, limit)


def test_cose_refusals():
    payload = cbor.encode(["counterseal/v1/x", 1])
    b, e, p, (ed, ml) = arrays(cose.sign([w.signer("Amaro")], payload), 10_000)

    def decode(*parts):
        return cose.ReceivedSign.decode(cbor.encode(parts), 1_000)

    with refused("X1"):
        decode(b"\x01", e, p, (ed, ml))
    with refused("X1"):
        decode(b, e, p, ())
    with refused("X1"):
        decode(b, e, p, ((b"\xa1", {}, ed[2]), ml))
    with refused("X3"):
        decode(b, e, p, (ed,))
    with refused("X3"):
        decode(b, e, p, (ml,))
    with refused("X3"):
        decode(b, e, p, (ml, ed))
    with refused("X4"):
        decode(b, e, p, (ed, ml, ed, ml))
    with refused("E6"):
        decode(b, e, p, ((ed[0], {}, ed[2] + b"x"), ml))
    allowed = {w.signer("Amaro").kid: w.signer("Amaro").public}
    for entries in (((ed[0], {}, bytes(64)), ml), (ed, (ml[0], {}, bytes(3309)))):
        with refused("X2"):
            decode(b, e, p, entries).verify(allowed)
    two = arrays(cose.sign([w.signer("Amaro"), w.signer("Bolt")], payload), 20_000)[3]
    with refused("X1"):
        decode(b, e, p, (*two[2:], *two[:2]))


def test_sign1():
    message = sign1.sign1(w.ed25519("Alice"), b"payload", b"outside")
    received = sign1.ReceivedSign1.decode(message, 1_000)
    assert received.verify(w.public("Alice"), b"outside") == b"payload"
    with refused("X2"):
        received.verify(w.public("Alice"))
    with refused("X2"):
        received.verify(w.public("Bob"), b"outside")
    with refused("X1"):
        sign1.ReceivedSign1.decode(cbor.encode([b"", {}, b"p", bytes(64)]), 1_000)


def _low_order():
    """Multiply each point that `keys` calls low by eight: the neutral element must come out."""
    p = keys._ED25519_PRIME
    d = -121665 * pow(121666, -1, p) % p

    def add(a, b):
        t = d * a[0] * b[0] * a[1] * b[1] % p
        x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, p) % p
        return x, (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, p) % p

    for y in keys._ED25519_LOW_ORDER:
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        if (x * x - square) % p:
            x = x * pow(2, (p - 1) // 4, p) % p
        assert (x * x - square) % p == 0
        point = (x, y)
        for _ in range(3):
            point = add(point, point)
        yield point


def test_x6_weak_ed25519_keys():
    assert set(_low_order()) == {(0, 1)}
    for y in [*keys._ED25519_LOW_ORDER, keys._ED25519_PRIME, keys._ED25519_PRIME + 1]:
        for sign in (0, 1 << 255):
            with refused("X6"):
                keys.check_ed25519((y | sign).to_bytes(32, "little"))
    assert keys.check_ed25519(w.public("Alice")) == w.public("Alice")


def test_sealing():
    private = w.sealing("Amaro")
    sealed = keys.seal_to(private.public, ["info"], b"share")
    assert len(sealed) == len(b"share") + keys.HPKE_OVERHEAD
    assert private.open(["info"], sealed) == b"share"
    with refused("X5"):
        private.open(["other"], sealed)
    with refused("X5"):
        private.open(["info"], sealed[:-1])
    with refused("X5"):
        private.open(["info"], b"")
    with refused("K5"):
        keys.seal_to(private.public[:-1], ["info"], b"")
    with refused("K5"):
        keys.check_xwing(private.public[:1184] + bytes(32))
    with refused("K5"):
        keys.check_xwing(b"\x01\x0d" + private.public[2:])
    with refused("E6"):
        keys.SealingKey(b"")
    with refused("E6"):
        keys.InstitutionSigner(b"")
    assert keys.SealingKey.generate().seed != keys.SealingKey.generate().seed
    assert keys.InstitutionSigner.generate().seeds != keys.InstitutionSigner.generate().seeds


def test_statements_find_their_record():
    kinds = {}
    warrant = w.make_warrant(bytes(32))
    for data in (
        w.statement(warrant, "Prosecutor"),
        sign1.sign1(w.ed25519("Alice"), w.ALICE_FIRST.encode()),
        w.PERIOD.encode(),
    ):
        received = statement.ReceivedStatement.decode(data)
        kinds[received.record.tag()] = received
    assert list(kinds) == [
        "counterseal/v1/warrant",
        "counterseal/v1/account",
        "counterseal/v1/period-root",
    ]
    with refused("X1"):
        _ = kinds["counterseal/v1/period-root"].signed
    assert kinds["counterseal/v1/warrant"].signed.kids == (w.signer("Prosecutor").kid,)
    with refused("E5"):
        statement.ReceivedStatement.decode(warrant.encode())
    with refused("E5"):
        statement.ReceivedStatement.decode(sign1.sign1(w.ed25519("Alice"), warrant.encode()))
    with refused("E6"):
        statement.ReceivedStatement.decode(b"\x01")
    with refused("E6"):
        statement.ReceivedStatement.decode(cose.sign([w.signer("Amaro")], b"\x01"))
    assert entry_hash(b"x") == cbor.H(["counterseal/v1/entry", b"x"])


def test_errors_are_one_family_with_one_table():
    kinds = [kind for kind in vars(errors).values() if hasattr(kind, "exit_status")]
    assert {kind.exit_status for kind in kinds} == {1, 2, 3, 4, 5, 6, 7, 70}
    assert not issubclass(errors.FatalError, errors.CountersealError)
    refusal = Refused("W7", "No.")
    assert str(refusal) == "No. [W7]"
    assert refusal.__reduce__() == (Refused, ("W7", "No."))
    assert str(errors.FatalError("disk")) == "disk [fatal]"
    assert errors.NotFound("nothing").code == "not-found"


@pytest.mark.parametrize("depth", [17, 5_000])
def test_nesting_is_refused_before_anything_is_built(depth):
    """E3: thousands of arrays in one another would otherwise end in the interpreter's own limit."""
    nested = b"\x81" * depth + b"\x80"
    with refused("E3"):
        cbor.scan(nested)
    with refused("E3"):
        cbor.decode(nested, 1 << 20)
