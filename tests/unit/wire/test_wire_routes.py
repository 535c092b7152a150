"""The service serves exactly the endpoints of the wire room, and each path reaches its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Match

from counterseal.protocol.errors import BadInput
from counterseal.service import service_keys
from counterseal.service.app import Service
from counterseal.service.settings import Settings
from counterseal.wire.endpoint import HEX, NUMBERS, Endpoint
from counterseal.wire.endpoints import ENDPOINTS
from counterseal.wire.reading import read_part
from counterseal.wire.socket import SOCKET


def example(one: Endpoint[Any, Any]) -> str:
    """A path of the endpoint with something in each of its places."""
    values = {
        part: bytes(HEX[part]) if part in HEX else 7 if part in NUMBERS else "tile/0/000"
        for part in one.parts
    }
    if "handle" in values:
        values["handle"] = "ada"
    return one.at(**values)


def test_every_endpoint_is_served_and_nothing_else(tmp_path: Path) -> None:
    service_keys.create(tmp_path, "example.org")

    async def served() -> tuple[list[Any], list[Any]]:
        service = Service(tmp_path, Settings(), lambda: None)
        try:
            return list(service._served()), service.application().routes
        finally:
            await service._close()

    listed, routes = asyncio.run(served())
    assert sorted((one.endpoint.method, one.endpoint.path) for one in listed) == sorted(
        (one.method, one.path) for one in ENDPOINTS
    )
    assert len(routes) == len(ENDPOINTS)

    for number, one in enumerate(ENDPOINTS):
        kind = "websocket" if one is SOCKET else "http"
        scope = {"type": kind, "method": one.method, "path": example(one), "headers": []}
        reached = [at for at, route in enumerate(routes) if route.matches(scope)[0] is Match.FULL]
        assert reached[0] == number, f"{one.method} {scope['path']} reaches {routes[reached[0]]}"


def test_a_handle_is_no_other_part_of_a_path() -> None:
    assert read_part("handle", "@ada:example.org") == "@ada:example.org"
    with pytest.raises(BadInput):
        read_part("account", "@ada:example.org")
