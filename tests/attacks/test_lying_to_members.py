"""What a service can do to members by what it answers: nothing worse than being noticed."""

import itertools

import msgspec
import pytest
from tests.attacks.corrupt_service import refusal
from tests.support.domain import running
from tests.support.http import Http

from counterseal.client.member_device import MemberDevice
from counterseal.protocol.errors import CountersealError
from counterseal.wire.events import EVENTS, INBOX
from counterseal.wire.frames import FRAMES_POST, FrameAccepted, FramesPosted
from counterseal.wire.log import LOG_CHECKPOINT, LOG_PROOF

pytestmark = pytest.mark.system
_number = itertools.count()


@pytest.fixture
async def people(domain, corrupt, tmp_path):
    """Makes members who reach the service through the corrupt one; closes them."""
    made = []

    async def join(*names):
        number = next(_number)
        members = [
            await MemberDevice.create_account(
                tmp_path / name,
                corrupt.url,
                f"{name}-l{number}",
                demonstration=True,
                genesis=domain.genesis,
            )
            for name in names
        ]
        made.extend(members)
        return members

    yield join
    corrupt.honest()
    for member in made:
        await member.close()


def texts(member, talk):
    return [line.text for line in member.entries(talk) if line.state in ("shown", "sent")]


async def test_what_passes_through_unchanged_arrives(people, corrupt):
    """The proxy itself changes nothing: else every test here would prove nothing."""
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await alice.send(talk, "hello")
    await bob.sync()
    assert texts(bob, talk) == ["hello"]
    assert any(asked.path.endswith("/frames") for asked in corrupt.asked)


async def test_messages_cannot_be_left_out_and_then_shown_in_another_order(people, corrupt):
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    for text in ("one", "two", "three"):
        await alice.send(talk, text)

    def without_the_second(page):
        frames = [event for event in page.events if event.kind == 0]
        return msgspec.structs.replace(
            page, events=tuple(event for event in page.events if event is not frames[1])
        )

    corrupt.alter(EVENTS, without_the_second)
    try:
        await bob.sync()
    except CountersealError as error:
        assert error.message.endswith(".")
    assert "three" not in texts(bob, talk)
    corrupt.honest()
    await bob.sync()
    assert texts(bob, talk) == ["one", "two", "three"]


async def test_a_history_that_stands_still_is_caught_up_with(people, corrupt):
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    corrupt.freeze(EVENTS)
    corrupt.freeze(INBOX)
    await bob.sync()
    await alice.send(talk, "hello")
    await bob.sync()
    corrupt.honest()
    await bob.sync()
    assert texts(bob, talk) == ["hello"]


async def test_a_second_history_of_the_log_is_refused(people, corrupt, tmp_path):
    alice, bob = await people("alice", "bob")
    with running(tmp_path / "other") as other:
        corrupt.fork(LOG_CHECKPOINT, other.url)
        corrupt.fork(LOG_PROOF, other.url)
        with pytest.raises(CountersealError):
            await alice.create_conversation("", [bob.handle])
    corrupt.honest()
    await alice.create_conversation("", [bob.handle])


async def test_refused_and_hung_up_calls_leave_the_device_as_it_was(people, corrupt):
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    corrupt.say(FRAMES_POST, refusal(500))
    alice.queue(talk, "hello")
    with pytest.raises(CountersealError):
        await alice.flush(talk)
    corrupt.hang_up(FRAMES_POST)
    with pytest.raises(CountersealError):
        await alice.flush(talk)
    corrupt.honest()
    await alice.flush(talk)
    await bob.sync()
    assert texts(bob, talk) == ["hello"]


async def test_a_false_acknowledgement_wedges_nothing(people, corrupt):
    """The service keeps the frame, and acknowledges it with another number and time."""
    alice, bob = await people("alice", "bob")
    talk = await alice.create_conversation("", [bob.handle])
    await bob.sync()
    lie = FRAMES_POST.encode_answer(FramesPosted((FrameAccepted(5_000, 0),), None))
    corrupt.on(FRAMES_POST, lambda _, ask: ask()._replace(body=lie))
    try:
        await alice.send(talk, "hello")
    except CountersealError as error:
        assert error.message.endswith(".")
    corrupt.honest()
    for _ in range(2):
        await alice.sync()
    await bob.sync()
    assert texts(bob, talk) == ["hello"]


def test_the_proxy_says_what_it_was_told(domain, corrupt):
    http = Http(corrupt.url)
    assert http.raw("GET", "/v1/health")[0] == 200
    corrupt.withhold("/v1/health", 503)
    assert http.raw("GET", "/v1/health")[0] == 503
    corrupt.honest()
    corrupt.alter_value("/v1/clock", lambda value: [7, *value[1:]])
    assert http.array("GET", "/v1/clock")[0] == 7
    http.close()
