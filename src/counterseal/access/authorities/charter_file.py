"""`charter.toml`: the rules of access as people write them. Typed; a wrong key is an error that
names the nearest right one.

A length of time is seconds, or a number and a unit: "90 d", "8 h", "30 min", "1 s". What is left
out has a default that works, and `charter show` says every value in words before anybody signs.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec

from counterseal.files import read_whole
from counterseal.protocol.errors import BadInput

DAY = 86_400
_MAX = 1 << 20
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": DAY}
_LENGTH = re.compile(r"([0-9]{1,9}) ?(s|min|h|d)")
Length = int | str


class BodyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A custodian body; by default every member whose card is there, and a majority of them."""

    name: str
    threshold: int | None = None
    members: tuple[str, ...] | None = None


class CustodiansEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The custodian bodies; by default every body that has a card, in order of name, and a majority
    of them.
    """

    needed: int | None = None
    body: tuple[BodyEntry, ...] = ()


class WitnessesEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`shares`: witnesses whose shares are needed (w). `cosignatures`: the least `c` with `2c >= W
    + w` unless given.
    """

    shares: int | None = None
    cosignatures: int | None = None
    order: tuple[str, ...] | None = None


class IssuerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legal authority and its roles."""

    name: str
    roles: tuple[str, ...]


class GroundEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ground on which a warrant may be asked for."""

    name: str
    words: str = ""
    urgent: bool = False


class CapsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arithmetic against mass access. A unit is one account in one period."""

    units_30_days: int = 2_000
    accounts_per_warrant: int = 5
    days_per_warrant: int = 92


class UrgentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a period a requester alone may ask for, and by when an approver must ratify it, by
    which calendar.
    """

    max_period: Length = "1 d"
    ratify_within: Length = "2 d"
    calendar: str = "every day"


class CalendarEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days that do not count. Weekday 0 is Monday; dates as YYYY-MM-DD."""

    name: str
    utc_offset_minutes: int = 0
    weekdays_off: tuple[int, ...] = ()
    dates_off: tuple[str, ...] = ()


class NoticesEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the people concerned are told. `substitute` is the account id, in hex, that is told for
    one that is gone.
    """

    delay: Length = "90 d"
    extension: Length = "90 d"
    extensions_max: int = 2
    cadence: Length = "1 h"
    per_cadence: int = 4
    substitute: str | None = None


class DisclosureEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a field of a warrant becomes public: "at once", "yearly" or "after notice"."""

    field: str
    when: str


class LedgerRuleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger's beat: seconds a tick, leaves and bytes of openings a tick, and how fresh a
    holder's checkpoint has to be.
    """

    tick: Length = "1 min"
    leaves: int = 4
    batch: int = 16_384
    fresh_online: Length = "1 h"
    fresh_offline: Length = "3 d"


class CharterFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. `valid_from` and `valid_until` are dates or Unix seconds; a year from today
    unless given.
    """

    domain: str | None = None
    demonstration: bool = False
    custodians: CustodiansEntry = CustodiansEntry()
    witnesses: WitnessesEntry = WitnessesEntry()
    issuer: tuple[IssuerEntry, ...] = ()
    ground: tuple[GroundEntry, ...] = ()
    caps: CapsEntry = CapsEntry()
    urgent: UrgentEntry = UrgentEntry()
    calendar: tuple[CalendarEntry, ...] = (CalendarEntry("every day"),)
    notices: NoticesEntry = NoticesEntry()
    disclosure: tuple[DisclosureEntry, ...] = ()
    ledger: LedgerRuleEntry = LedgerRuleEntry()
    retention: Length = "180 d"
    period: Length = "1 h"
    activation_delay: Length = "7 d"
    valid_from: int | None = None
    valid_until: int | None = None


def read(path: Path) -> CharterFile:
    """The file at `path`. Raises `BadInput` with what is wrong, where, and the nearest right name
    of a wrong key.
    """
    try:
        value = tomllib.loads(read_whole(path, "charter.toml", limit=_MAX).decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} cannot be read as TOML: {error}.") from None
    return parse(value, str(path))


def parse(value: dict[str, Any], where: str = "charter.toml") -> CharterFile:
    """The file's value as its type. Raises `BadInput`."""
    _check_names(value, CharterFile, where, "")
    try:
        return msgspec.convert(value, CharterFile)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {error}.") from None


def seconds(length: Length) -> int:
    """A length of time in seconds. Raises `BadInput`."""
    if isinstance(length, int):
        return length
    match = _LENGTH.fullmatch(length)
    if match is None:
        raise BadInput(
            f'{length!r} is no length of time; write seconds, or for instance "90 d", "8 h", "30 '
            'min".'
        )
    return int(match[1]) * _UNITS[match[2]]


def _check_names(value: Any, kind: Any, where: str, path: str) -> None:
    """Walks tables and lists of tables beside their types, to name a wrong key before any other
    fault.
    """
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        for key, inner in value.items():
            if key not in fields:
                near = difflib.get_close_matches(key, fields, 1, 0.0)[0]
                raise BadInput(
                    f"{where} has no key {path + key!r}; the nearest is {path + near!r}."
                )
            _check_names(inner, fields[key], where, f"{path}{key}.")
    elif isinstance(value, list):
        inner_kind = next(iter(get_args(kind)), None)
        for inner in value:
            _check_names(inner, inner_kind, where, path)
