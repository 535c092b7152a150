"""Messages a second through the service, beside Prosody with MAM: 8 senders, 20 receivers, one
group, bodies of 256 bytes.

    python -m benchmarks.bench_service [--runs 3] [--messages 16000]

A message counts when all 20 receivers have it. Ours is durable first (fsync) and its frames are
sealed before the clock starts, as a device seals them on its own processor. Prosody (multi-user
chat, muc_mam) stores without fsync. Both are driven by one client process over loopback that parses
no more than it must. Without `prosody` the peer is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from tests.support.domain import Domain
from tests.support.person import Person

from counterseal.protocol import cbor

SENDERS, RECEIVERS, BODY = 8, 20, 256
TEXT = "x" * BODY
BATCH = 64
SETTINGS = "[limits]\nrequests_per_second = 1000000.0\nburst = 1000000.0\n"


class Sockets:
    """Receivers' WebSockets, read with just enough of RFC 6455 to count the events."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self._readers: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._moved = asyncio.Event()

    async def open(self, person: Person, conversation: bytes, after: int) -> None:
        """Connects one receiver from an event number on."""
        reader, writer = await asyncio.open_connection(
            person.http.host, person.http.port, limit=1 << 24
        )
        head = {
            "Host": person.http.host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Authorization": person.authorization("GET", "/v1/ws", b""),
        }
        writer.write(
            b"GET /v1/ws HTTP/1.1\r\n"
            + "".join(f"{k}: {v}\r\n" for k, v in head.items()).encode()
            + b"\r\n"
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        wish = cbor.encode([[conversation, after]])
        mask = os.urandom(4)
        writer.write(
            bytes([0x82, 0x80 | len(wish)])
            + mask
            + bytes(b ^ mask[i % 4] for i, b in enumerate(wish))
        )
        place = len(self.counts)
        self.counts.append(0)
        self._writers.append(writer)
        self._readers.append(asyncio.create_task(self._read(reader, place)))

    async def reached(self, count: int) -> None:
        """Returns when every receiver has had so many events."""
        while min(self.counts) < count:
            self._moved.clear()
            await self._moved.wait()

    def close(self) -> None:
        """Ends all connections."""
        for task in self._readers:
            task.cancel()
        for writer in self._writers:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, place: int) -> None:
        while True:
            first = await reader.readexactly(2)
            size = first[1] & 0x7F
            if size >= 126:
                size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
            data = await reader.readexactly(size)
            if data[:8] == b"\x83\x66events":
                self.counts[place] += _array_length(data, 25)
                self._moved.set()


def _array_length(data: bytes, at: int) -> int:
    info = data[at] & 31
    return info if info < 24 else int.from_bytes(data[at + 1 : at + 1 + (1 << (info - 24))], "big")


class Poster:
    """A sender's connection: one POST after the other."""

    def __init__(self, person: Person, conversation: bytes) -> None:
        self._person = person
        self._path = f"/v1/conversations/{conversation.hex()}/frames"

    async def open(self) -> None:
        """Connects."""
        http = self._person.http
        self._reader, self._writer = await asyncio.open_connection(http.host, http.port)

    async def post(self, messages: list[bytes]) -> None:
        """One batch, answered."""
        body = cbor.encode([messages])
        header = self._person.authorization("POST", self._path, body)
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {header}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        data = await self._reader.readexactly(length)
        assert answer.startswith(b"HTTP/1.1 200") and data.endswith(b"\xf6"), data

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()


class Ours:
    """A domain with one conversation of 28 devices."""

    def __init__(self, directory: Path) -> None:
        self.domain = Domain(directory, settings=SETTINGS)
        self.domain.open()
        people = [Person(self.domain, f"p{i}") for i in range(SENDERS + RECEIVERS)]
        self.senders, self.receivers = people[:SENDERS], people[SENDERS:]
        for person in people[1:]:
            person.packages(1)
        self.conversation = people[0].create()
        self.last = people[0].add(self.conversation, *people[1:])
        for person in people[1:SENDERS]:
            person.join()
        self.serial = 0

    async def run(self, messages: int, batch: int) -> tuple[float, float]:
        """Messages a second, and the median answer to a POST in milliseconds."""
        self.serial += 1
        each = messages // SENDERS
        windows = [person.open_window(self.conversation, self.serial) for person in self.senders]
        frames = [
            [person.seal(w, TEXT) for _ in range(each)]
            for person, w in zip(self.senders, windows, strict=True)
        ]
        sockets, posters = Sockets(), [Poster(person, self.conversation) for person in self.senders]
        for person in self.receivers:
            await sockets.open(person, self.conversation, self.last)
        for poster in posters:
            await poster.open()
        await asyncio.sleep(0.2)
        took: list[float] = []

        async def send(poster: Poster, own: list[bytes]) -> None:
            for at in range(0, each, batch):
                begun = time.perf_counter()
                await poster.post(own[at : at + batch])
                took.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        await asyncio.gather(
            *(send(poster, own) for poster, own in zip(posters, frames, strict=True))
        )
        await asyncio.wait_for(sockets.reached(each * SENDERS), 120)
        seconds = time.perf_counter() - begun
        sockets.close()
        for poster in posters:
            poster.close()
        self.last += each * SENDERS
        return each * SENDERS / seconds, statistics.median(took) * 1000


PROSODY = """
run_as_root = true
daemonize = false
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
admins = {{}}
modules_enabled = {{ "roster", "saslauth", "disco" }}
modules_disabled = {{ "s2s", "tls" }}
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
authentication = "internal_plain"
storage = "internal"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
s2s_ports = {{ }}
log = {{ error = "{directory}/error.log" }}
archive_expires_after = "never"
VirtualHost "localhost"
Component "rooms.localhost" "muc"
  modules_enabled = {{ "muc_mam" }}
  muc_log_by_default = true
  muc_log_all_rooms = true
  restrict_room_creation = false
  muc_room_locking = false
  muc_room_default_history_length = 0
"""


class Xmpp:
    """One client: PLAIN, a resource, the room."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port, self.count = name, port, 0
        self._buffer = b""

    async def open(self) -> None:
        """Logs in and enters the room."""
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.port, limit=1 << 24
        )
        await self._ask(self._stream(), b"</stream:features>")
        plain = base64.b64encode(f"\0{self.name}\0secret".encode()).decode()
        await self._ask(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>",
            b"<success",
        )
        await self._ask(self._stream(), b"</stream:features>")
        bind = (
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            "<resource>r</resource></bind></iq>"
        )
        await self._ask(bind, b"</iq>")
        enter = (
            f"<presence to='room@rooms.localhost/{self.name}'>"
            "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
        )
        await self._ask(enter, b"code='110'")

    def send(self, text: str) -> None:
        """One message to the room."""
        self.writer.write(
            (
                f"<message to='room@rooms.localhost' type='groupchat'><body>{text}</body></message>"
            ).encode()
        )

    async def read(self, moved: asyncio.Event) -> None:
        """Counts bodies until the connection ends."""
        tail = b""
        while data := await self.reader.read(1 << 18):
            data = tail + data
            self.count += data.count(b"</body>")
            tail = data[-6:]
            moved.set()

    def _stream(self) -> str:
        names = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        return f"<?xml version='1.0'?><stream:stream {names} to='localhost' version='1.0'>"

    async def _ask(self, text: str, until: bytes) -> None:
        self.writer.write(text.encode())
        data = b""
        while until not in data:
            part = await asyncio.wait_for(self.reader.read(1 << 16), 20)
            assert part, data
            data += part


class Prosody:
    """A Prosody of its own, and its 28 accounts."""

    def __init__(self, directory: Path) -> None:
        with contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (directory / "data").mkdir(parents=True)
        configuration = directory / "prosody.cfg.lua"
        configuration.write_text(PROSODY.format(directory=directory, port=self.port))
        self.names = [f"u{i}" for i in range(SENDERS + RECEIVERS)]
        accounts = directory / "data" / "localhost" / "accounts"
        accounts.mkdir(parents=True)
        for name in self.names:
            (accounts / f"{name}.dat").write_text('return { ["password"] = "secret" };\n')
        self.child = subprocess.Popen(
            ["prosody", "--config", str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return
            time.sleep(0.1)
        raise RuntimeError(f"prosody did not start: {(directory / 'error.log').read_text()}")

    async def run(self, messages: int) -> float:
        """Messages a second."""
        clients = [Xmpp(name, self.port) for name in self.names]
        for client in clients:
            await client.open()
        moved = asyncio.Event()
        readers = [asyncio.create_task(client.read(moved)) for client in clients]
        await asyncio.sleep(0.3)
        each = messages // SENDERS
        for client in clients:
            client.count = 0

        async def send(client: Xmpp) -> None:
            for _ in range(each):
                client.send(TEXT)
                await client.writer.drain()

        begun = time.perf_counter()
        sending = [asyncio.create_task(send(client)) for client in clients[:SENDERS]]
        while min(client.count for client in clients[SENDERS:]) < each * SENDERS:
            moved.clear()
            await asyncio.wait_for(moved.wait(), 60)
        seconds = time.perf_counter() - begun
        for task in (*sending, *readers):
            task.cancel()
        for client in clients:
            client.writer.close()
        await asyncio.sleep(0.3)
        return each * SENDERS / seconds


def repeated(runs: int, once: Callable[[], Awaitable[Any]]) -> list[Any]:
    """What each run gives."""

    async def several() -> list[Any]:
        return [await once() for _ in range(runs)]

    return uvloop.run(several())


def measure_ours(
    runs: int, messages: int
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """In batches, and one message a POST."""
    with tempfile.TemporaryDirectory() as directory:
        ours = Ours(Path(directory))
        try:
            batched = repeated(runs, lambda: ours.run(messages, BATCH))
            single = repeated(runs, lambda: ours.run(messages // 8, 1))
        finally:
            ours.domain.close()
    return batched, single


def measure_prosody(runs: int, messages: int) -> list[float] | None:
    """Prosody's runs, or None where it is not installed."""
    if shutil.which("prosody") is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        peer = Prosody(Path(directory) / "prosody")
        try:
            return repeated(runs, lambda: peer.run(messages))
        finally:
            peer.child.terminate()
            peer.child.wait(20)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=16_000)
    options = parser.parse_args()
    batched, single = measure_ours(options.runs, options.messages)
    peer = measure_prosody(options.runs, options.messages // 4)
    rate = statistics.median(rate for rate, _ in batched)
    print(
        f"{SENDERS} senders, {RECEIVERS} receivers, {BODY}-byte bodies, "
        f"{options.runs} runs, median\n"
    )
    print("| | messages/s to all receivers | median POST, ms | ratio |")
    print("| --- | ---: | ---: | ---: |")
    reference = statistics.median(peer) if peer else None
    for name, rows in (
        (f"Counterseal, {BATCH} a POST", batched),
        ("Counterseal, 1 a POST", single),
    ):
        middle, took = statistics.median(r for r, _ in rows), statistics.median(t for _, t in rows)
        ratio = f"{middle / reference:.1f}" if reference else "-"
        print(f"| {name} | {middle:,.0f} | {took:.1f} | {ratio} |")
    if reference is None:
        print(
            "\nProsody is not installed here, so there is nothing to compare with "
            "(apt-get install prosody)."
        )
    else:
        print(f"| Prosody, muc_mam, internal storage | {reference:,.0f} | - | 1.0 |")
    print(
        f"\nraw: ours {[round(r) for r, _ in batched]}, "
        f"single {[round(r) for r, _ in single]}, prosody {[round(r) for r in peer or []]}"
    )
    sys.exit(0 if reference is None or rate >= 5 * reference else 1)


if __name__ == "__main__":
    main()
