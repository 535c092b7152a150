"""Objection: "whoever runs the service can change who holds the keys". A charter or a keyset that
both quorums did not sign, or that is not the one pinned, is refused by everybody who reads it."""

import msgspec
import pytest
from tests.support.full_domain import Tampered, running
from tests.support.refusals import refused

from counterseal.access.authorities import ceremony
from counterseal.access.common import keysets, signing
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.new_home import create_home
from counterseal.access.common.rules import Rules
from counterseal.protocol import cbor
from counterseal.protocol.charter import Charter
from counterseal.protocol.cose import sign
from counterseal.protocol.errors import Conflict
from counterseal.protocol.keyset import HolderKey, Keyset, ReceivedKeyset
from counterseal.protocol.quarters import quarter_of
from counterseal.protocol.verified_charter import ReceivedCharter
from counterseal.wire.keyset_draft import HolderKeyPosted, PostHolderKey, PostKeyset
from counterseal.wire.publishing import CHARTER_POST, KEYSET_POST, PostCharter
from counterseal.wire.witness import WITNESS_HOLDER_KEY

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(tmp_path_factory.mktemp("swapped"))


@pytest.fixture
def home(rig):
    return rig.custodians[0]


def successor(rig, **changes):
    before = rig.charter
    return msgspec.structs.replace(before.charter, version=2, previous=before.digest, **changes)


def signed(record, homes):
    return sign([home.signer for home in homes], record.encode())


def test_a_charter_signed_by_all_custodians_without_the_witnesses(rig):
    data = signed(successor(rig), rig.custodians)
    with refused("C18"):
        ReceivedCharter.decode(data).check(rig.charter)
    with refused("C18"):
        InstitutionClient(rig.url).post(CHARTER_POST, PostCharter(data))


def test_a_charter_signed_by_all_witnesses_without_the_custodians(rig):
    data = signed(successor(rig), rig.witnesses)
    with refused("C18"):
        ReceivedCharter.decode(data).check(rig.charter)


def test_a_charter_signed_by_the_holders_that_it_itself_brings_in(rig, tmp_path):
    """Its own new quorums do not count: the ones before it decide."""
    strangers = [create_home(tmp_path / name, "custodian", name) for name in ("x", "y", "z")]
    bodies = tuple(
        msgspec.structs.replace(
            body,
            threshold=1,
            members=(msgspec.structs.replace(body.members[0], key=stranger.signer.public),),
        )
        for body, stranger in zip(rig.charter.charter.custodians.bodies, strangers, strict=True)
    )
    record = successor(
        rig, custodians=msgspec.structs.replace(rig.charter.charter.custodians, bodies=bodies)
    )
    data = signed(record, [*strangers, *rig.witnesses])
    with refused("X4"):
        ReceivedCharter.decode(data).check(rig.charter)


def test_a_charter_that_goes_back(rig):
    record = msgspec.structs.replace(rig.charter.charter, version=3, previous=rig.charter.digest)
    data = signed(record, [*rig.custodians, *rig.witnesses])
    with refused("C19"):
        ReceivedCharter.decode(data).check(rig.charter)


def test_a_service_that_shows_another_first_charter(rig, home):
    """Signed by all the same people, but not the one that this home pinned."""
    other = signed(
        msgspec.structs.replace(rig.charter.charter, retention=10 * 86_400),
        [*rig.custodians, *rig.witnesses],
    )

    def swap(asked, data):
        return cbor.encode([[other, 0]]) if asked == "/v1/charters" else data

    with refused("C19"):
        Rules(home).sync(Tampered(rig.service_for(home), swap))


def test_a_service_that_shows_a_charter_again_with_signatures_of_its_own(rig, home, tmp_path):
    own = create_home(tmp_path / "signer", "custodian", "signer")
    again = signed(rig.charter.charter, [own])

    def swap(asked, data):
        rows = cbor.decode(data, len(data)) if asked == "/v1/charters" else ()
        return cbor.encode([*rows, [again, rows[0][1]]]) if rows else data

    with refused("C19"):
        Rules(home).sync(Tampered(rig.service_for(home), swap))


def test_a_service_that_swaps_a_custodians_key_in_the_charter(rig, home, tmp_path):
    own = create_home(tmp_path / "own", "custodian", "own")
    received = ReceivedCharter.decode(rig.charter_bytes)
    old = rig.custodians[0].signer.public
    payload = received.cose.payload.replace(old.ed25519, own.signer.public.ed25519).replace(
        old.mldsa65, own.signer.public.mldsa65
    )
    swapped = msgspec.structs.replace(received.cose, payload=payload).encode()

    def swap(asked, data):
        return cbor.encode([[swapped, 0]]) if asked == "/v1/charters" else data

    with refused("X2", "X4"):
        ReceivedCharter.decode(swapped).check(None)
    with refused("C19"):
        Rules(home).sync(Tampered(rig.service_for(home), swap))


def test_a_signer_is_shown_what_the_file_says_and_pins_it(rig, home):
    other = msgspec.structs.replace(rig.charter.charter, retention=10 * 86_400)
    with pytest.raises(Conflict):
        ceremony.sign_charter(home, other.encode())


def show_keyset(rig, home, change):
    """Shows a home the domain's keyset with its payload changed and signed by whom the service can
    get to sign: nobody.
    """
    [row] = rig.rules(home).keysets.values()
    received = ReceivedKeyset.decode(row.statement)
    statement = msgspec.structs.replace(
        received.cose, payload=change(received.keyset).encode()
    ).encode()

    def swap(asked, data):
        if asked.startswith("/v1/keysets/"):
            return cbor.encode([[row.keyset.quarter, statement, 1]])
        return data

    Rules(home).sync(Tampered(rig.service_for(home), swap))


def test_a_keyset_with_a_key_of_the_services_own(rig, home):
    """The service takes a holder's place with a key that it drew itself (K3)."""
    stranger = create_home(rig.folder / "stranger", "custodian", "stranger")

    def change(keyset):
        record = HolderKey(
            keyset.domain, keyset.charter_digest, keyset.quarter, 0, stranger.reader.public
        )
        keys = (sign([stranger.signer], record.encode()), *keyset.holder_keys[1:])
        return msgspec.structs.replace(keyset, holder_keys=keys)

    with refused("K3"):
        show_keyset(rig, home, change)


def test_a_keyset_with_two_holders_keys_exchanged(rig, home):
    def change(keyset):
        first, second, *rest = keyset.holder_keys
        return msgspec.structs.replace(keyset, holder_keys=(second, first, *rest))

    with refused("K3"):
        show_keyset(rig, home, change)


def test_a_keyset_that_nobody_signed_again_after_it_was_changed(rig, home):
    def change(keyset):
        key = keyset.ledger_key
        return msgspec.structs.replace(
            keyset, ledger_key=msgspec.structs.replace(key, commitment=b"\x07" * 32)
        )

    with refused("X2"):
        show_keyset(rig, home, change)


def test_a_keyset_without_the_witnesses(rig, home):
    """All custodians together sign a keyset for the next quarter: it needs c witnesses (K7)."""
    quarter = quarter_of(rig.now()) + 1
    for one in rig.custodians:
        keysets.deliver(one, rig.charter, quarter, rig.service_for(one))
    rules = rig.rules(home)
    # the witnesses deliver their keys, too
    ceremony.assemble_keyset(rig.service_for(home), rules, quarter)
    payload = keysets.draft(rig.service_for(home), quarter)
    data = sign([one.signer for one in rig.custodians], payload)
    with refused("K7"):
        ceremony.publish_keyset(InstitutionClient(rig.url), rules, data)
    with refused("K7"):
        InstitutionClient(rig.url).post(KEYSET_POST, PostKeyset(data))


def test_a_delivered_key_that_the_service_leaves_out(rig, home):
    """Every signer that knows of the delivery refuses (K6); its own holder does by itself (K3)."""
    quarter = quarter_of(rig.now()) + 1
    rules = rig.rules(home)
    payload = keysets.draft(rig.service_for(home), quarter)
    record = Keyset.decode(payload)
    without = msgspec.structs.replace(record, holder_keys=(*record.holder_keys[:-1], None)).encode()
    missing = record.holder_keys[-1] or b""
    with refused("K6"):
        keysets.check_draft(home, rules, without, quarter, [missing])
    own = rules.latest.positions[home.signer.kid]
    keys = list(record.holder_keys)
    keys[own] = None
    hidden = msgspec.structs.replace(record, holder_keys=tuple(keys)).encode()
    with refused("K3", "K6"):
        keysets.check_draft(home, rules, hidden, quarter)


def test_a_second_key_for_one_place(rig):
    """A witness keeps the first key that a holder delivers; another is a conflict that it can
    show.
    """
    home, quarter = rig.custodians[1], quarter_of(rig.now()) + 2
    position = rig.charter.positions[home.signer.kid]
    witness = InstitutionClient(rig.witnesses[0].card.url)
    charter = rig.charter

    def statement(name):
        xwing = create_home(rig.folder / name, "reader", "key").reader.public
        record = HolderKey(charter.charter.domain, charter.digest, quarter, position, xwing)
        return sign([home.signer], record.encode())

    request = PostHolderKey(statement("first"))
    assert witness.post(WITNESS_HOLDER_KEY, request) == HolderKeyPosted(position)
    with pytest.raises(Conflict):
        witness.post(WITNESS_HOLDER_KEY, PostHolderKey(statement("second")))


def test_signatures_over_two_drafts_do_not_make_one(rig, home):
    first = sign([home.signer], rig.charter.charter.encode())
    second = sign(
        [rig.custodians[1].signer],
        msgspec.structs.replace(rig.charter.charter, retention=1).encode(),
    )
    with refused("X4"):
        signing.merge([first, second], Charter.limit)
