"""That a frame of a period that is over was stamped in it (F11): its place in its window, the
window's in the period, the period's in the log.
"""

from __future__ import annotations

from counterseal.client.directory import DeviceDirectory
from counterseal.protocol import cbor
from counterseal.protocol.errors import Refused
from counterseal.protocol.period import PeriodRoot, WindowFrames
from counterseal.protocol.stamp import Stamp, message_digest
from counterseal.tlog.errors import PeriodError
from counterseal.tlog.frame_proof import FrameProof, window_root_from
from counterseal.tlog.periods import WindowProof, decode_period_root
from counterseal.wire.periods import FrameInclusion


async def prove_inclusion(
    directory: DeviceDirectory,
    window: bytes,
    seq: int,
    opens: int,
    message: bytes,
    answer: FrameInclusion,
) -> None:
    """Returns when the PrivateMessage `message` is proved to be frame `seq` of `window` in the
    logged period that opens at `opens`.

    Raises P1 to P4, P6, T9, T10 and those of the log.
    """
    period = check_frame(directory.home.pins.domain, window, seq, opens, message, answer)
    digest = period.digest()
    with directory.home.store() as store:
        known = store.rules.has_period(digest)
    # one proof under the log serves for all frames of the period
    if not known:
        await directory.log.prove_statement(answer.root, answer.log_index)
        with directory.home.store() as store, store.transaction():
            store.rules.add_period(digest, answer.log_index)


def check_frame(
    domain: str, window: bytes, seq: int, opens: int, message: bytes, answer: FrameInclusion
) -> PeriodRoot:
    """The period root under which the frame is proved; that it is in the log is still to be proved.
    Raises P1 to P4, P6.
    """
    period = decode_period_root(answer.root)
    if (period.domain, period.opens, period.windows) != (domain, opens, answer.window.size):
        raise PeriodError("P6", "The proof is of another domain or period than the frame's.")
    stamp = Stamp.decode(answer.stamp)
    if stamp.message_digest != message_digest(message):
        raise PeriodError("P4", "The stamp is of another message than the frame's.")
    place = answer.frame
    if place.index != seq:
        raise PeriodError("P6", f"The proof is of frame {place.index}, not {seq}.")

    # the window's own root is not sent: it is what the frame's path leads to
    root = window_root_from(stamp, place.index, place.size, answer.frame_path)
    frames = WindowFrames(window, place.size, root)
    window_proof = WindowProof(frames, answer.window.index, answer.window_path)
    proof = FrameProof(seq, stamp.n, stamp.time, answer.frame_path, window_proof)
    proof.verify(period, window, seq, message)
    return period


def pack_pending(message: bytes, opens: int) -> bytes:
    """What a pending row keeps: the message and the period that its label names."""
    return cbor.encode([message, opens])


def unpack_pending(raw: bytes) -> tuple[bytes, int]:
    """The message and its period's beginning (seconds)."""
    match cbor.decode(raw, 1 << 20):
        case (bytes() as message, int() as opens):
            return message, opens
    raise Refused("E6", "A pending row of this device's history is not as it was written.")
