"""What every test gets: no network beyond this machine, one event loop, the same Hypothesis
examples each time.
"""

import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.support.domain import Domain, running
from tests.support.http import Answering

pytest_plugins = ["tests.support.strict"]

LOCAL_NAMES = {"", "localhost", "ip6-localhost"}

# Repeatable and bounded by default; HYPOTHESIS_PROFILE=search looks for new counterexamples for as
# long as one cares to wait.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    max_examples=50,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "search", deadline=None, max_examples=5_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def is_local(host: object) -> bool:
    """Whether a host, as given to a socket call, is this machine."""
    if host is None or isinstance(host, int):
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse_network(event: str, args: tuple[object, ...]) -> None:
    """An audit hook: every connection and name look-up made by Python passes here, whichever
    library asks for it.
    """
    if event in {"socket.connect", "socket.sendto"}:
        address = args[1]
        host = address[0] if isinstance(address, tuple) else None  # Unix sockets have a path
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = args[0]
    else:
        return
    if not is_local(host):
        pytest.fail(f"a test may only reach this machine, not {host!r}")


def pytest_configure() -> None:
    sys.addaudithook(refuse_network)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests that are coroutines run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home folder, the current folder as well, so that nothing of the person who runs the
    tests is read or written.
    """
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.chdir(folder)
    yield folder


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    """A demonstration's domain for the tests of one file; its clock is where a period begins."""
    with running(tmp_path_factory.mktemp("domain")) as made:
        yield made


@pytest.fixture
def answering() -> Iterator[Answering]:
    """A server that answers what the test tells it to; any other request fails the test."""
    server = Answering()
    yield server
    server.close()
