"""Runs a service under uvicorn: one process, uvloop, httptools, no compression of what is encrypted
anyway.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import TextIO

import uvicorn

from counterseal.protocol.errors import FatalError
from counterseal.protocol.os_errors import error_from_os
from counterseal.service.app import Service
from counterseal.service.settings import load
from counterseal.state_files import PUBLIC, write_state

_PING = 20.0
_GRACE = 3
_END_SECONDS = 8.5
_KEEP_ALIVE = 75
_SWITCH = 0.00005
_MESSAGE_MAX = 1 << 20
_log = logging.getLogger("counterseal.service")


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, directory: Path, out: TextIO) -> None:
        super().__init__(config)
        self._directory = directory
        self._out = out

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends gracefully, and in any case soon."""
        if not self.should_exit:
            timer = threading.Timer(_END_SECONDS, _end_now)
            timer.daemon = True
            timer.start()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """SIGTERM and SIGINT end the service gracefully, with status 0: uvicorn would raise them
        again afterwards.
        """
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        write_state(self._directory / "address", f"{address}\n".encode(), mode=PUBLIC)
        self._out.write(f"Serving on {address}\n")
        self._out.flush()


def _end_now() -> None:
    """The end of a service that something holds up. What was acknowledged is durable; what was not
    is as after a power cut, for which everything here is made.
    """
    _log.warning("the service ends without waiting any longer")
    logging.shutdown()
    os._exit(0)


def _bind(host: str, port: int) -> socket.socket:
    """A socket at the address. Bound here, since uvicorn would end the program with a status of
    its own. Raises `Unavailable` for an address that is taken or is nobody's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise error_from_os(error) from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise error_from_os(error, f"{host}:{port}") from None
    return bound


def run(directory: Path, host: str | None, port: int | None, out: TextIO) -> int:
    """Serves until a signal; returns the exit status: 0, or 70 after a fatal error. Raises
    `CountersealError` for a wrong setup.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=out
    )
    # loop and writer hand the interpreter's lock to and fro at every statement and every write; the
    # usual 5 ms would be the latency
    sys.setswitchinterval(_SWITCH)
    settings = load(directory / "settings.toml")
    server: _Server | None = None

    def stop() -> None:
        if server is not None:
            server.should_exit = True

    service = Service(directory, settings, stop)
    network = settings.network
    bound = _bind(host or network.host, network.port if port is None else port)
    config = uvicorn.Config(
        service.application(),
        loop="uvloop",
        # uvicorn takes whatever makes a protocol
        http=service.edge.http,  # type: ignore[arg-type]
        ws=service.edge.web_socket,  # type: ignore[arg-type]
        ws_per_message_deflate=False,
        ws_max_size=_MESSAGE_MAX,
        ws_ping_interval=_PING,
        access_log=False,
        log_config=None,
        # what strangers send is no news, and no way to fill the disk
        log_level="error",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
    )
    server = _Server(config, directory, out)
    server.run([bound])
    return FatalError.exit_status if service.failed or not server.started else 0
