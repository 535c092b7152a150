"""Conversations: one commit an epoch, who may be added, who may read what, frames and their rules
(V1 to V6, L1 to L6, S1).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.domain import Domain, running
from tests.support.person import Person
from tests.support.refusals import refused_by_service
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from counterseal.core import _core
from counterseal.protocol import cbor
from counterseal.protocol.account_chain import DeviceRevoked, sign_link
from counterseal.protocol.cbor import tag
from counterseal.protocol.window import Label, Roster
from counterseal.service.delivery import Connection, Hub
from counterseal.service.store.rows import StoredEvent

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    with running(tmp_path_factory.mktemp("conversations")) as domain:
        yield domain


def person(served: Domain) -> Person:
    made = Person(served, f"p{os.urandom(4).hex()}")
    made.packages()
    return made


def pair(served: Domain) -> tuple[Person, Person, bytes]:
    """Two people in a conversation."""
    one, other = person(served), person(served)
    conversation = one.create()
    one.add(conversation, other)
    other.join()
    return one, other, conversation


@contextlib.contextmanager
def follow(someone: Person, *wishes: Any) -> Iterator[ClientConnection]:
    """A WebSocket that follows conversations."""
    header = {"Authorization": someone.authorization("GET", "/v1/ws", b"")}
    url = f"ws://{someone.http.host}:{someone.http.port}/v1/ws"
    with connect(url, additional_headers=header, compression=None) as socket:
        socket.send(cbor.encode(list(wishes)))
        yield socket


def receive(socket: ClientConnection, count: int) -> list[Any]:
    """The next `count` events."""
    events: list[Any] = []
    while len(events) < count:
        message: Any = cbor.decode(bytes(socket.recv(timeout=10)), 1 << 24)
        if message[0] == "events":
            events += message[2]
    return events


def test_message_comes_out_as_it_came_in(served: Domain) -> None:
    one, other, conversation = pair(served)
    message = one.seal(one.open_window(conversation), "hello")
    ((n, stamped),), refusal = one.send(conversation, message)
    assert refusal is None
    *_, event = other.events(conversation)[0]
    assert event == (n, 0, stamped, message)
    assert b"hello" in other.core.frame_open(conversation, message, stamped).content


def test_lost_race_for_an_epoch(served: Domain) -> None:
    one, other, conversation = pair(served)
    third = person(served)
    claimed = other.call("POST", "/v1/key-packages/claim", [[third.device]])
    loser = other.core.group_commit(conversation, [claimed[0][1]], [], None)
    fourth = person(served)
    one.add(conversation, fourth)
    path = f"/v1/conversations/{conversation.hex()}/commits"
    body = [loser.epoch, loser.message, [[third.device], loser.welcome, loser.tree]]
    data = cbor.encode(body)
    status, answer, _ = other.http.raw(
        "POST", path, data, {"Authorization": other.authorization("POST", path, data)}
    )
    assert (status, cbor.decode(answer, 100)) == (409, ("epoch", 2))


def test_two_commits_at_once_give_one_winner(served: Domain) -> None:
    one, other, conversation = pair(served)
    outcomes: list[Any] = []

    def race(who: Person, newcomer: Person) -> None:
        claimed = who.call("POST", "/v1/key-packages/claim", [[newcomer.device]])
        commit = who.core.group_commit(conversation, [claimed[0][1]], [], None)
        body = [commit.epoch, commit.message, [[newcomer.device], commit.welcome, commit.tree]]
        try:
            outcomes.append(
                who.call("POST", f"/v1/conversations/{conversation.hex()}/commits", body)
            )
        except Exception as error:
            outcomes.append(error)

    newcomers = [person(served), person(served)]
    threads = [
        threading.Thread(target=race, args=pair_)
        for pair_ in zip((one, other), newcomers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(isinstance(outcome, tuple) for outcome in outcomes) == [False, True]


def test_device_outside_the_directory_is_not_added(served: Domain) -> None:
    """There is no ghost: MLS would take the leaf, the service does not."""
    one = person(served)
    ghost = Person(served, f"g{os.urandom(4).hex()}", register=False)
    conversation = one.create()
    package = ghost.core.key_packages(1, False, _core.DEFAULT_SUITE)[0]
    commit = one.core.group_commit(conversation, [package], [], None)
    body = [commit.epoch, commit.message, [[ghost.device], commit.welcome, commit.tree]]
    with refused_by_service(422, "A7"):
        one.call("POST", f"/v1/conversations/{conversation.hex()}/commits", body)


def test_package_that_was_not_uploaded(served: Domain) -> None:
    one, other = person(served), person(served)
    conversation = one.create()
    package = other.core.key_packages(1, False, _core.DEFAULT_SUITE)[0]
    commit = one.core.group_commit(conversation, [package], [], None)
    body = [commit.epoch, commit.message, [[other.device], commit.welcome, commit.tree]]
    with refused_by_service(422, "mls"):
        one.call("POST", f"/v1/conversations/{conversation.hex()}/commits", body)


def test_welcome_for_others_than_the_added(served: Domain) -> None:
    one, other, third = person(served), person(served), person(served)
    conversation = one.create()
    claimed = one.call("POST", "/v1/key-packages/claim", [[other.device]])
    commit = one.core.group_commit(conversation, [claimed[0][1]], [], None)
    body = [commit.epoch, commit.message, [[third.device], commit.welcome, commit.tree]]
    path = f"/v1/conversations/{conversation.hex()}/commits"
    with refused_by_service(400, "welcome"):
        one.call("POST", path, body)
    with refused_by_service(400, "welcome"):
        one.call("POST", path, [commit.epoch, commit.message, None])
    with refused_by_service(422, "mls"):
        one.call("POST", path, [commit.epoch, os.urandom(300), None])


def test_newcomer_reads_from_its_commit_on_and_the_removed_up_to_theirs(served: Domain) -> None:
    one, other, conversation = pair(served)
    one.send(conversation, one.seal(one.open_window(conversation), "before"))
    third = person(served)
    added = one.add(conversation, third)
    events, last = third.events(conversation)
    assert [event[0] for event in events] == [added]
    assert last == added
    removal = one.core.group_commit(conversation, [], [(other.account, other.device)], None)
    path = f"/v1/conversations/{conversation.hex()}/commits"
    [removed] = one.call("POST", path, [removal.epoch, removal.message, None])
    one.core.group_merge(conversation)
    one.send(conversation, one.seal(one.open_window(conversation, 2), "after"))
    events, last = other.events(conversation)
    assert (events[-1][0], last) == (removed, removed)
    with refused_by_service(None, *("F1", "not-a-member")):
        other.send(conversation, b"x")
    assert conversation not in [row[0] for row in other.call("GET", "/v1/conversations")]
    with refused_by_service(403, "not-a-member"):
        person(served).events(conversation)


def test_leaving_by_proposal(served: Domain) -> None:
    one, other, conversation = pair(served)
    leave = other.core.group_leave(conversation)
    [n] = other.call("POST", f"/v1/conversations/{conversation.hex()}/proposals", [1, leave])
    *_, event = one.events(conversation)[0]
    assert event[:2] == (n, 2)
    one.core.group_stage(conversation, event[3])
    one.core.group_accept(conversation)
    commit = one.core.group_commit(conversation, [], [], None)
    one.call(
        "POST",
        f"/v1/conversations/{conversation.hex()}/commits",
        [commit.epoch, commit.message, None],
    )
    assert conversation not in [row[0] for row in other.call("GET", "/v1/conversations")]


def test_same_frame_again_gets_its_first_stamp(served: Domain) -> None:
    one, _, conversation = pair(served)
    window = one.open_window(conversation)
    first, second = one.seal(window, "a"), one.seal(window, "b")
    stamps, _ = one.send(conversation, first)
    again, refusal = one.send(conversation, first, second, first)
    assert refusal is None
    assert again == (stamps[0], (stamps[0][0] + 1, stamps[0][1]), stamps[0])


def test_frames_before_the_first_refused_are_appended(served: Domain) -> None:
    """V2: a seq that is not the next."""
    one, _, conversation = pair(served)
    window = one.open_window(conversation)
    a, b, c = (one.seal(window, text) for text in "abc")
    stamps, (code, _) = one.send(conversation, a, c, b)
    assert (len(stamps), code) == (1, "V2")
    stamps, refusal = one.send(conversation, b, c)
    assert (len(stamps), refusal) == (2, None)


def test_frame_of_a_window_that_is_not_stored(served: Domain) -> None:
    """V1."""
    one, _, conversation = pair(served)
    now = served.now()
    window = one.core.window_open(conversation, now - now % 3600, 1)
    stamps, (code, _) = one.send(conversation, one.seal(window, "x"))
    assert (stamps, code) == ((), "V1")


def test_frame_of_another_device(served: Domain) -> None:
    """V5."""
    one, other, conversation = pair(served)
    message = one.seal(one.open_window(conversation), "mine")
    assert other.send(conversation, message)[1][0] == "V5"


def test_frame_of_an_epoch_that_is_over(served: Domain) -> None:
    """V4: the bytes were sealed before a commit that leaves the roster as it is."""
    one, _, conversation = pair(served)
    message = one.seal(one.open_window(conversation), "old epoch")
    update = one.core.group_commit(conversation, [], [], None)
    one.call(
        "POST",
        f"/v1/conversations/{conversation.hex()}/commits",
        [update.epoch, update.message, None],
    )
    assert one.send(conversation, message)[1][0] == "V4"


def test_window_ends_with_the_roster(served: Domain) -> None:
    """L6: a window opened before somebody came takes no frame after."""
    one, _, conversation = pair(served)
    window = one.open_window(conversation)
    message = one.seal(window, "too late")
    one.add(conversation, person(served))
    assert one.send(conversation, message)[1][0] == "L6"


def test_message_over_64_kib(served: Domain) -> None:
    """V6."""
    one, _, conversation = pair(served)
    assert one.send(conversation, bytes(65_537)) == (
        (),
        ("V6", one.send(conversation, bytes(65_537))[1][1]),
    )


def test_message_that_is_none(served: Domain) -> None:
    """F1."""
    one, _, conversation = pair(served)
    assert one.send(conversation, os.urandom(200))[1][0] == "F1"


def window_body(
    one: Person, conversation: bytes, serial: int = 1, opens: int | None = None
) -> list[bytes]:
    now = one.domain.now()
    window = one.core.window_open(
        conversation, now - now % 3600 if opens is None else opens, serial
    )
    return [window.label, window.roster, window.counterseal]


def test_windows_rules(served: Domain) -> None:
    one, other, conversation = pair(served)
    label, roster, seal = window_body(one, conversation)
    with refused_by_service(422, "L4"):
        other.call("POST", "/v1/windows", [label, roster, seal])
    shorter: Any = cbor.decode(roster, 1 << 20)
    with refused_by_service(422, "L3"):
        one.call("POST", "/v1/windows", [label, cbor.encode([shorter[0], shorter[1][:1]]), seal])
    sealed: Any = cbor.decode(seal, 1 << 20)
    nulled = cbor.encode([sealed[0], [None, *sealed[1][1:]]])
    with refused_by_service(422, "S1"):
        one.call("POST", "/v1/windows", [label, roster, nulled])
    tomorrow = window_body(one, conversation, 2, served.now() - served.now() % 3600 + 86_400)
    with refused_by_service(422, "L2"):
        one.call("POST", "/v1/windows", tomorrow)
    other_domain = cbor.encode(
        [*cbor.decode(label, 4096)[:1], "other.example", *cbor.decode(label, 4096)[2:]]
    )
    with refused_by_service(422, "L1"):
        one.call("POST", "/v1/windows", [other_domain, roster, seal])
    older = list(cbor.decode(label, 4096))
    older[7] = 0
    with refused_by_service(422, "L6"):
        one.call("POST", "/v1/windows", [cbor.encode(older), roster, seal])


def test_serials_rise_and_restarts_end(served: Domain) -> None:
    """L5: the first window and 16 restarts."""
    one, _, conversation = pair(served)
    first = window_body(one, conversation, 5)
    one.call("POST", "/v1/windows", first)
    one.call("POST", "/v1/windows", first)
    lower: Any = cbor.decode(first[0], 4096)
    lower = cbor.encode([*lower[:10], 4, *lower[11:]])
    with refused_by_service(422, "L5"):
        one.call("POST", "/v1/windows", [lower, *first[1:]])
    for serial in range(6, 22):
        one.call("POST", "/v1/windows", window_body(one, conversation, serial))
    with refused_by_service(422, "L5"):
        one.call("POST", "/v1/windows", window_body(one, conversation, 22))


def test_conversation_under_another_keyset(served: Domain) -> None:
    """L1: the group's context names a keyset that is not in the log."""
    one = person(served)
    conversation = os.urandom(16)
    one.use_keyset()
    info = one.core.group_create(
        conversation,
        _core.DEFAULT_SUITE,
        served.charter.digest,
        served.keyset.keyset.quarter,
        bytes(32),
    )
    tree = one.core.group_tree(conversation)
    with refused_by_service(422, "L1"):
        one.call("POST", "/v1/conversations", [info, tree])


def test_socket_gives_what_was_missed_and_what_comes(served: Domain) -> None:
    one, other, conversation = pair(served)
    window = one.open_window(conversation)
    messages = [one.seal(window, f"{i}") for i in range(130)]
    for at in range(0, 65, 13):
        one.send(conversation, *messages[at : at + 13])
    with follow(other, [conversation, 1]) as socket:
        sender = threading.Thread(
            target=lambda: [
                one.send(conversation, *messages[at : at + 5]) for at in range(65, 130, 5)
            ]
        )
        sender.start()
        events = receive(socket, 130)
        sender.join()
    assert [event[0] for event in events] == list(range(2, 132))
    assert [event[3] for event in events] == messages


def test_socket_tells_of_a_welcome_and_of_the_clock(served: Domain) -> None:
    one, other = person(served), person(served)
    with follow(other) as socket:
        clock: Any = cbor.decode(bytes(socket.recv(timeout=5)), 100)
        assert clock == ("clock", served.now())
        one.add(one.create(), other)
        assert cbor.decode(bytes(socket.recv(timeout=5)), 100) == ("inbox", 1)


def test_removed_device_gets_nothing_more(served: Domain) -> None:
    one, other, conversation = pair(served)
    with follow(other, [conversation, 0]) as socket:
        removal = one.core.group_commit(conversation, [], [(other.account, other.device)], None)
        path = f"/v1/conversations/{conversation.hex()}/commits"
        [removed] = one.call("POST", path, [removal.epoch, removal.message, None])
        one.core.group_merge(conversation)
        one.send(conversation, one.seal(one.open_window(conversation), "secret"))
        assert [event[0] for event in receive(socket, removed)][-1] == removed
        with pytest.raises(TimeoutError):
            receive_one = socket.recv(timeout=1)
            raise AssertionError(receive_one)


def test_revoked_device_is_disconnected(served: Domain) -> None:
    one = person(served)
    with follow(one) as socket:
        record = DeviceRevoked(one.account, one.head, 2, one.device, int(time.time()))
        one.call(
            "POST",
            f"/v1/accounts/{one.account.hex()}/statements",
            ["device-revoked", sign_link(one.account_key, record, None), None],
        )
        with pytest.raises(ConnectionClosed):
            for _ in range(5):
                socket.recv(timeout=5)
    with pytest.raises(InvalidStatus) as refusal, follow(one):
        pass
    assert refusal.value.response.status_code == 403


def test_socket_of_a_stranger(served: Domain) -> None:
    _, _, conversation = pair(served)
    stranger = person(served)
    with follow(stranger, [conversation, 0]) as socket:
        socket.recv(timeout=5)  # the clock
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.5)


def test_same_conversation_again_and_another_with_its_id(served: Domain) -> None:
    one, other = person(served), person(served)
    conversation = os.urandom(16)
    for who in (one, other):
        who.use_keyset()
    made = [
        [
            who.core.group_create(
                conversation,
                _core.DEFAULT_SUITE,
                served.charter.digest,
                served.keyset.keyset.quarter,
                served.keyset.digest,
            ),
            who.core.group_tree(conversation),
        ]
        for who in (one, other)
    ]
    assert one.call("POST", "/v1/conversations", made[0]) == one.call(
        "POST", "/v1/conversations", made[0]
    )
    with refused_by_service(409, "conversation"):
        other.call("POST", "/v1/conversations", made[1])


def test_labels_here_are_protocols(served: Domain) -> None:
    one, _, conversation = pair(served)
    label, roster, _ = window_body(one, conversation)
    assert Label.decode(label).roster_digest == Roster.decode(roster).digest()
    assert cbor.decode(label, 4096)[0] == tag("window")


def test_key_packages_go_once_then_the_last_resort(served: Domain) -> None:
    one, other = person(served), Person(served, f"k{os.urandom(4).hex()}")
    other.packages(2)
    assert other.call("GET", "/v1/key-packages") == (2, True)
    claims = [one.call("POST", "/v1/key-packages/claim", [[other.device]])[0][1] for _ in range(4)]
    assert len(set(claims)) == 3
    assert claims[2] == claims[3]
    assert other.call("GET", "/v1/key-packages") == (0, True)
    foreign = one.core.key_packages(1, False, _core.DEFAULT_SUITE)
    with refused_by_service(403, "other-device"):
        other.call("POST", "/v1/key-packages", [foreign])


async def test_slow_device_is_let_go_and_the_others_are_not() -> None:
    """One that does not read is disconnected at its bound; who reads gets everything, in order,
    however it was gathered.
    """
    hub = Hub(_nothing)
    slow, quick = Connection(b"a", b"slow", 4_000, 100), Connection(b"a", b"quick", 4_000, 100)
    for connection in (slow, quick):
        hub.connect(connection)
        hub.follow(connection, 7, bytes(16), 0, 1)
    reading = asyncio.create_task(_drain(quick, 30))
    slow.subscriptions[7].live = True
    await asyncio.sleep(0)
    for n in range(1, 31):
        hub.publish(7, bytes(16), [StoredEvent(n, 0, 1, bytes(500))])
        if n % 5 == 0:
            await asyncio.sleep(0.01)
    assert await asyncio.wait_for(reading, 5) == list(range(1, 31))
    assert (slow.closed, quick.closed) == ("slow", None)
    hub.disconnect(slow)
    assert hub.count == 1


async def _nothing(*_: int | bytes) -> tuple[list[StoredEvent], None]:
    return [], None


async def _drain(connection: Connection, count: int) -> list[int]:
    numbers: list[int] = []
    while len(numbers) < count:
        for message in await connection.pop(_nothing) or []:
            value: Any = cbor.decode(message, 1 << 20)
            numbers += [event[0] for event in value[2]]
    return numbers
