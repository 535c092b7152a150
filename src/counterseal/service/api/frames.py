"""Frames: appended durably before the sender hears of it."""

from __future__ import annotations

from counterseal.protocol.errors import Refused
from counterseal.service.api.gate import DeviceCall, Gate, ServedEndpoint
from counterseal.service.clock import WindowClock
from counterseal.service.decisions import frames
from counterseal.service.decisions.frames import Appended, LabelCache
from counterseal.service.delivery import Hub
from counterseal.service.store.interface import Store, Transaction
from counterseal.wire.frames import (
    FRAMES_POST,
    FrameAccepted,
    FrameRefused,
    FramesPosted,
    PostFrames,
)


class FrameRoutes:
    """Posting frames."""

    def __init__(self, store: Store, window_clock: WindowClock, hub: Hub) -> None:
        self._store = store
        self._clock = window_clock
        self._hub = hub
        self._labels = LabelCache()

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [gate.device(FRAMES_POST, self.post)]

    async def post(self, call: DeviceCall[PostFrames]) -> FramesPosted:
        """The frames up to the first that is refused."""
        conversation, device = call.parts["conversation"], call.caller.device
        parsed, unreadable = frames.parse(conversation, call.request.messages)

        def job(tables: Transaction) -> Appended:
            now = self._clock.now()
            return frames.append(tables, self._labels, now, conversation, device, parsed)

        appended = await self._store.write("frames", job, self._publish)
        accepted = tuple(FrameAccepted(n, time) for n, time in appended.stamps)
        return FramesPosted(accepted, _refused(appended.refused or unreadable))

    def _publish(self, appended: Appended) -> None:
        conversation = appended.conversation
        self._hub.publish(conversation.no, conversation.id, appended.events)


def _refused(error: Refused | None) -> FrameRefused | None:
    return None if error is None else FrameRefused(error.code, error.message)
