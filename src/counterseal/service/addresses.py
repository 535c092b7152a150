"""Whose address a request comes from: the connection's, or what a trusted proxy says.

A bucket of the rates is an address. Behind a proxy that is not named in the settings everybody
shares the proxy's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.requests import HTTPConnection

from counterseal.protocol.errors import BadInput

_FORWARDED_MAX = 20

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ClientAddresses:
    """Reads `X-Forwarded-For` from proxies that are trusted. Raises `BadInput` "settings" for what
    is no address or network.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        try:
            self._trusted: list[Network] = [ipaddress.ip_network(one) for one in trusted]
        except ValueError as error:
            raise BadInput(
                f"settings.toml, [network] trusted_proxies: {error}.", code="settings"
            ) from None

    def of(self, connection: HTTPConnection) -> str:
        """The client's address; of IPv6 the /64, which one subscriber has as a whole."""
        address = connection.client.host if connection.client else ""
        if not self._is_trusted(address):
            return bucket(address)
        forwarded = ",".join(connection.headers.getlist("x-forwarded-for"))
        # whoever is nearer to us is to the right: what a stranger wrote is to the left of it
        for text in reversed(forwarded.split(",")[-_FORWARDED_MAX:]):
            said = text.strip()
            if not _is_address(said):
                break
            address = said
            if not self._is_trusted(said):
                break
        return bucket(address)

    def is_shared(self, address: str) -> bool:
        """Whether many may come from this address: a proxy's, or this machine's."""
        return self._is_trusted(address) or (
            _is_address(address) and ipaddress.ip_address(address).is_loopback
        )

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted or not _is_address(address):
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._trusted)


def bucket(address: str) -> str:
    """The address, or the /64 of one of IPv6."""
    if ":" not in address or not _is_address(address):
        return address
    parsed = ipaddress.ip_address(address)
    assert isinstance(parsed, ipaddress.IPv6Address)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
