import socket

import pytest
from tests.conftest import is_local


@pytest.mark.parametrize(
    "host",
    [None, "", "localhost", "127.0.0.1", "127.8.9.1", "::1", "::1%lo", b"localhost", "0.0.0.0"],
)
def test_this_machine(host):
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "10.0.0.1", "example.org", "localhost.example.org", "2001:db8::1", "\u2603"],
)
def test_elsewhere(host):
    assert not is_local(host)


def test_a_connection_elsewhere_fails_the_test():
    with (
        pytest.raises(pytest.fail.Exception, match="only reach this machine"),
        socket.socket() as sock,
    ):
        sock.connect(("192.0.2.1", 443))


def test_a_look_up_elsewhere_fails_the_test():
    with pytest.raises(pytest.fail.Exception, match="only reach this machine"):
        socket.getaddrinfo("example.org", 443)


def test_loopback_works():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        client.sendall(b"x")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b"x"


async def test_coroutines_run():
    pass
