"""What a stranger with a socket gets: nothing of the disk, no traces, no redirects, no hints."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.domain import Domain, running
from tests.support.person import Person
from tests.support.refusals import refused_by_service

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    with running(tmp_path_factory.mktemp("strangers")) as domain:
        yield domain


@pytest.fixture(scope="module")
def secret(served: Domain) -> Path:
    """A file outside of what is served, under a name of the kind that tiles have."""
    place = served.folder / "secret.p"
    place.write_bytes(b"nobody reads this")
    (served.data / "inside.p").write_bytes(b"nobody reads this")
    return place


def raw(domain: Domain, request: bytes) -> bytes:
    """All that is answered to these bytes."""
    with socket.create_connection((domain.http.host, domain.http.port), 20) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    return answer


def get(domain: Domain, target: str) -> tuple[int, bytes]:
    """The status and the whole answer to a path that is sent as it is."""
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = raw(domain, head.encode())
    return int(answer.split(b" ", 2)[1]), answer


PLACES = ["log", "ledger", "v1/blobs", "v1/statements", "v1/charters"]


def escapes(secret: Path) -> list[str]:
    """Ways out of a folder, as they come in paths."""
    up = "../" * 8
    absolute = str(secret)
    return [
        absolute,
        "/" + absolute,
        f"../../{secret.name}",
        up + absolute.lstrip("/"),
        f"tile/{up}{absolute.lstrip('/')}",
        "../inside.p",
        "..%2finside.p",
        "..%2f..%2fsecret.p",
        "%2e%2e/inside.p",
        "%2e%2e%2finside.p",
        "..%5cinside.p",
        "%252e%252e%252finside.p",
        absolute.replace("/", "%2f"),
        "tile/0/000.p/../../../../inside.p",
        "./checkpoint",
        "%00.p",
        "tile/0/000%00.p",
        "tile/0/000.p/1%00",
        "tile/0/000.p",
        "x" * 300 + ".p",
        "tile/" + "x000/" * 1_500 + "000",
        "tile/0/" + "x999/" * 1_500 + "999",
        "tile/0/" + "x999/" * 6 + "999.p/255",
        "tile/99/000",
        "tile/0/٠٠٠",
        "%ff%fe.p",
    ]


@pytest.mark.parametrize("place", PLACES)
def test_no_path_leads_out_of_what_is_served(served: Domain, secret: Path, place: str) -> None:
    for path in escapes(secret):
        for target in (f"/{place}/{path}", f"/{place}//{path}"):
            quoted = target.encode().decode("latin-1")
            status, answer = get(served, quoted)
            assert 400 <= status < 500, (target[:80], answer[:200])
            assert b"nobody reads this" not in answer, target[:80]


def test_no_redirect_leads_to_the_clients_own_host(served: Domain) -> None:
    for target in ("/v1/health/", "/log/checkpoint/", "//v1/health", "/v1/health//"):
        answer = raw(
            served,
            f"GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode(),
        )
        assert b"HTTP/1.1 4" in answer.splitlines()[0], answer
        assert b"evil.example" not in answer


def test_a_draft_that_is_asked_for_writes_nothing(served: Domain) -> None:
    quarters = [0, 1, 8_000, 9_999, 10**17, *range(served.quarter + 9, served.quarter + 40)]
    for quarter in quarters:
        with refused_by_service(404, "draft"):
            served.http.array("GET", f"/v1/keysets/draft/{quarter}")


def test_how_many_statements_wait_is_for_institutions(served: Domain) -> None:
    """Whoever sees the backlog sees that somebody asks for access."""
    with refused_by_service(401, "no-authorization"):
        served.http.array("GET", "/v1/ledger/status")
    person = Person(served, f"p{os.urandom(4).hex()}")
    with refused_by_service(401):
        person.call("GET", "/v1/ledger/status")
    assert served.backlog == 0


@pytest.mark.parametrize("seq", [1 << 24, (1 << 24) + 1, 1 << 25, 3 << 24, (1 << 40) - 1, 10**17])
def test_a_frame_number_reaches_no_other_window(served: Domain, seq: int) -> None:
    """A number past a window's last is no frame, whatever other windows hold."""
    person = Person(served, f"p{os.urandom(4).hex()}")
    person.packages()
    conversation = person.create()
    window = person.open_window(conversation)
    other = person.open_window(conversation, 2)
    person.send(conversation, *[person.seal(other, "x") for _ in range(3)])
    path = f"/v1/conversations/{conversation.hex()}/inclusion/{window.window_id.hex()}/{seq}"
    with refused_by_service(404, "frame"):
        person.call("GET", path)
