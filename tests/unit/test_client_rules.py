"""What a device makes of the charters and keysets that are in its store."""

import pytest
from tests.support import world

from counterseal.client.home import DeviceHome, Pins
from counterseal.client.policy import Need
from counterseal.client.rules import DeviceRules
from counterseal.client.store.rules import KnownCharter, KnownKeyset
from counterseal.protocol import cbor
from counterseal.protocol.errors import Refused, Unavailable
from counterseal.protocol.quarters import quarter_of

CHARTER = world.verified()
KEYSET = world.verified_keyset(CHARTER)
QUARTER = KEYSET.keyset.quarter


@pytest.fixture
def store(tmp_path):
    pins = Pins("http://127.0.0.1:1", world.DOMAIN, "ab" * 32, False, ("a", "b"), ("c", "d"), ())
    with DeviceHome.create(tmp_path / "member", pins).store() as store:
        yield store


def keep(store, *, in_force=True, keyset=True):
    store.rules.add_charter(KnownCharter(CHARTER.digest, 1, CHARTER.statement, 3, 99))
    if keyset:
        packed = cbor.encode([KEYSET.statement, list(KEYSET.keys)])
        store.rules.add_keyset(KnownKeyset(KEYSET.digest, CHARTER.digest, QUARTER, packed, 4))
    if in_force:
        store.settings.charter_in_force = CHARTER.digest


def test_nothing_is_known_before_it_is_stored(store):
    rules = DeviceRules(CHARTER.digest)
    for ask in (
        lambda: rules.charter(store, CHARTER.digest),
        lambda: rules.in_force(store),
        lambda: rules.context(store, world.T0),
    ):
        with pytest.raises(Need) as need:
            ask()
        assert need.value.charters
    assert rules.is_behind(store, world.T0)
    keep(store)
    assert rules.charter(store, CHARTER.digest).charter == CHARTER.charter
    assert rules.in_force(store).digest == CHARTER.digest


def test_a_charter_that_is_listed_is_not_yet_in_force(store):
    keep(store, in_force=False)
    rules = DeviceRules(CHARTER.digest)
    assert rules.charter(store, CHARTER.digest).digest == CHARTER.digest
    with pytest.raises(Need):
        rules.in_force(store)


def test_the_context_of_a_time(store):
    keep(store)
    rules = DeviceRules(CHARTER.digest)
    now = next(
        t
        for t in range(world.T0, world.T0 + 400 * world.DAY, world.DAY)
        if quarter_of(t) == QUARTER
    )
    context = (CHARTER.digest, QUARTER, KEYSET.digest)
    assert rules.context(store, now) == context
    assert not rules.is_behind(store, now)
    later = next(t for t in range(now, now + 400 * world.DAY, world.DAY) if quarter_of(t) > QUARTER)
    assert rules.context(store, later) == context, "until the quarter's own is logged"
    assert rules.is_behind(store, later)
    assert rules.charter_version(store, context) == 1
    for other in (
        (b"?" * 32, QUARTER, KEYSET.digest),
        (CHARTER.digest, QUARTER + 1, KEYSET.digest),
        (CHARTER.digest, QUARTER, b"?" * 32),
    ):
        assert rules.charter_version(store, other) is None


def test_without_a_keyset_nothing_is_sent(store):
    keep(store, keyset=False)
    with pytest.raises(Unavailable, match="keyset"):
        DeviceRules(CHARTER.digest).context(store, world.T0)


def test_a_store_of_another_domain_is_refused(store):
    """M7."""
    keep(store)
    with pytest.raises(Refused, match="M7"):
        DeviceRules(b"?" * 32).trusted(store)
