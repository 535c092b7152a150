"""The operator's calls, on loopback, with the token: stepping a demonstration's clock, and seeing
who has caught up.
"""

from __future__ import annotations

import apsw

from counterseal.protocol.errors import Conflict, NotAuthorised
from counterseal.protocol.record import Part, Uint
from counterseal.service.api.http import Answer, Call
from counterseal.service.auth import check_operator
from counterseal.service.store import charters


class Step(Part, frozen=True):
    """`[now]`, Unix seconds."""

    now: Uint


async def step(call: Call) -> Answer:
    """`POST /v1/operator/clock`: answers when the roots of the periods that this ends are
    cosigned.
    """
    _check(call)
    service, now = call.service, call.decode(Step).now
    if not service.clock.demonstration:
        raise NotAuthorised("Only a demonstration's clock is stepped.", code="not-a-demonstration")

    def job(db: apsw.Connection) -> None:
        if now < service.clock.now():
            raise Conflict(
                f"The clock stands at {service.clock.now()} and goes forward only.", code="clock"
            )
        charters.set_meta(db, "clock", now)
        # in the writer's own order: what is stamped after this is stamped by the new time
        service.clock.step(now)

    await service.store.write("clock", job)
    rows = await service.periods.log_closed(now)
    service.hub.notify_all(["clock", now])
    if rows:
        await service.log.reach(rows[-1].log_index + 1)
    return [now]


async def drained(call: Call) -> Answer:
    """`GET /v1/operator/drained`: what connected devices have been given, 0 where something still
    waits for them.
    """
    _check(call)
    return call.service.hub.cursors()


def _check(call: Call) -> None:
    check_operator(call.http.headers.get("authorization", ""), call.service.operator_token)
