"""Accounts and their chains of devices (rules A1 to A9)."""

import msgspec
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.protocol import account_chain
from counterseal.protocol.account import check_notice_key
from counterseal.protocol.account_chain import (
    AccountKey,
    Device,
    DeviceRevoked,
    VerifiedChain,
    sign_link,
)
from counterseal.protocol.cbor import encode
from counterseal.protocol.sign1 import sign1

replace = msgspec.structs.replace
FIRST = sign1(w.ed25519("Alice"), w.ALICE_FIRST.encode())


def add(chain, name, signer="Alice", possession=None, **changes):
    record = Device(chain.account_id, chain.head, chain.number + 1, w.public(name), w.T0)
    return sign_link(w.ed25519(signer), replace(record, **changes), w.ed25519(possession or name))


def revoke(chain, name, signer="Alice"):
    record = DeviceRevoked(chain.account_id, chain.head, chain.number + 1, w.public(name), w.T0)
    return sign_link(w.ed25519(signer), record, None)


def start():
    return VerifiedChain.start(FIRST, w.DOMAIN)


def test_a_chain_adds_revokes_and_changes_its_key():
    chain = start()
    assert chain.account_id == w.ALICE
    chain = chain.extend(add(chain, "phone"))
    chain = chain.extend(add(chain, "laptop"))
    chain = chain.extend(revoke(chain, "phone"))
    new = AccountKey(chain.account_id, chain.head, 4, w.public("Alice 2"), w.T0)
    chain = chain.extend(sign_link(w.ed25519("Alice"), new, w.ed25519("Alice 2")))
    with refused("A3"):
        chain.extend(add(chain, "tablet"))
    chain = chain.extend(add(chain, "tablet", signer="Alice 2"))
    assert chain.check_device(w.public("tablet")) == w.public("tablet")
    with refused("A7"):
        chain.check_device(w.public("phone"))
    with refused("A7"):
        chain.check_device(w.public("Eve"))
    with refused("A5"):
        chain.extend(add(chain, "phone", signer="Alice 2"))
    with refused("A5"):
        chain.extend(add(chain, "Alice", signer="Alice 2"))
    with refused("A6"):
        chain.extend(revoke(chain, "phone", signer="Alice 2"))


def test_a1_the_first_statement():
    with refused("A1"):
        VerifiedChain.start(FIRST, "other.example")
    forged = sign1(w.ed25519("Eve"), w.ALICE_FIRST.encode())
    with refused("A1"):
        VerifiedChain.start(forged, w.DOMAIN)
    with refused("A1"):
        VerifiedChain.replay([], w.DOMAIN)
    assert VerifiedChain.replay([FIRST], w.DOMAIN) == start()


def test_a2_what_does_not_follow():
    chain = start()
    with refused("A2"):
        chain.extend(add(chain, "phone", previous=bytes(32)))
    with refused("A2"):
        chain.extend(add(chain, "phone", number=2))
    with refused("A2"):
        chain.extend(add(chain, "phone", account_id=bytes(32)))


def test_a3_and_a4():
    chain = start()
    with refused("A3"):
        chain.extend(add(chain, "phone", signer="Eve"))
    with refused("A4"):
        chain.extend(add(chain, "phone", possession="Eve"))


def test_e6_possession_only_where_a_key_is_new():
    chain = start()
    payload = Device(chain.account_id, chain.head, 1, w.public("phone"), w.T0).encode()
    with refused("E6"):
        chain.extend(sign1(w.ed25519("Alice"), payload))
    with refused("E6"):
        chain.extend(encode([revoke(chain, "phone"), bytes(64)]))
    with refused("E5"):
        chain.extend(FIRST)


def test_x6_weak_keys():
    weak = replace(w.ALICE_FIRST, account_key=bytes(32))
    with refused("X6"):
        VerifiedChain.start(sign1(w.ed25519("Alice"), weak.encode()), w.DOMAIN)


def test_a8_notice_key():
    assert check_notice_key(start().notice_key) == w.sealing("Alice").public
    bad = replace(start(), notice_key=b"\xff" * 1216)
    with refused("A8"):
        check_notice_key(bad.notice_key)


def test_a9_too_many():
    chain = start()
    many = replace(chain, devices=tuple(bytes([n]) * 32 for n in range(account_chain.DEVICES_MAX)))
    with refused("A9"):
        many.extend(add(chain, "phone"))
    long = replace(chain, number=account_chain.CHAIN_MAX)
    with refused("A9"):
        long.extend(add(long, "phone"))
