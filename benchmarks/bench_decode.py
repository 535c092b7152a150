"""Decoding by shape against decoding any value first and looking at it then, in one run in which
both take turns; and what hostile bodies of 4 MiB cost, against 50 ms and 20 MB.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import world as w
from tests.unit.test_protocol_shape import bombs, peak

from counterseal.protocol import cbor
from counterseal.protocol.cose import _Sign
from counterseal.protocol.errors import Refused
from counterseal.protocol.record import Part, convert, decode_part
from counterseal.protocol.window import Roster
from counterseal.wire.body import encode_body
from counterseal.wire.conversations import PostCommit
from counterseal.wire.events import ConversationEvent, EventsPage
from counterseal.wire.frames import PostFrames
from counterseal.wire.ledger import PostStatement

MILLISECONDS, MEGABYTES = 50, 20


def best(work: Callable[[], object], times: int) -> float:
    """Seconds of processor time that one call takes at its best."""
    found = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - start) / times)
    return min(found)


def ordinary() -> None:
    """Right records and answers."""
    devices = [(bytes([one % 251]) * 32, one.to_bytes(32, "big")) for one in range(400)]
    event = ConversationEvent(1, 0, 1_700_000_000, bytes(900))
    samples: list[tuple[str, bytes, type[Part]]] = [
        ("label", w.make_label(bytes(32)).encode(), type(w.make_label(bytes(32)))),
        ("roster of 400", Roster.of(devices).encode(), Roster),
        ("warrant", w.make_warrant(bytes(32)).encode(), type(w.make_warrant(bytes(32)))),
        ("charter", w.CHARTER.encode(), type(w.CHARTER)),
        ("signed warrant", w.statement(w.make_warrant(bytes(32)), "Prosecutor"), _Sign),
        ("500 events", encode_body(EventsPage((event,) * 500, 500)), EventsPage),
    ]
    print(f"{'':16}{'bytes':>9}{'two steps':>12}{'by shape':>12}{'ratio':>8}")
    for name, data, kind in samples:
        times = max(3, 500_000 // len(data))
        steps = best(lambda data=data, kind=kind: two_steps(data, kind), times)
        shape = best(lambda data=data, kind=kind: decode_part(data, 1 << 22, kind), times)
        print(
            f"{name:16}{len(data):>9}{steps * 1e6:>10.1f}us{shape * 1e6:>10.1f}us"
            f"{shape / steps:>8.2f}"
        )


def two_steps(data: bytes, kind: type[Part]) -> Part:
    """Any value first, then the struct."""
    return convert(cbor.decode(data, 1 << 22), kind)


def hostile() -> None:
    """Bodies of 4 MiB of small elements."""
    kinds: list[type[Part]] = [PostStatement, PostCommit, PostFrames]
    print(f"\n{'4 MiB of':16}{'any value':>14}" + "".join(f"{k.__name__:>24}" for k in kinds))
    for name, data in bombs(4 << 20).items():
        if name == "one text":
            continue  # one object, and a value like any other
        cells = [cost(lambda data=data: cbor.decode(data, 1 << 23))]
        cells += [cost(lambda data=data, k=k: decode_part(data, 1 << 23, k)) for k in kinds]
        print(f"{name:16}{cells[0]:>14}" + "".join(f"{cell:>24}" for cell in cells[1:]))
    print(f"bounds: {MILLISECONDS} ms, {MEGABYTES} MB")


def cost(decode: Callable[[], Any]) -> str:
    """Milliseconds and megabytes of a refusal."""

    def refused() -> None:
        try:
            decode()
        except Refused:
            pass

    seconds = best(refused, 1)
    memory = peak(lambda _: decode(), b"")
    return f"{seconds * 1e3:.1f} ms {memory / 1e6:.1f} MB"


if __name__ == "__main__":
    ordinary()
    hostile()
