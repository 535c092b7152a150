"""An ordinary domain, by the real clock; and following through the service's death."""

import asyncio

import pytest
from tests.support.domain import running
from tests.support.refusals import refused
from tests.support.waiting import until_async

from counterseal.client.member_device import MemberDevice
from counterseal.client.windows import KEYS_KEPT

pytestmark = pytest.mark.system


@pytest.fixture
def ordinary(tmp_path):
    """A domain whose charter is no demonstration's."""
    with running(tmp_path, demonstration=False) as made:
        yield made


async def test_two_members_by_the_real_clock(ordinary, tmp_path):
    alice = await MemberDevice.create_account(
        tmp_path / "alice", ordinary.url, "alice", "Alice", genesis=ordinary.genesis
    )
    bob = await MemberDevice.create_account(tmp_path / "bob", ordinary.url, "bob", "Bob")
    async with alice, bob:
        talk = b""
        for _ in range(20):
            try:
                talk = await alice.create_conversation("", ["bob"])
                break
            except Exception as error:  # an ordinary app does not wait for the next root
                assert getattr(error, "code", "") == "no-handle", error
                await asyncio.sleep(0.5)
        heard = []
        following = asyncio.create_task(bob.follow(heard.append))
        await until_async(lambda: bob.conversations())
        await alice.send(talk, "hello")
        await until_async(lambda: "hello" in [line.text for line in heard])
        ordinary.kill()
        ordinary.restart()
        await alice.send(talk, "still there?")
        await until_async(lambda: "still there?" in [line.text for line in heard], 60)
        following.cancel()
        assert [line.text for line in heard if line.state == "shown"] == ["hello", "still there?"]
        assert "DEMONSTRATION" not in heard[0].text
        # K is erased 26 hours after the window closed, and not before
        with bob.session.transaction() as store:
            [(closes, window)] = store.device.execute(
                "SELECT closes, window FROM client_window "
                "UNION SELECT 0, x'' ORDER BY 1 DESC LIMIT 1"
            )
            assert (closes, window) == (0, b"")
            # One window, or two when an hour ended between the two messages.
            *earlier, last = sorted(closes_of(alice))
            assert store.device.window_drop_keys(last - 1) == len(earlier)
            assert store.device.window_drop_keys(last) == 1
        assert KEYS_KEPT == 26 * 3600


def closes_of(member):
    """When each of the member's own windows closes."""
    with member.session.store() as store:
        return [closes for (closes,) in store.device.execute("SELECT closes FROM client_window")]


async def test_the_address_must_be_the_pinned_domain_s(ordinary, tmp_path):
    """M7: another domain behind the same address is not believed."""
    async with await MemberDevice.create_account(
        tmp_path / "alice", ordinary.url, "alice", genesis=ordinary.genesis
    ) as alice:
        (tmp_path / "other").mkdir()
        with running(tmp_path / "other", demonstration=False) as other:
            alice.session.service.url = other.url
            with refused("M7"):
                await alice.session.directory.updates.refresh(force=True)
