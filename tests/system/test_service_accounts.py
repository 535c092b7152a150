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
from tests.service_domain import DOMAIN, Domain, Person, domain_in, eventually, refused

from counterseal.protocol import cbor
from counterseal.protocol.account import AccountKey, Device, DeviceRevoked, VerifiedChain, sign_link
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.tlog.directory import decode_lookup

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    for domain in domain_in(tmp_path_factory.mktemp("accounts")):
        domain.ready()
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
        index, _, _, _ = eventually(
            lambda entry=entry: served.http.array("GET", f"/v1/log/proof/{entry.hex()}")
        )
        assert index == row[3]


def test_same_account_again_gets_the_same_answer(served: Domain) -> None:
    person = Person(served, "again", register=False)
    assert person.register() == person.register()


def test_taken_handle(served: Domain, alice: Person) -> None:
    other = Person(served, "alice2", register=False)
    other.handle = "alice"
    assert refused(other.register) == (409, "handle")
    other.handle = f"@alice:{DOMAIN}"
    assert refused(other.register) == (409, "handle")


@pytest.mark.parametrize("handle", ["", "-x", "Alice", "a b", "x" * 65, "ä", "@a:other.example"])
def test_handle_of_another_form(served: Domain, handle: str) -> None:
    person = Person(served, f"form{os.urandom(4).hex()}", register=False)
    person.handle = handle
    assert refused(person.register)[1] == "handle-form"


def test_another_devices_account(served: Domain) -> None:
    mallory, victim = (
        Person(served, "mallory", register=False),
        Person(served, "victim", register=False),
    )
    mallory.account = victim.account
    body = ["victim", victim.account_statement, list(victim.device_statement)]
    assert refused(lambda: mallory.call("POST", "/v1/accounts", body)) == (403, "first-device")


def test_unsigned_and_badly_signed_requests(served: Domain, alice: Person) -> None:
    get = served.http.array
    assert refused(lambda: get("GET", "/v1/inbox")) == (401, "no-authorization")
    header = alice.authorization("GET", "/v1/inbox?after=0", b"")
    assert refused(lambda: get("GET", "/v1/inbox?after=1", None, {"Authorization": header})) == (
        401,
        "signature",
    )
    for broken in ("", "x", header[:-2], header + ".x", header.replace(".", "..", 1)):
        assert (
            refused(lambda broken=broken: get("GET", "/v1/inbox", None, {"Authorization": broken}))[
                0
            ]
            == 401
        )


def test_stale_and_repeated_requests(served: Domain, alice: Person) -> None:
    now = int(time.time() * 1000)
    for moment in (now - 121_000, now + 125_000):
        header = alice.authorization("GET", "/v1/inbox", b"", moment)
        assert refused(
            lambda header=header: served.http.array(
                "GET", "/v1/inbox", None, {"Authorization": header}
            )
        ) == (401, "stale-request")
    header = alice.authorization("GET", "/v1/inbox", b"")
    assert served.http.array("GET", "/v1/inbox", None, {"Authorization": header}) == ((),)
    assert refused(
        lambda: served.http.array("GET", "/v1/inbox", None, {"Authorization": header})
    ) == (401, "replayed")


def test_unknown_device(served: Domain) -> None:
    stranger = Person(served, "stranger", register=False)
    assert refused(lambda: stranger.call("GET", "/v1/conversations")) == (403, "unknown-device")


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
    assert refused(lambda: carol.call("GET", "/v1/conversations")) == (403, "revoked")
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
    assert refused(lambda: erin.call("POST", path, linked(erin, late, new))) == (422, "A2")
    foreign = sign_link(
        Ed25519PrivateKey.generate(), Device(erin.account, erin.head, 2, public, 1), new
    )
    cose, possession = cbor.decode(foreign, 8192)
    assert refused(lambda: erin.call("POST", path, ["device", cose, possession])) == (422, "A3")
    assert (
        refused(lambda: erin.call("POST", path, ["device-revoked", cose, possession]))[1] == "kind"
    )
    replaced = AccountKey(erin.account, erin.head, 2, public, 1)
    erin.call("POST", path, linked(erin, replaced, new))
    assert refused(lambda: erin.call("POST", path, linked(erin, replaced, new))) == (422, "A2")


def test_device_of_another_account_is_refused(served: Domain, alice: Person) -> None:
    """The service cannot be made to give one device two accounts."""
    frank = Person(served, "frank")
    record = Device(frank.account, frank.head, 2, alice.device, 1)
    path = f"/v1/accounts/{frank.account.hex()}/statements"
    assert refused(
        lambda: frank.call("POST", path, linked(frank, record, alice.device_private))
    ) == (409, "device")


def test_handle_is_proved_present_or_absent(served: Domain, alice: Person) -> None:
    account, proof, record, index = eventually(lambda: alice.call("GET", "/v1/handles/alice"))
    root = DirectoryRoot.decode(record)
    assert account == alice.account
    assert decode_lookup(proof).verify(root.root, "alice").expect(alice.account).head == alice.head
    entry = H([tag("entry"), record])
    assert eventually(lambda: served.http.array("GET", f"/v1/log/proof/{entry.hex()}"))[0] == index
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
    assert refused(lambda: alice.call("PUT", path, ["ä" * 101]))[0] == 400
    assert refused(lambda: Person(served, "nosy").call("PUT", path, ["x"])) == (
        403,
        "other-account",
    )


def test_account_statements_want_a_device(served: Domain, alice: Person) -> None:
    entry = H([tag("entry"), alice.account_statement]).hex()
    assert refused(lambda: served.http.array("GET", f"/v1/statements/{entry}"))[0] == 401
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
