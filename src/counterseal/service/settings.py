"""The service's one settings file, `DIR/settings.toml`.

Every setting has a default that works, so an empty or absent file is right. A wrong key is an error
that names the nearest right one.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from counterseal.protocol.errors import BadInput


class NetworkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the service listens, how many connections it takes, in all and from one address (0: no
    bound), and the seconds that a request's head may take. TLS is a proxy's work; loopback is the
    default. `trusted_proxies` are addresses or networks whose `X-Forwarded-For` is believed: name
    the proxy, or everybody behind it shares one rate.
    """

    host: str = "127.0.0.1"
    port: int = 8440
    connections: int = 20_000
    connections_an_address: int = 2_000
    head_seconds: float = 15.0
    trusted_proxies: tuple[str, ...] = ()


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one device, or one address before it has a device, may ask for. Bytes, and requests a
    second. `bodies_bytes` are those of all requests under way.
    """

    requests_per_second: float = 500.0
    burst: float = 2_000.0
    bodies_bytes: int = 256 * 1024 * 1024
    blob_bytes: int = 100 * 1024 * 1024
    key_packages: int = 1_000
    conversations: int = 10_000
    members: int = 1_000


class DeliverySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may wait for one connected device before it is disconnected, bytes and messages, and
    for all together; how many sockets there may be, in all and of one device.
    """

    queue_bytes: int = 8 * 1024 * 1024
    queue_messages: int = 4_096
    all_queues_bytes: int = 256 * 1024 * 1024
    connections: int = 20_000
    sockets_a_device: int = 16


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the log is sequenced, in milliseconds, how long a witness may take, in seconds, and
    how often roots are due, in seconds.
    """

    batch_ms: int = 100
    witness_timeout: float = 5.0
    directory_root_every: int = 3_600
    directory_root_delay: float = 60.0
    directory_root_delay_demonstration: float = 0.2


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which database the service keeps everything in: the name of a folder in service/store/."""

    kind: str = "sqlite"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings, a table each."""

    network: NetworkSettings = NetworkSettings()
    limits: LimitSettings = LimitSettings()
    delivery: DeliverySettings = DeliverySettings()
    log: LogSettings = LogSettings()
    store: StoreSettings = StoreSettings()


def load(path: Path) -> Settings:
    """The settings in a file, or the defaults when there is none. Raises `BadInput` "settings" with
    the place of the fault.
    """
    if not path.exists():
        return Settings()
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}.", code="settings") from None
    _check_names(table, Settings, str(path))
    try:
        return msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {error}.", code="settings") from None


def _check_names(table: dict[str, Any], kind: type[msgspec.Struct], where: str) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in table.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1, 0.0)[0]
            raise BadInput(
                f'{where} has no setting "{name}"; the nearest is "{near}".', code="settings"
            )
        if isinstance(value, dict) and issubclass(fields[name], msgspec.Struct):
            _check_names(value, fields[name], f"{where}, [{name}]")
