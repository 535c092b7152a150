"""A member's device killed at every durable step: nothing acknowledged is lost, nothing is shown
twice, nothing stays stuck.
"""

import itertools
import json
import signal

import pytest
from tests.support.agents import AgentDied, AgentProcess

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
def pair(domain, tmp_path):
    """Two accounts; gives their folders and handles."""
    number = next(_number)
    made = []
    for name in ("alice", "bob"):
        with AgentProcess(tmp_path / name) as agent:
            agent.do(
                do="create",
                service=domain.url,
                handle=f"{name}-crash{number}",
                demonstration=True,
                genesis=domain.genesis,
            )
        made.append((tmp_path / name, f"{name}-crash{number}"))
    return made


def talk_between(pair):
    (alice, _), (bob, handle) = pair
    with AgentProcess(alice) as agent:
        talk = agent.do(do="conversation", members=[handle])["conversation"]
    with AgentProcess(bob) as agent:
        agent.do(do="sync")
    return talk


def texts(home, talk):
    with AgentProcess(home) as agent:
        counts = agent.do(do="sync")
        assert (counts["refused"], counts["pending"], counts["queued"]) == (0, 0, 0), counts
        lines = agent.do(do="lines", conversation=talk)["lines"]
    return [line["text"] for line in lines if line["state"] in ("shown", "sent")]


@pytest.mark.parametrize("place", SENDING)
@pytest.mark.parametrize("time", [1, 2])
def test_a_sender_killed_anywhere_loses_nothing_and_says_nothing_twice(pair, place, time):
    talk = talk_between(pair)
    (alice, _), (bob, _) = pair
    acknowledged = []
    died = False
    with AgentProcess(alice, f"{place}:{time}") as agent:
        try:
            for number in range(3):
                agent.do(do="send", conversation=talk, text=f"message {number}")
                acknowledged.append(f"message {number}")
        except AgentDied as end:
            died = True
            assert end.status == -signal.SIGKILL
    assert died or (place.startswith("window") and time == 2)  # one window serves for all three
    mine, theirs = texts(alice, talk), texts(bob, talk)
    assert mine == theirs
    assert len(set(theirs)) == len(theirs)
    assert theirs[: len(acknowledged)] == acknowledged
    assert len(theirs) <= len(acknowledged) + 1
    with AgentProcess(alice) as agent:
        agent.do(do="send", conversation=talk, text="and on it goes")
    assert texts(bob, talk)[-1] == "and on it goes"


@pytest.mark.parametrize("place", RECEIVING)
def test_a_receiver_killed_anywhere_shows_all_of_it_once(pair, place):
    (alice, _), (bob, handle) = pair
    with AgentProcess(alice) as agent:
        talk = agent.do(do="conversation", members=[handle])["conversation"]
        agent.do(
            do="send_many",
            conversation=talk,
            messages=[[f"message {number}", None] for number in range(80)],
        )
    with AgentProcess(bob, place) as agent, pytest.raises(AgentDied) as died:
        agent.do(do="sync")
    assert died.value.status == -signal.SIGKILL
    assert texts(bob, talk) == [f"message {number}" for number in range(80)] == texts(alice, talk)


@pytest.mark.parametrize("place", CHANGING)
def test_who_changes_a_conversation_and_is_killed_finishes_it(domain, pair, tmp_path, place):
    talk = talk_between(pair)
    (alice, _), (bob, _) = pair
    number = next(_number)
    with AgentProcess(tmp_path / "carol") as agent:
        agent.do(
            do="create",
            service=domain.url,
            handle=f"carol-crash{number}",
            demonstration=True,
            genesis=domain.genesis,
        )
    with AgentProcess(alice, place) as agent, pytest.raises(AgentDied) as died:
        agent.do(do="add", conversation=talk, members=[f"carol-crash{number}"])
    assert died.value.status == -signal.SIGKILL
    with AgentProcess(alice) as agent:
        agent.do(do="sync")
        # done already, or done now
        agent.do(do="add", conversation=talk, members=[f"carol-crash{number}"])
        agent.do(do="send", conversation=talk, text="welcome")
    assert texts(tmp_path / "carol", talk) == texts(bob, talk) == texts(alice, talk) == ["welcome"]


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


def test_the_service_killed_in_between_is_no_loss(domain, pair):
    talk = talk_between(pair)
    (alice, _), (bob, _) = pair
    with AgentProcess(alice) as agent:
        agent.do(do="send", conversation=talk, text="before")
        domain.kill()
        result = agent.tell(do="send", conversation=talk, text="meanwhile")
        assert not result["ok"]
        assert "does not answer" in result["message"]
        domain.restart()
        agent.do(do="send", conversation=talk, text="after")
    assert texts(bob, talk) == texts(alice, talk) == ["before", "meanwhile", "after"]


def test_a_backup_that_is_restored_says_nothing_twice(domain, pair, tmp_path):
    """V2, L5: K and the last seq are not certain any more, so a new window is opened, and the MLS
    secrets are made anew.
    """
    talk = talk_between(pair)
    (alice, _), (bob, _) = pair
    with AgentProcess(alice) as agent:
        agent.do(do="send", conversation=talk, text="one")
    backup = {file.name: file.read_bytes() for file in alice.iterdir() if file.is_file()}
    with AgentProcess(alice) as agent:
        agent.do(do="send", conversation=talk, text="two")
        agent.do(do="send", conversation=talk, text="three")
    for file in alice.iterdir():
        if file.is_file():
            file.unlink()
    for name, data in backup.items():
        (alice / name).write_bytes(data)
    (alice / "key").chmod(0o600)
    with AgentProcess(alice) as agent:
        agent.do(do="send", conversation=talk, text="four")
    with AgentProcess(bob) as agent:
        agent.do(do="sync")
        lines = agent.do(do="lines", conversation=talk)["lines"]
    assert [line["text"] for line in lines if line["state"] == "shown"] == [
        "one",
        "two",
        "three",
        "four",
    ]
    assert not [line for line in lines if line["state"] == "refused"]
