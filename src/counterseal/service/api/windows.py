"""Windows: stored before any frame may name them."""

from __future__ import annotations

from starlette.responses import Response

from counterseal.service.api.gate import DeviceCall, Gate, ServedEndpoint
from counterseal.service.clock import WindowClock
from counterseal.service.decisions import windows
from counterseal.service.store.interface import Store
from counterseal.service.trust import DomainRules
from counterseal.wire.endpoint import CBOR
from counterseal.wire.windows import RESTARTS_LEFT, WINDOW_POST, PostWindow, WindowPosted


class WindowRoutes:
    """Posting windows."""

    def __init__(self, store: Store, trust: DomainRules, window_clock: WindowClock) -> None:
        self._store = store
        self._trust = trust
        self._clock = window_clock

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [gate.device(WINDOW_POST, self.post)]

    async def post(self, call: DeviceCall[PostWindow]) -> WindowPosted | Response:
        """A window; a header says how often the device may still open one again this period."""
        sent = call.request
        posted = windows.read(sent.label, sent.roster, sent.counterseal, call.caller)
        left = await self._store.write(
            "window", lambda tables: windows.add(tables, self._trust, posted, self._clock.now())
        )
        answer = WindowPosted(posted.label.window_id)
        if left is None:
            return answer
        headers = {RESTARTS_LEFT: str(left)}
        return Response(WINDOW_POST.encode_answer(answer), media_type=CBOR, headers=headers)
