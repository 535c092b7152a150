"""Keysets and ledger keys (rules K1 to K8)."""

import msgspec
import pytest
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.protocol import keyset, quarters
from counterseal.protocol.ledger_key import make_ledger_key

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def charter():
    return w.verified()


def test_a_good_keyset(charter):
    verified = w.verified_keyset(charter)
    assert verified.keys[6] == w.sealing(f"University {w.QUARTER}").public
    key = keyset.open_ledger_key(w.sealing("reader University"), verified, 1)
    assert key == w.seed(f"ledger {w.QUARTER}")


def test_absent_keys_with_one_to_spare(charter):
    record = w.make_keyset(charter, absent=("Eriksen",))
    assert keyset.check_keyset(record, charter, None)[4] is None
    # two of three witnesses: none to spare
    with refused("K6"):
        keyset.check_keyset(w.make_keyset(charter, absent=("University",)), charter, None)
    with refused("K6"):
        keyset.check_keyset(w.make_keyset(charter, absent=("Fahim",)), charter, None)


def test_k1_another_quarter_or_charter(charter):
    verified = w.verified_keyset(charter)
    with refused("K1"):
        keyset.check_keyset(w.make_keyset(charter, charter_digest=bytes(32)), charter, None)
    with refused("K1"):
        keyset.check_keyset(w.make_keyset(charter, previous=verified), charter, verified)
    with refused("K1"):
        keyset.check_keyset(w.make_keyset(charter, quarter=w.QUARTER + 1), charter, verified)
    after = w.make_keyset(charter, quarter=w.QUARTER + 1, previous=verified)
    assert None not in keyset.check_keyset(after, charter, verified)
    with refused("K1"):
        quarters.quarter_of(1 << 62)


def test_k2_positions(charter):
    record = w.make_keyset(charter)
    with refused("K2"):
        keyset.check_keyset(replace(record, holder_keys=record.holder_keys[:-1]), charter, None)


def test_k3_holder_keys_are_the_holders_own(charter):
    record = w.make_keyset(charter)
    swapped = (record.holder_keys[1], record.holder_keys[0], *record.holder_keys[2:])
    with refused("K3"):
        keyset.check_keyset(replace(record, holder_keys=swapped), charter, None)
    old = w.statement(
        keyset.HolderKey(w.DOMAIN, charter.digest, 1, 0, w.sealing("x").public), "Amaro"
    )
    with refused("K3"):
        keyset.check_keyset(
            replace(record, holder_keys=(old, *record.holder_keys[1:])), charter, None
        )
    with refused("K3"):
        keyset.check_keyset(
            replace(record, holder_keys=(b"\x80", *record.holder_keys[1:])), charter, None
        )


def key_of(charter, xwing, name="Eriksen"):
    position = w.ALL_HOLDERS.index(name)
    return w.statement(keyset.HolderKey(w.DOMAIN, charter.digest, w.QUARTER, position, xwing), name)


def with_key(charter, xwing):
    record = w.make_keyset(charter)
    held = list(record.holder_keys)
    held[w.ALL_HOLDERS.index("Eriksen")] = key_of(charter, xwing)
    return replace(record, holder_keys=tuple(held))


def test_k4_a_key_twice(charter):
    other = w.sealing(f"Dede {w.QUARTER}").public
    with refused("K4"):
        keyset.check_keyset(with_key(charter, other), charter, None)
    half = w.sealing("fresh").public[:1184] + other[1184:]
    with refused("K4"):
        keyset.check_keyset(with_key(charter, half), charter, None)
    verified = w.verified_keyset(charter)
    again = w.make_keyset(charter, quarter=w.QUARTER + 1, previous=verified)
    position = w.ALL_HOLDERS.index("Eriksen")
    old = keyset.HolderKey(
        w.DOMAIN, charter.digest, w.QUARTER + 1, position, verified.keys[position] or b""
    )
    held = (
        *again.holder_keys[:position],
        w.statement(old, "Eriksen"),
        *again.holder_keys[position + 1 :],
    )
    with refused("K4"):
        keyset.check_keyset(replace(again, holder_keys=held), charter, verified)


@pytest.mark.parametrize("bad", ["modulus", "low order"])
def test_k5_a_bad_key_counts_as_absent(charter, bad):
    good = w.sealing("fresh").public
    xwing = b"\xff" * 3 + good[3:] if bad == "modulus" else good[:1184] + bytes(32)
    assert keyset.check_keyset(with_key(charter, xwing), charter, None)[4] is None


def test_k7_signatures(charter):
    signed = w.statement(w.make_keyset(charter), *w.QUORUM)
    with refused("K7"):
        keyset.ReceivedKeyset.decode(signed).check(charter, None)


def test_k8_the_ledger_key(charter):
    record = w.make_keyset(charter)
    part = record.ledger_key
    with refused("K8"):
        keyset.check_keyset(
            replace(record, ledger_key=replace(part, sealed=part.sealed[:1])), charter, None
        )
    verified = replace(
        w.verified_keyset(charter),
        keyset=replace(record, ledger_key=replace(part, commitment=bytes(32))),
    )
    with refused("K8"):
        keyset.open_ledger_key(w.sealing("reader Amaro"), verified, 0)
    with refused("K8"):
        keyset.open_ledger_key(w.sealing("reader Amaro"), verified, 2)
    with refused("K8"):
        keyset.open_predecessor(w.seed("new"), verified, bytes(32))


def test_joiners_read_back_and_leavers_do_not_read_on(charter):
    old, new = w.seed("old ledger key"), w.seed("new ledger key")
    part = make_ledger_key(new, charter, w.QUARTER, 7, old)
    verified = replace(
        w.verified_keyset(charter), keyset=replace(w.make_keyset(charter), ledger_key=part)
    )
    assert keyset.open_predecessor(new, verified, keyset.ledger_key_commitment(old)) == old
    with refused("K8"):
        keyset.open_predecessor(new, verified, keyset.ledger_key_commitment(new))
    with refused("K8"):
        keyset.open_predecessor(old, verified, keyset.ledger_key_commitment(old))
