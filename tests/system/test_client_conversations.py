"""Members' devices through the real service: who reads what, and what every change of membership
does to it.
"""

import asyncio
import itertools

import pytest

from counterseal.client import linking, own_devices
from counterseal.client.home import DeviceHome
from counterseal.client.member_device import MemberDevice
from counterseal.protocol.errors import BadInput, Conflict, NotAuthorised, NotFound, Refused
from counterseal.wire.frames import FRAMES_POST
from counterseal.wire.periods import FRAME_INCLUSION

pytestmark = pytest.mark.system
_number = itertools.count()


@pytest.fixture
async def people(domain, tmp_path):
    """Makes members with handles of their own; closes them."""
    made = []

    async def join(*names):
        number = next(_number)
        members = [
            await MemberDevice.create_account(
                tmp_path / name,
                domain.url,
                f"{name}{number}",
                name.title(),
                demonstration=True,
                genesis=domain.genesis,
            )
            for name in names
        ]
        made.extend(members)
        return members

    yield join
    for member in made:
        await member.close()


def texts(member, conversation):
    return [line.text for line in member.entries(conversation) if line.state in ("shown", "sent")]


def notes(member, conversation):
    return " ".join(line.text for line in member.entries(conversation) if line.state == "note")


async def test_two_members_talk(people):
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await alice.send(talk, "hello")
    await bob.sync()
    await bob.send(talk, "hello yourself")
    await alice.sync()
    assert texts(alice, talk) == texts(bob, talk) == ["hello", "hello yourself"]
    assert "Charter 1 of chat.example.org" in notes(bob, talk)
    assert "2 of 3 witnesses" in notes(bob, talk)


async def test_three_members_and_who_comes_later_reads_nothing_older(people):
    alice, bob, carol = await people("alice", "bob", "carol")
    talk = await alice.create_conversation("", [bob.handle])
    await alice.send(talk, "before")
    await bob.sync()
    await bob.add(talk, [carol.handle])
    await bob.send(talk, "after")
    for member in (alice, carol):
        await member.sync()
    assert texts(carol, talk) == ["after"]
    assert texts(alice, talk) == ["before", "after"]
    assert f"added {carol.handle}" in notes(alice, talk)


async def test_who_was_removed_reads_nothing_more_and_cannot_send(people):
    alice, bob, carol = await people("alice", "bob", "carol")
    talk = await alice.create_conversation("", [bob.handle, carol.handle])
    for member in (bob, carol):
        await member.sync()
    await alice.remove(talk, bob.handle)
    await alice.send(talk, "without bob")
    for member in (bob, carol):
        await member.sync()
    assert texts(carol, talk) == ["without bob"]
    assert texts(bob, talk) == []
    assert "removed this device" in notes(bob, talk)
    with pytest.raises(BadInput, match="left"):
        await bob.send(talk, "still here?")


async def test_leaving_is_committed_by_whoever_is_active_next(people):
    alice, bob, carol = await people("alice", "bob", "carol")
    talk = await alice.create_conversation("", [bob.handle, carol.handle])
    for member in (bob, carol):
        await member.sync()
    await bob.leave(talk)
    with pytest.raises(BadInput, match="leaving"):
        await bob.send(talk, "one more thing")
    await carol.sync()
    await carol.send(talk, "is he gone?")
    for member in (alice, bob, carol):
        await member.sync()
    assert texts(alice, talk) == ["is he gone?"]
    assert texts(bob, talk) == []
    assert "You have left" in notes(bob, talk)
    assert f"{bob.handle} left." in notes(alice, talk)


async def test_removed_and_added_again(people):
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await alice.send(talk, "one")
    await bob.sync()
    await alice.remove(talk, bob.handle)
    await alice.send(talk, "two")
    await bob.sync()
    await alice.add(talk, [bob.handle])
    await alice.send(talk, "three")
    await bob.sync()
    assert texts(bob, talk) == ["one", "three"]
    await bob.send(talk, "four")
    await alice.sync()
    assert texts(alice, talk) == ["one", "two", "three", "four"]


async def test_races_for_an_epoch_are_lost_and_made_good(people):
    alice, bob, carol, dave, erin = await people("alice", "bob", "carol", "dave", "erin")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    await asyncio.gather(
        alice.add(talk, [carol.handle]),
        bob.add(talk, [dave.handle]),
        alice.send(talk, "from alice"),
        bob.send(talk, "from bob"),
    )
    await asyncio.gather(alice.add(talk, [erin.handle]), bob.add(talk, [erin.handle]))
    members = (alice, bob, carol, dave, erin)
    for member in members:
        await member.sync()
    await erin.send(talk, "all here")
    for member in members:
        await member.sync()
        assert texts(member, talk)[-1] == "all here"
        assert member.counts().refused == member.counts().queued == 0
        with member.session.store() as store:
            assert len(store.device.group_view(talk).roster) == 5
    assert (
        sorted(texts(alice, talk))
        == sorted(texts(bob, talk))
        == ["all here", "from alice", "from bob"]
    )


async def test_many_senders_at_once_keep_their_own_order(people):
    members = await people("alice", "bob", "carol")
    talk = await members[0].create_conversation("", [member.handle for member in members[1:]])
    for member in members:
        await member.sync()

    async def chatter(member, name):
        for number in range(15):
            await member.send(talk, f"{name} {number}")

    await asyncio.gather(
        *(chatter(member, name) for member, name in zip(members, "abc", strict=True))
    )
    for member in members:
        assert (await member.sync()).refused == 0
    for member in members:
        found = texts(member, talk)
        assert len(found) == 45
        for name in "abc":
            assert [text for text in found if text.startswith(name)] == [
                f"{name} {number}" for number in range(15)
            ]


async def test_off_for_a_week_of_windows_and_commits(domain, people):
    alice, bob, carol = await people("alice", "bob", "carol")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    for day in range(8):
        domain.step(domain.now() + 86_400)
        await alice.session.now(fresh=True)
        await alice.send_many(talk, [(f"day {day} message {number}", None) for number in range(5)])
        await (
            alice.add(talk, [carol.handle]) if day % 2 == 0 else alice.remove(talk, carol.handle)
        )
        await alice.send(talk, f"day {day} evening")
    domain.next_period()
    counts = await bob.sync()
    assert (counts.shown, counts.refused, counts.pending) == (48, 0, 0)
    assert texts(bob, talk) == texts(alice, talk)
    await bob.send(talk, "back")
    await alice.sync()
    assert texts(alice, talk)[-1] == "back"


async def test_a_frame_of_a_period_that_is_over_waits_for_its_proof(domain, people):
    """F11."""
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    await alice.session.now(fresh=True)
    await alice.send(talk, "in time")
    now = domain.next_period()
    restore = instead_of(bob, FRAME_INCLUSION, NotFound("not yet"))
    assert (await bob.sync()).pending == 1
    assert texts(bob, talk) == []
    assert [line.text for line in bob.entries(talk) if line.state == "pending"] == [""]
    restore()
    counts = await bob.sync()
    assert (counts.pending, counts.shown) == (0, 1)
    assert texts(bob, talk) == ["in time"]
    assert domain.now() == now


async def test_a_message_that_waited_goes_into_the_next_window(domain, people):
    """V3: the window is over, so what was sealed is taken back and sealed anew."""
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    await alice.session.now(fresh=True)
    await alice.send(talk, "first")
    restore = instead_of(alice, FRAMES_POST, ConnectionError())
    with pytest.raises(ConnectionError):
        await alice.send(talk, "second")
    assert alice.counts().queued == 1
    restore()
    domain.next_period(2)
    await alice.sync()
    await bob.sync()
    assert texts(bob, talk) == texts(alice, talk) == ["first", "second"]
    assert bob.counts().refused == 0
    sent = [line.sent_at_ms for line in alice.entries(talk) if line.state == "sent"]
    assert sent[1] // 1000 == domain.now()


def instead_of(member, endpoint, error):
    """Has `error` raised in the place of one of the member's calls; returns what undoes that."""
    service = member.session.service
    honest = service.call

    async def call(asked, *request, **parts):
        if asked is endpoint:
            raise error
        return await honest(asked, *request, **parts)

    service.call = call
    return lambda: setattr(service, "call", honest)


async def link(alice, folder, domain):
    """A second device of alice's, in the four steps that people do."""
    code = await linking.invite(alice.session)
    request = await linking.request(folder, domain.url, code, demonstration=True)
    assert "nothing older" in linking.describe(alice.session, request.encode())
    reply = await linking.approve(alice.session, request.encode())
    await linking.finish(DeviceHome.load(folder), reply)
    return await MemberDevice.open(folder)


async def test_a_linked_device_reads_from_now_on(domain, people, tmp_path):
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    await bob.send(talk, "old")
    async with await link(alice, tmp_path / "phone", domain) as phone:
        await alice.sync()
        await bob.sync()
        await bob.send(talk, "new")
        for member in (alice, phone):
            await member.sync()
        assert texts(phone, talk) == ["new"]
        assert texts(alice, talk) == ["old", "new"]
        await phone.send(talk, "from my phone")
        for member in (alice, bob):
            await member.sync()
        assert texts(bob, talk)[-1] == texts(alice, talk)[-1] == "from my phone"
        assert {line.sender for line in bob.entries(talk) if line.text == "from my phone"} == {
            alice.handle
        }
        other = await bob.create_conversation("", [alice.handle])
        await bob.send(other, "to both of your devices")
        for member in (alice, phone):
            await member.sync()
            assert texts(member, other) == ["to both of your devices"]
        with pytest.raises(NotAuthorised, match="main devices"):
            await linking.invite(phone.session)


async def test_a_revoked_device_is_out(domain, people, tmp_path):
    """F3: its frames are refused; every conversation loses its leaf."""
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    async with await link(alice, tmp_path / "phone", domain) as phone:
        for member in (alice, phone, bob):
            await member.sync()
        await phone.send(talk, "while it was mine")
        await own_devices.revoke(alice.session, phone.device)
        with pytest.raises(NotAuthorised, match="revoked"):
            await phone.send(talk, "after")
        await alice.send(talk, "the phone is gone")
        await bob.sync()
        assert texts(bob, talk) == ["while it was mine", "the phone is gone"]
        with bob.session.store() as store:
            assert phone.device not in [
                device for _, device in store.device.group_view(talk).roster
            ]
        with pytest.raises(Refused, match="A6"):
            await own_devices.revoke(alice.session, bytes(32))


async def test_a_request_for_a_place_that_is_taken_is_refused(domain, people, tmp_path):
    alice, mallory = await people("alice", "mallory")
    code = await linking.invite(alice.session)
    first = await linking.request(tmp_path / "one", domain.url, code, demonstration=True)
    second = await linking.request(tmp_path / "two", domain.url, code, demonstration=True)
    await linking.approve(alice.session, first.encode())
    assert await linking.approve(alice.session, first.encode())  # again: no harm, another reply
    with pytest.raises(Conflict, match="moved on"):
        await linking.approve(alice.session, second.encode())
    with pytest.raises(Refused, match="another account"):
        linking.describe(mallory.session, first.encode())
    with pytest.raises(BadInput, match="device invite"):
        linking.read_code("alice")
    with pytest.raises(BadInput, match="not whole"):
        linking.read_code(code[:-7])


async def test_a_new_keyset_is_moved_to_by_the_next_sender(domain, people):
    from counterseal.protocol.quarters import quarter_of

    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await alice.send(talk, "this quarter")
    await bob.sync()
    before = domain.keysets[-1]
    domain.step((domain.now() // 86_400 + 93) * 86_400)
    new = domain.publish_keyset(quarter_of(domain.now()))
    await alice.session.now(fresh=True)
    await alice.session.directory.updates.refresh(force=True)
    await alice.send(talk, "next quarter")
    await bob.sync()
    await bob.send(talk, "so it is")
    await alice.sync()
    assert texts(alice, talk) == texts(bob, talk) == ["this quarter", "next quarter", "so it is"]
    for member in (alice, bob):
        assert member.counts().refused == 0
        with member.session.store() as store:
            assert store.device.group_view(talk).keyset_digest == new.digest != before.digest


async def test_a_new_charter_is_shown_to_everybody_before_the_next_message(domain, people):
    alice, bob, carol = await people("alice", "bob", "carol")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    await alice.send(talk, "under the first")
    changed = domain.publish_charter(domain.next_charter(retention=90 * 86_400))
    domain.publish_keyset(domain.keysets[-1].keyset.quarter)
    await alice.session.directory.updates.refresh(force=True)
    await alice.send(talk, "under the second")
    await bob.sync()
    order = [line.text[:12] for line in bob.entries(talk)]
    assert order.index("A new charte") == order.index("under the se") - 1
    assert f"Charter {changed.charter.version} of" in notes(bob, talk)
    await bob.add(talk, [carol.handle])
    await carol.sync()
    await carol.send(talk, "and I know only this one")
    for member in (alice, bob):
        await member.sync()
        assert texts(member, talk)[-1] == "and I know only this one"
        assert member.counts().refused == 0


async def test_a_leaf_is_made_anew_after_a_month(people):
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    await alice.send(talk, "one")
    with alice.session.transaction() as store:
        epoch = store.device.group_view(talk).epoch
        store.settings.set_leaf_made(talk, 1)
    await alice.send(talk, "two")
    await alice.send(talk, "three")
    await bob.sync()
    assert texts(bob, talk) == ["one", "two", "three"]
    with alice.session.store() as store:
        assert store.device.group_view(talk).epoch == epoch + 1


async def test_following_shows_what_comes_and_new_conversations(people):
    alice, bob = await people("alice", "bob")
    heard = []
    following = asyncio.create_task(bob.follow(heard.append))
    await asyncio.sleep(0.3)
    talk = await alice.create_conversation("", [bob.handle])
    await alice.send(talk, "hello")
    own = await bob.create_conversation("", [alice.handle])
    await alice.sync()
    await alice.send(own, "thanks for asking")
    for _ in range(200):
        if {"hello", "thanks for asking"} <= {line.text for line in heard}:
            break
        await asyncio.sleep(0.05)
    following.cancel()
    assert [line.text for line in heard if line.state == "shown"] == ["hello", "thanks for asking"]
