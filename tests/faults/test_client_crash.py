"""A member's device killed at every durable step: nothing acknowledged is lost, nothing is shown
twice, nothing stays stuck.
"""

import itertools
import json
import signal

import pytest
from tests.support.agents import AgentDied, AgentProcess, Device

from counterseal import failpoint

pytestmark = [pytest.mark.system, pytest.mark.slow]
_number = itertools.count()
SENDING = [
    name
    for name in failpoint.DEVICE_STEPS
    if name.partition(".")[0] in ("queue", "window", "seal", "frames", "ack")
]
RECEIVING = [name for name in failpoint.DEVICE_STEPS if name.partition(".")[0] in ("event", "join")]
CHANGING = [
    name for name in failpoint.DEVICE_STEPS if name.partition(".")[0] in ("commit", "event")
]


@pytest.fixture
def people(domain, tmp_path):
    """Makes accounts by name, each on a device of its own."""
    made = []

    def make(*names):
        for name in names:
            device = Device(tmp_path / name)
            made.append(device)
            device.create(domain, f"{name}-crash{next(_number)}")
        return made[-len(names) :]

    yield make
    for device in made:
        device.close()


@pytest.fixture
def pair(people):
    """Two accounts."""
    return people("alice", "bob")


@pytest.fixture
def talk(pair):
    """A conversation that both are in."""
    alice, bob = pair
    made = alice.do(do="conversation", members=[bob.handle])["conversation"]
    bob.do(do="sync")
    return made


@pytest.mark.parametrize("place", SENDING)
@pytest.mark.parametrize("time", [1, 2])
def test_a_sender_killed_anywhere_loses_nothing_and_says_nothing_twice(pair, talk, place, time):
    alice, bob = pair
    acknowledged = []
    died = False
    alice.restart(f"{place}:{time}")
    try:
        for number in range(3):
            alice.do(do="send", conversation=talk, text=f"message {number}")
            acknowledged.append(f"message {number}")
    except AgentDied as end:
        died = True
        assert end.status == -signal.SIGKILL
    assert died or (place.startswith("window") and time == 2)  # one window serves for all three
    alice.restart()
    mine, theirs = alice.texts(talk), bob.texts(talk)
    assert mine == theirs
    assert len(set(theirs)) == len(theirs)
    assert theirs[: len(acknowledged)] == acknowledged
    assert len(theirs) <= len(acknowledged) + 1
    alice.do(do="send", conversation=talk, text="and on it goes")
    assert bob.texts(talk)[-1] == "and on it goes"


@pytest.mark.parametrize("place", RECEIVING)
def test_a_receiver_killed_anywhere_shows_all_of_it_once(pair, place):
    alice, bob = pair
    said = [f"message {number}" for number in range(80)]
    talk = alice.do(do="conversation", members=[bob.handle])["conversation"]
    alice.do(do="send_many", conversation=talk, messages=[[text, None] for text in said])
    bob.restart(place)
    with pytest.raises(AgentDied) as died:
        bob.do(do="sync")
    assert died.value.status == -signal.SIGKILL
    bob.restart()
    assert bob.texts(talk) == said == alice.texts(talk)


@pytest.mark.parametrize("place", CHANGING)
def test_who_changes_a_conversation_and_is_killed_finishes_it(pair, people, talk, place):
    alice, bob = pair
    [carol] = people("carol")
    alice.restart(place)
    with pytest.raises(AgentDied) as died:
        alice.do(do="add", conversation=talk, members=[carol.handle])
    assert died.value.status == -signal.SIGKILL
    alice.restart()
    alice.do(do="sync")
    # done already, or done now
    alice.do(do="add", conversation=talk, members=[carol.handle])
    alice.do(do="send", conversation=talk, text="welcome")
    assert carol.texts(talk) == bob.texts(talk) == alice.texts(talk) == ["welcome"]


def test_a_creation_that_was_cut_short_is_taken_up(domain, tmp_path):
    number = next(_number)
    command = {
        "do": "create",
        "service": domain.url,
        "handle": f"dora{number}",
        "demonstration": True,
    }
    with AgentProcess(tmp_path / "dora") as agent:
        agent.process.stdin.write(json.dumps(command).encode() + b"\n")
        agent.process.stdin.flush()
        for _ in range(2000):
            if (tmp_path / "dora" / "device.db").exists():
                break
        agent.kill()
    with AgentProcess(tmp_path / "dora") as agent:
        result = agent.tell(**command)
        assert result["ok"] or result["code"] == "home-exists", result
    with AgentProcess(tmp_path / "dora") as agent:
        assert agent.do(do="sync")["refused"] == 0


def test_the_service_killed_in_between_is_no_loss(domain, pair, talk):
    alice, bob = pair
    alice.do(do="send", conversation=talk, text="before")
    domain.kill()
    result = alice.tell(do="send", conversation=talk, text="meanwhile")
    assert not result["ok"]
    assert "does not answer" in result["message"]
    domain.restart()
    alice.do(do="send", conversation=talk, text="after")
    assert bob.texts(talk) == alice.texts(talk) == ["before", "meanwhile", "after"]


def test_a_backup_that_is_restored_says_nothing_twice(pair, talk):
    """V2, L5: K and the last seq are not certain any more, so a new window is opened, and the MLS
    secrets are made anew.
    """
    alice, bob = pair
    alice.do(do="send", conversation=talk, text="one")
    alice.close()
    backup = {file.name: file.read_bytes() for file in alice.home.iterdir() if file.is_file()}
    alice.do(do="send", conversation=talk, text="two")
    alice.do(do="send", conversation=talk, text="three")
    alice.close()
    for file in alice.home.iterdir():
        if file.is_file():
            file.unlink()
    for name, data in backup.items():
        (alice.home / name).write_bytes(data)
    (alice.home / "key").chmod(0o600)
    alice.do(do="send", conversation=talk, text="four")
    bob.do(do="sync")
    lines = bob.do(do="lines", conversation=talk)["lines"]
    shown = [line["text"] for line in lines if line["state"] == "shown"]
    assert shown == ["one", "two", "three", "four"]
    assert not [line for line in lines if line["state"] == "refused"]
