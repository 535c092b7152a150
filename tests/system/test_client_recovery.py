"""An account outlives its devices: 24 words bring it back, and end what was lost."""

import itertools

import pytest

from counterseal.client import membership, recovery, recovery_phrase
from counterseal.client.home import DeviceHome
from counterseal.client.member_device import MemberDevice
from counterseal.protocol.errors import (
    BadInput,
    Conflict,
    CountersealError,
    NotAuthorised,
    NotFound,
    Refused,
)

pytestmark = pytest.mark.system
_number = itertools.count()


@pytest.fixture
async def talking(domain, tmp_path):
    """Alice and Bob in a conversation, and Alice's phrase."""
    number = next(_number)
    made: dict = {}
    for name in ("alice", "bob"):
        made[name] = await MemberDevice.create_account(
            tmp_path / name,
            domain.url,
            f"{name}-r{number}",
            demonstration=True,
            genesis=domain.genesis,
            hold=False,
        )
    made["talk"] = await made["alice"].create_conversation("", [made["bob"].handle])
    await made["bob"].sync()
    made["phrase"] = " ".join(MemberDevice.show_phrase(tmp_path / "alice"))
    yield made
    for name in ("alice", "bob"):
        await made[name].close()


async def find(domain, home, handle, phrase):
    return await MemberDevice.find_lost_account(
        home, domain.url, handle, phrase, demonstration=True, genesis=domain.genesis
    )


def texts(member, talk):
    return [line.text for line in member.entries(talk) if line.state in ("shown", "sent")]


async def test_whoever_lost_every_device_is_back_in_the_conversation(domain, talking, tmp_path):
    alice, bob, talk = talking["alice"], talking["bob"], talking["talk"]
    found = await find(domain, tmp_path / "new", alice.handle, talking["phrase"])
    assert set(found.added) == {alice.device}
    assert repr(found.entropy) not in repr(found)
    async with await MemberDevice.come_back(found, lost=set(found.added)) as back:
        assert (back.account, back.handle) == (alice.account, alice.handle)
        assert back.device != alice.device

        # what was lost is out, at once: it can ask for nothing any more
        with pytest.raises(CountersealError):
            await alice.sync()

        bob.session.directory.expire()
        bob.session._done.clear()
        await bob.session.directory.accounts.learn(alice.account)
        await bob.sync()
        await bob.send(talk, "welcome back")
        await back.sync()
        assert texts(back, talk) == ["welcome back"]
        await back.send(talk, "hello again")
        await bob.sync()
        assert texts(bob, talk) == ["welcome back", "hello again"]

        # and it may do what only a main device does
        devices = {row.device: row.revoked for row in await back.linked_devices()}
        assert devices[alice.device] is not None
        assert devices[back.device] is None


async def test_who_cannot_be_brought_back_keeps_nobody_else_waiting(
    domain, talking, tmp_path, monkeypatch
):
    """A key package that is no good, say: what this device has to do besides is done."""
    alice, bob, talk = talking["alice"], talking["bob"], talking["talk"]
    found = await find(domain, tmp_path / "new", alice.handle, talking["phrase"])
    async with await MemberDevice.come_back(found, lost=set(found.added)):
        await bob.session.directory.accounts.learn(alice.account)
        tried = []

        async def refuses(_, conversation, leaves):
            tried.append((conversation, leaves))
            raise Refused("mls", "A key package that the service handed out is no good.")

        monkeypatch.setattr(membership, "add_leaves", refuses)
        bob.queue(talk, "on its way")
        await bob.sync()
        assert tried
        assert texts(bob, talk) == ["on its way"]


async def test_a_stolen_main_device_cannot_take_the_account(domain, talking, tmp_path):
    """With the account's key replaced, the old one signs nothing, and the phrase still does."""
    alice = talking["alice"]
    found = await find(domain, tmp_path / "new", alice.handle, talking["phrase"])
    back = await MemberDevice.come_back(found, lost=set(), replace_key=True)
    async with back:
        with pytest.raises(NotAuthorised, match="replaced"):
            await alice.revoke(back.device)
        await back.revoke(alice.device)
    again = await find(domain, tmp_path / "third", alice.handle, talking["phrase"])
    assert again.generation == 1
    async with await MemberDevice.come_back(again, lost={back.device}) as third:
        assert [row.device for row in await third.linked_devices() if row.revoked is None] == [
            third.device
        ]


async def test_a_recovery_cut_short_goes_on_in_the_same_folder(domain, talking, tmp_path):
    alice = talking["alice"]
    found = await find(domain, tmp_path / "new", alice.handle, talking["phrase"])
    posted = 0
    original = found.home
    real = recovery._post

    async def once(*arguments):
        nonlocal posted
        posted += 1
        if posted > 1:
            raise CountersealError("cut short.")
        return await real(*arguments)

    recovery._post = once
    try:
        with pytest.raises(CountersealError, match="cut short"):
            await MemberDevice.come_back(found, lost={alice.device}, replace_key=True)
    finally:
        recovery._post = real
    again = await find(domain, tmp_path / "new", alice.handle, talking["phrase"])
    assert (again.device, again.generation) == (found.device, 1)
    assert again.home.path == original.path
    async with await MemberDevice.come_back(again, lost={alice.device}, replace_key=True) as back:
        third = await find(domain, tmp_path / "third", alice.handle, talking["phrase"])
        assert third.generation == 1  # it was not replaced twice
        assert back.device == found.device


async def test_another_phrase_or_a_stranger_gets_the_same_answer(domain, talking, tmp_path):
    other = " ".join(recovery_phrase.spell(bytes(32)))
    messages = set()
    for number, handle in enumerate((talking["alice"].handle, "nobody-has-this")):
        with pytest.raises(Refused, match="A10") as error:
            await find(domain, tmp_path / f"x{number}", handle, other)
        messages.add(error.value.message.replace(handle, "HANDLE"))
        assert not (tmp_path / f"x{number}").exists()
    assert len(messages) == 1
    with pytest.raises(Conflict):
        await find(domain, tmp_path / "bob", talking["alice"].handle, talking["phrase"])


async def test_only_main_devices_approve(domain, talking, tmp_path):
    alice = talking["alice"]
    members = []
    for name, main in (("phone", False), ("laptop", True)):
        request = await MemberDevice.request_link(
            tmp_path / name, domain.url, await alice.invite(), demonstration=True
        )
        reply = await alice.approve(request.encode(), main=main)
        await MemberDevice.finish_link(tmp_path / name, reply)
        members.append(await MemberDevice.open(tmp_path / name, hold=False))
    phone, laptop = members
    with pytest.raises(NotAuthorised, match="main"):
        await phone.revoke(alice.device)
    await laptop.revoke(phone.device)
    with pytest.raises(NotFound):
        MemberDevice.show_phrase(tmp_path / "laptop")
    for member in members:
        await member.close()


async def test_the_phrase_is_kept_behind_the_passphrase_or_nowhere(domain, tmp_path, monkeypatch):
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse")
    monkeypatch.setenv("COUNTERSEAL_PASSPHRASE_FILE", str(secret))
    number = next(_number)
    for name, passphrase in (("open", None), ("locked", "correct horse")):
        made = await MemberDevice.create_account(
            tmp_path / name,
            domain.url,
            f"{name}-r{number}",
            demonstration=True,
            passphrase=passphrase,
            hold=False,
        )
        await made.close()
        words = MemberDevice.show_phrase(tmp_path / name)
        with pytest.raises(BadInput, match="Word 3"):
            MemberDevice.confirm_phrase(tmp_path / name, [2, 3], [words[1], "other"])
        if passphrase is not None:
            # typed wrong the second time: sealed under it, the words would be lost
            home = DeviceHome.load(tmp_path / name)
            secret.write_text("correct hoarse")
            with pytest.raises(BadInput, match="passphrase"):
                recovery.confirm_phrase(home, [2], [words[1]], None)
            secret.write_text("correct horse")
        MemberDevice.confirm_phrase(tmp_path / name, [2, 3], [words[1], words[2]])
        with DeviceHome.load(tmp_path / name).store() as store:
            assert store.settings.recovery is None
        if passphrase is None:
            with pytest.raises(NotFound):
                MemberDevice.show_phrase(tmp_path / name)
        else:
            assert MemberDevice.show_phrase(tmp_path / name) == words
