"""Bounds before anybody knows who it is: heads, bodies, connections, the time to send them, wishes,
sockets, readers that do not read; and the end in time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.domain import Domain, running
from tests.support.http import Http
from tests.support.person import Person
from tests.support.served import SETTINGS
from tests.support.waiting import until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from counterseal.protocol import cbor

pytestmark = pytest.mark.system

CONNECTIONS = 64
TIGHT = f"""{SETTINGS}
[network]
connections = {CONNECTIONS}
head_seconds = 1.5
trusted_proxies = ["127.0.0.0/8"]
[limits]
requests_per_second = 100
burst = 1_000
bodies_bytes = 8_000_000
[delivery]
sockets_a_device = 3
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    with running(tmp_path_factory.mktemp("edges"), settings=TIGHT) as domain:
        yield domain


def opened(domain: Domain) -> socket.socket:
    return socket.create_connection((domain.http.host, domain.http.port), 20)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    got = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while part := connection.recv(65_536):
            got += part
    return got


def well(domain: Domain) -> bool:
    return asked(domain, "GET", "/v1/health") == 200


def asked(domain: Domain, *request: Any) -> int:
    """The status of a request on a connection of its own."""
    with contextlib.closing(Http(domain.url)) as http:
        return http.raw(*request)[0]


def memory(domain: Domain) -> float:
    """MB of the service."""
    with open(f"/proc/{domain.process.child.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1_000 for line in file if line.startswith("VmRSS"))


def flood(connection: socket.socket, part: bytes, count: int) -> bytes:
    """Sends as long as it is taken; returns what is answered."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for _ in range(count):
            connection.sendall(part)
    return answer(connection)


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"GET / HTTP/1.1\r\n", b"X-A: " + b"x" * 1_000 + b"\r\n"),
        (b"GET / HTTP/1.1\r\nX: ", b"x" * 65_536),
        (b"GET / HTTP/1.1\r\n", b"x" * 65_536),
        (b"GET /", b"x" * 65_536),
        (b"", b"\r\n" * 30_000),
        (b"GET / HTTP/1.1\r\n", b"a:b\r\n" * 1_000),
        (b"POST /v1/ledger HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 65_000),
        (
            b"POST /v1/ledger HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"T: " + b"x" * 1_000 + b"\r\n",
        ),
    ],
)
def test_a_head_without_end_is_refused_and_costs_nothing(
    served: Domain, start: bytes, part: bytes
) -> None:
    before = memory(served)
    with opened(served) as connection:
        connection.sendall(start)
        flood(connection, part, 2_000)
    assert memory(served) - before < 20
    assert well(served)


def test_a_large_head_is_told_so(served: Domain) -> None:
    with opened(served) as connection:
        said = b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 20_000 + b"\r\n\r\n"
        connection.sendall(said)
        assert answer(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "said", [b"", b"GET /v1/health HTT", b"POST /v1/ledger HTTP/1.1\r\nA: b\r\n"]
)
def test_who_says_nothing_or_half_is_let_go(served: Domain, said: bytes) -> None:
    started = time.monotonic()
    with opened(served) as connection:
        connection.sendall(said)
        answer(connection)
    assert time.monotonic() - started < 5


def test_a_body_is_not_read_for_whom_nobody_knows(served: Domain) -> None:
    stranger = Person(served, f"p{os.urandom(4).hex()}", register=False)
    path = "/v1/key-packages"
    header = stranger.authorization("POST", path, b"").encode()
    for authorization in (
        b"",
        b"Authorization: Counterseal-Device a.b.c.d.e\r\n",
        b"Authorization: " + header + b"\r\n",
    ):
        with opened(served) as connection:
            connection.sendall(
                b"POST /v1/key-packages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                + authorization
                + b"\r\n"
            )
            assert answer(connection)[:11] == b"HTTP/1.1 40"


def test_a_body_that_says_it_is_too_large_is_not_read(served: Domain) -> None:
    with opened(served) as connection:
        connection.sendall(
            b"POST /v1/revocations HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        )
        assert answer(connection).startswith(b"HTTP/1.1 413 ")


def test_bodies_under_way_are_bounded_together(served: Domain) -> None:
    before = memory(served)
    connections = [opened(served) for _ in range(30)]
    for connection in connections:
        connection.sendall(
            b"POST /v1/ledger HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n"
        )
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(bytes(3_900_000))
    said = []
    for connection in connections:
        connection.settimeout(1)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            said.append(connection.recv(1_000))
        connection.close()
    assert any(b"busy" in one for one in said)
    assert memory(served) - before < 80
    until(lambda: well(served))


def test_four_mebibytes_of_zeros_are_a_cheap_refusal(served: Domain) -> None:
    rows = b"\x9a" + (4_000_000).to_bytes(4, "big") + bytes(4_000_000)
    bodies = [b"\x81\x5a" + len(rows).to_bytes(4, "big") + rows, rows]
    before, started = memory(served), time.monotonic()
    for body in bodies:
        assert asked(served, "POST", "/v1/ledger", body) in (400, 413, 422)
    assert time.monotonic() - started < 2
    assert memory(served) - before < 60


def test_idle_connections_give_way_to_those_who_speak(served: Domain) -> None:
    idle = [opened(served) for _ in range(3 * CONNECTIONS)]
    try:
        for _ in range(5):
            assert well(served)
    finally:
        for connection in idle:
            connection.close()


def test_behind_a_proxy_everybody_has_a_rate_of_their_own(served: Domain) -> None:
    def ask(client: str, count: int) -> list[int]:
        header = {"X-Forwarded-For": f"6.6.6.6, {client}"}
        with contextlib.closing(Http(served.url)) as http:
            return [http.raw("POST", "/v1/revocations", b"x", header)[0] for _ in range(count)]

    assert 429 in ask("192.0.2.1", 3_000)
    assert 429 not in ask("192.0.2.2", 10)
    assert 429 not in ask("2001:db8:1::1", 10)


def socket_of(person: Person) -> ClientConnection:
    url = f"ws://{person.http.host}:{person.http.port}/v1/ws"
    header = {"Authorization": person.authorization("GET", "/v1/ws", b"")}
    return connect(url, additional_headers=header, max_size=None, open_timeout=20, legacy=True)


def test_a_device_has_a_few_sockets_and_the_oldest_gives_way(served: Domain) -> None:
    person = Person(served, f"p{os.urandom(4).hex()}")
    sockets = [socket_of(person) for _ in range(8)]
    for old in sockets[:5]:
        with pytest.raises(ConnectionClosed):
            while True:
                old.recv(10)
    for new in sockets[5:]:
        assert new.ping().wait(10)
        new.close()


def test_the_same_wish_again_is_granted_once(served: Domain) -> None:
    person = Person(served, f"p{os.urandom(4).hex()}")
    person.packages()
    conversation = person.create()
    window = person.open_window(conversation)
    sealed = [person.seal(window, "x" * 3_000) for _ in range(30)]
    person.send(conversation, *sealed)
    wish = cbor.encode([[conversation, 0]] * 9_000)
    got = 0
    with socket_of(person) as opened_socket:
        for _ in range(3):
            opened_socket.send(wish)
            assert well(served)
        with contextlib.suppress(TimeoutError):
            while True:
                got += len(opened_socket.recv(2))
    assert got < 3 * sum(len(one) for one in sealed)


def test_a_socket_that_breaks_off_leaves_no_trace_in_the_log(served: Domain) -> None:
    person = Person(served, f"p{os.urandom(4).hex()}")
    for _ in range(5):
        broken = socket_of(person)
        broken.send(cbor.encode([]))
        broken.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        broken.socket.shutdown(socket.SHUT_RDWR)
        broken.socket.close()
    raw = "GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    for _ in range(5):
        with opened(served) as connection:
            connection.sendall(raw.encode())
    time.sleep(0.5)
    assert well(served)
    assert "Traceback" not in served.process.output


def test_pings_whose_answers_nobody_reads_are_bounded(served: Domain) -> None:
    person = Person(served, f"p{os.urandom(4).hex()}")
    before = memory(served)
    path = "/v1/ws"
    with opened(served) as connection:
        connection.sendall(
            b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Authorization: " + person.authorization("GET", path, b"").encode() + b"\r\n\r\n"
        )
        assert connection.recv(1_000).startswith(b"HTTP/1.1 101")
        ping = b"\x89\xfd\0\0\0\0" + bytes(125)
        connection.settimeout(3)
        with contextlib.suppress(OSError):
            for _ in range(1_000):
                connection.sendall(ping * 100)
    assert memory(served) - before < 60
    until(lambda: well(served))


def test_the_end_comes_in_time_whatever_is_under_way(tmp_path: Path) -> None:
    with running(tmp_path, settings=SETTINGS) as domain:
        person = Person(domain, "alice")
        person.packages()
        stopped = threading.Event()

        def load() -> None:
            while not stopped.is_set():
                with contextlib.suppress(Exception):
                    asked(domain, "POST", "/v1/revocations", b"x")

        threads = [threading.Thread(target=load, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        half = opened(domain)
        half.sendall(b"POST /v1/ledger HTTP/1.1\r\nContent-Length: 100\r\n\r\nx")
        waiting = socket_of(person)
        try:
            for _ in range(2):
                started = time.monotonic()
                domain.process.child.terminate()
                try:
                    assert domain.process.child.wait(12) == 0
                except subprocess.TimeoutExpired:
                    raise AssertionError("it did not end") from None
                assert time.monotonic() - started < 10
                domain.restart()
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
            waiting.close()
            half.close()
