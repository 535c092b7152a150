"""The warrant: an order to read certain accounts' messages of certain periods (section 8).

| rule | refuses |
| --- | --- |
| W3 | a span that is not whole periods, is empty, or is longer than `days_per_warrant` |
| W4 | accounts or conversations that are none, unsorted, twice, or more accounts than |
|    | `accounts_per_warrant` |
| W5 | a ground that the charter in force does not list |
| W8 | units of zero, or beyond the cap: declared units of running warrants and used units of |
|    | ended ones, of the last 30 days, this one included |
| W9 | an opener's key that is not one of the openers' of the charter in force |
| W10 | a warrant that is expired; one that would expire over `days_per_warrant` days after the |
|     | later of `until` and the ledger's time of its request |
| W13 | an urgent warrant on a ground that is not urgent, over more than `urgent_max_period`, |
|     | while another waits to be ratified, or by a requester who is barred |
| W19 | a reference that holds what a page cannot show |
| W20 | a span or a time that lies beyond the end of the charter, and of the present |
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from .calendars import DAY
from .charter import Charter
from .errors import Refused
from .record import Bytes16, Bytes32, Domain, Name, Record, Time, Uint, XWingKey

Reference = Annotated[str, Meta(max_length=256)]


class Warrant(Record, frozen=True, tag="counterseal/v1/warrant"):
    """What a requester asks for. `start` and `until` (exclusive) are whole periods, seconds; a null
    list of conversations means all. A COSE_Sign by the requester."""

    limit: ClassVar[int] = 128 << 10
    domain: Domain
    charter_digest: Bytes32
    account_ids: Annotated[tuple[Bytes32, ...], Meta(max_length=1_000)]
    start: Time
    until: Time
    direction: Literal["sent", "conversation"]
    conversations: Annotated[tuple[Bytes16, ...], Meta(max_length=1_000)] | None
    ground: Name
    urgency: Literal["normal", "urgent"]
    units: Uint
    opener_key: XWingKey
    expires: Time
    reference: Reference
    issued: Time

    @property
    def urgent(self) -> bool:
        """Whether it starts before an approver has signed."""
        return self.urgency == "urgent"


def check_warrant(warrant: Warrant, named: Charter, in_force: Charter, time: int) -> Warrant:
    """The warrant again, if its own terms keep to the rules.

    Periods and their end are those of the charter that the warrant names; all else is judged by the
    charter in force at `time` (seconds): the ledger's at the request, for a draft the present.
    Raises `Refused` W3, W4, W5, W8, W9, W10, W13, W19 or W20.
    """
    _check_span(warrant, named, in_force)
    _check_accounts(warrant, in_force)
    _check_ground(warrant, in_force)
    if not 1 <= warrant.units <= in_force.caps.units_30_days:
        raise Refused("W8", f"{warrant.units} units are none, or over the cap of 30 days.")
    if warrant.opener_key not in [opener.xwing for opener in in_force.openers]:
        raise Refused("W9", "The opener's key is not one that the charter in force lists.")
    check_time(warrant.issued, in_force, time)
    if warrant.expires > max(time, warrant.until) + in_force.caps.days_per_warrant * DAY:
        raise Refused("W10", "The warrant would stay open for longer than allowed; shorten it.")
    if not warrant.reference.isprintable():
        raise Refused("W19", "The warrant's reference holds characters that a page cannot show.")

    return check_not_expired(warrant, time)


def check_time(stated: int, in_force: Charter, time: int) -> int:
    """The time that a statement states again. Raises `Refused` W20 for one that is later than the
    end of the charter in force, and than the day after `time`, the ledger's."""
    if stated > max(in_force.valid_until, time + DAY):
        raise Refused("W20", f"The time {stated} lies beyond the end of the charter in force.")
    return stated


def check_not_expired(warrant: Warrant, now: int) -> Warrant:
    """The warrant again; `now` is the later of checkpoint's time and own clock. Raises `Refused`
    W10.
    """
    if now >= warrant.expires:
        raise Refused("W10", f"The warrant expired at {warrant.expires}; a new one is needed.")
    return warrant


def _check_span(warrant: Warrant, named: Charter, charter: Charter) -> None:
    length = named.period_length
    if warrant.start % length or warrant.until % length or warrant.start >= warrant.until:
        raise Refused("W3", f"The span is not one or more whole periods of {length} s.")
    if warrant.until >= named.valid_until + length:
        raise Refused("W20", "The span goes beyond the end of the charter that the warrant names.")
    if warrant.until - warrant.start > charter.caps.days_per_warrant * DAY:
        raise Refused("W3", f"The span is longer than {charter.caps.days_per_warrant} days.")


def _check_accounts(warrant: Warrant, charter: Charter) -> None:
    for named in (warrant.account_ids, warrant.conversations):
        if named is not None and (not named or list(named) != sorted(set(named))):
            raise Refused("W4", "Accounts and conversations are at least one, sorted, each once.")
    if len(warrant.account_ids) > charter.caps.accounts_per_warrant:
        raise Refused("W4", "The warrant names more accounts than the charter allows.")


def _check_ground(warrant: Warrant, charter: Charter) -> None:
    ground = next((ground for ground in charter.grounds if ground.name == warrant.ground), None)
    if ground is None:
        raise Refused("W5", f"The charter in force does not list the ground {warrant.ground!r}.")
    if warrant.urgent and not ground.urgent:
        raise Refused("W13", f"On the ground {warrant.ground!r} no requester may start alone.")
    if warrant.urgent and warrant.until - warrant.start > charter.urgent.max_period:
        raise Refused("W13", f"An urgent warrant spans at most {charter.urgent.max_period} s.")
