"""Period roots, and the proof of one frame under its period's root."""

from __future__ import annotations

from counterseal.protocol.errors import NotFound
from counterseal.protocol.stamp import Stamp
from counterseal.service.api.gate import Call, DeviceCall, Gate, ServedEndpoint
from counterseal.service.decisions import conversations
from counterseal.service.periods import PeriodRoots
from counterseal.service.store.interface import Snapshot, Store
from counterseal.service.store.rows import StoredStamp, StoredWindow
from counterseal.wire.periods import (
    FRAME_INCLUSION,
    PERIODS,
    PERIODS_PAGE,
    FrameInclusion,
    ShownPeriodRoot,
    ShownPeriodRoots,
    TreePlace,
)


class PeriodRoutes:
    """Reading period roots, and proving frames."""

    def __init__(self, store: Store, periods: PeriodRoots) -> None:
        self._store = store
        self._periods = periods

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [gate.anybody(PERIODS, self.after), gate.device(FRAME_INCLUSION, self.inclusion)]

    async def after(self, call: Call[None]) -> ShownPeriodRoots:
        """A page of roots."""
        index = call.number("after")
        rows = await self._store.read(lambda snapshot: snapshot.periods.after(index, PERIODS_PAGE))
        return ShownPeriodRoots(tuple(ShownPeriodRoot(row.log_index, row.record) for row in rows))

    async def inclusion(self, call: DeviceCall[None]) -> FrameInclusion:
        """The proof of a frame, for the conversation's devices, past ones included."""
        conversation, device = call.parts["conversation"], call.caller.device
        window_id, seq = call.parts["window"], call.parts["seq"]

        def job(snapshot: Snapshot) -> tuple[StoredWindow, StoredStamp]:
            seen = conversations.get(snapshot.conversations, conversation)
            conversations.get_ranges(snapshot.conversations, seen.no, device)
            window = snapshot.windows.find(window_id)
            if window is not None and window.conversation == seen.no:
                stamp = snapshot.windows.find_stamp(window.no, seq)
                if stamp is not None:
                    return window, stamp
            raise NotFound("There is no such frame in this conversation.", code="frame")

        window, stamp = await self._store.read(job)
        place = await self._periods.prove_window(window)
        return FrameInclusion(
            stamp=Stamp(stamp.digest, stamp.n, stamp.time).encode(),
            frame_path=await self._periods.prove_frame(window, seq),
            frame=TreePlace(seq, place.frames),
            window_path=place.path,
            window=TreePlace(place.index, place.windows),
            root=place.root.record,
            log_index=place.root.log_index,
        )
