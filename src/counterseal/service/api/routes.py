"""All that is served, in the order in which wire/endpoints.py has it matched."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute

from counterseal.service.api.gate import ServedEndpoint
from counterseal.wire.endpoints import ENDPOINTS


def in_order(served: Iterable[ServedEndpoint]) -> list[BaseRoute]:
    """The routes of all endpoints; each is served exactly once."""
    by_name = {(one.endpoint.method, one.endpoint.path): one.route for one in served}
    return [by_name[endpoint.method, endpoint.path] for endpoint in ENDPOINTS]
