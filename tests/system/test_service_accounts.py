"""Accounts: who may call, how chains grow, what handles prove. A real service, real witnesses, real
keys.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.domain import Domain, running
from tests.support.person import Person
from tests.support.refusals import refused_by_service
from tests.support.waiting import until
from tests.support.world import DOMAIN

from counterseal.protocol import cbor
from counterseal.protocol.account_chain import (
    AccountKey,
    Device,
    DeviceRevoked,
    VerifiedChain,
    sign_link,
)
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.tlog.directory import decode_lookup

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    with running(tmp_path_factory.mktemp("accounts")) as domain:
        yield domain


@pytest.fixture(scope="module")
def alice(served: Domain) -> Person:
    return Person(served, "alice")


def linked(person: Person, record: Any, new: Ed25519PrivateKey | None) -> list[Any]:
    """`[kind, COSE, possession]` of the chain's next statement."""
    statement = sign_link(person.account_key, record, new)
    kind = record.tag().rsplit("/", 1)[1]
    if new is None:
        return [kind, statement, None]
    cose, possession = cbor.decode(statement, 8192)
    return [kind, cose, possession]


def test_chain_is_what_the_account_signed(served: Domain, alice: Person) -> None:
    handle, _, statements = alice.call("GET", f"/v1/accounts/{alice.account.hex()}")
    assert handle == "alice"
    assert [row[0] for row in statements] == ["account", "device"]
    data = [row[1] if row[2] is None else cbor.encode([row[1], row[2]]) for row in statements]
    chain = VerifiedChain.replay(data, DOMAIN)
    assert (chain.account_id, chain.devices) == (alice.account, (alice.device,))
    for statement, row in zip(data, statements, strict=True):
        entry = H([tag("entry"), statement])
        index, _, _, _ = until(
            lambda entry=entry: served.http.array("GET", f"/v1/log/proof/{entry.hex()}")
        )
        assert index == row[3]


def test_same_account_again_gets_the_same_answer(served: Domain) -> None:
    person = Person(served, "again", register=False)
    assert person.register() == person.register()


def test_taken_handle(served: Domain, alice: Person) -> None:
    other = Person(served, "alice2", register=False)
    other.handle = "alice"
    with refused_by_service(409, "handle"):
        other.register()
    other.handle = f"@alice:{DOMAIN}"
    with refused_by_service(409, "handle"):
        other.register()


@pytest.mark.parametrize("handle", ["", "-x", "Alice", "a b", "x" * 65, "ä", "@a:other.example"])
def test_handle_of_another_form(served: Domain, handle: str) -> None:
    person = Person(served, f"form{os.urandom(4).hex()}", register=False)
    person.handle = handle
    with refused_by_service(None, "handle-form"):
        person.register()


def test_another_devices_account(served: Domain) -> None:
    mallory, victim = (
        Person(served, "mallory", register=False),
        Person(served, "victim", register=False),
    )
    mallory.account = victim.account
    body = ["victim", victim.account_statement, list(victim.device_statement)]
    with refused_by_service(403, "first-device"):
        mallory.call("POST", "/v1/accounts", body)


def test_unsigned_and_badly_signed_requests(served: Domain, alice: Person) -> None:
    get = served.http.array
    with refused_by_service(401, "no-authorization"):
        get("GET", "/v1/inbox")
    header = alice.authorization("GET", "/v1/inbox?after=0", b"")
    with refused_by_service(401, "signature"):
        get("GET", "/v1/inbox?after=1", None, {"Authorization": header})
    for broken in ("", "x", header[:-2], header + ".x", header.replace(".", "..", 1)):
        with refused_by_service(401):
            get("GET", "/v1/inbox", None, {"Authorization": broken})


def test_stale_and_repeated_requests(served: Domain, alice: Person) -> None:
    now = int(time.time() * 1000)
    for moment in (now - 121_000, now + 125_000):
        header = alice.authorization("GET", "/v1/inbox", b"", moment)
        with refused_by_service(401, "stale-request"):
            served.http.array("GET", "/v1/inbox", None, {"Authorization": header})
    header = alice.authorization("GET", "/v1/inbox", b"")
    assert served.http.array("GET", "/v1/inbox", None, {"Authorization": header}) == ((),)
    with refused_by_service(401, "replayed"):
        served.http.array("GET", "/v1/inbox", None, {"Authorization": header})


def test_unknown_device(served: Domain) -> None:
    stranger = Person(served, "stranger", register=False)
    with refused_by_service(403, "unknown-device"):
        stranger.call("GET", "/v1/conversations")


def test_revoked_device_is_refused_everywhere(served: Domain) -> None:
    carol = Person(served, "carol")
    second = Ed25519PrivateKey.generate()
    added = Device(
        carol.account, carol.head, 2, second.public_key().public_bytes_raw(), int(time.time())
    )
    path = f"/v1/accounts/{carol.account.hex()}/statements"
    carol.call("POST", path, linked(carol, added, second))
    carol.packages(2)
    revoked = DeviceRevoked(carol.account, added.digest(), 3, carol.device, int(time.time()))
    carol.call("POST", path, linked(carol, revoked, None))
    with refused_by_service(403, "revoked"):
        carol.call("GET", "/v1/conversations")
    dora = Person(served, "dora")
    assert dora.call("POST", "/v1/key-packages/claim", [[carol.device]]) == ()
    carol.device_private, carol.device = second, second.public_key().public_bytes_raw()
    assert carol.call("GET", "/v1/conversations") == ()


def test_chain_refuses_what_does_not_follow(served: Domain) -> None:
    erin = Person(served, "erin")
    path = f"/v1/accounts/{erin.account.hex()}/statements"
    new = Ed25519PrivateKey.generate()
    public = new.public_key().public_bytes_raw()
    late = Device(erin.account, erin.head, 3, public, 1)
    with refused_by_service(422, "A2"):
        erin.call("POST", path, linked(erin, late, new))
    foreign = sign_link(
        Ed25519PrivateKey.generate(), Device(erin.account, erin.head, 2, public, 1), new
    )
    cose, possession = cbor.decode(foreign, 8192)
    with refused_by_service(422, "A3"):
        erin.call("POST", path, ["device", cose, possession])
    with refused_by_service(None, "kind"):
        erin.call("POST", path, ["device-revoked", cose, possession])
    replaced = AccountKey(erin.account, erin.head, 2, public, 1)
    erin.call("POST", path, linked(erin, replaced, new))
    with refused_by_service(422, "A2"):
        erin.call("POST", path, linked(erin, replaced, new))


def test_device_of_another_account_is_refused(served: Domain, alice: Person) -> None:
    """The service cannot be made to give one device two accounts."""
    frank = Person(served, "frank")
    record = Device(frank.account, frank.head, 2, alice.device, 1)
    path = f"/v1/accounts/{frank.account.hex()}/statements"
    with refused_by_service(409, "device"):
        frank.call("POST", path, linked(frank, record, alice.device_private))


def test_handle_is_proved_present_or_absent(served: Domain, alice: Person) -> None:
    account, proof, record, index = until(lambda: alice.call("GET", "/v1/handles/alice"))
    root = DirectoryRoot.decode(record)
    assert account == alice.account
    assert decode_lookup(proof).verify(root.root, "alice").expect(alice.account).head == alice.head
    entry = H([tag("entry"), record])
    assert until(lambda: served.http.array("GET", f"/v1/log/proof/{entry.hex()}"))[0] == index
    status, body, _ = alice.http.raw(
        "GET",
        "/v1/handles/nobody",
        b"",
        {"Authorization": alice.authorization("GET", "/v1/handles/nobody", b"")},
    )
    nobody: Any = cbor.decode(body, 1 << 20)
    assert status == 404
    assert nobody[0] is None
    decode_lookup(nobody[1]).verify(DirectoryRoot.decode(nobody[2]).root, "nobody").expect_absent()


def test_profile(served: Domain, alice: Person) -> None:
    path = f"/v1/accounts/{alice.account.hex()}/profile"
    alice.call("PUT", path, ["Alice Ä"])
    assert alice.call("GET", f"/v1/accounts/{alice.account.hex()}")[1] == "Alice Ä"
    with refused_by_service(400):
        alice.call("PUT", path, ["ä" * 101])
    with refused_by_service(403, "other-account"):
        Person(served, "nosy").call("PUT", path, ["x"])


def test_account_statements_want_a_device(served: Domain, alice: Person) -> None:
    entry = H([tag("entry"), alice.account_statement]).hex()
    with refused_by_service(401):
        served.http.array("GET", f"/v1/statements/{entry}")
    assert alice.call("GET", f"/v1/statements/{entry}") == (alice.account_statement,)


def test_what_is_not_canonical_or_too_large(served: Domain, alice: Person) -> None:
    path = "/v1/key-packages/claim"
    for body, code in ((b"\x18\x01", "E2"), (b"\x81\x80\x00", "E1"), (b"\x81\x01", "E6")):
        header = {"Authorization": alice.authorization("POST", path, body)}
        status, answer, _ = alice.http.raw("POST", path, body, header)
        assert (status, code in answer.decode()) == (422, True)
    big = bytes(40 * 1024)
    assert (
        alice.http.raw(
            "POST", path, big, {"Authorization": alice.authorization("POST", path, big)}
        )[0]
        == 413
    )
