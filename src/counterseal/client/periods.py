"""That a frame of a period that is over was stamped in it (F11): its place in its window, the
window's in the period, the period's in the log.
"""

from __future__ import annotations

from typing import Any

from counterseal.client.answers import InclusionAnswer
from counterseal.client.directory import Directory
from counterseal.protocol import cbor
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.errors import Refused
from counterseal.tlog.errors import PeriodError
from counterseal.tlog.periods import (
    FrameProof,
    PeriodRoot,
    WindowFrames,
    WindowProof,
    decode_period_root,
    message_digest,
)
from counterseal.tlog.tree import leaf_hash, node_hash


async def prove_inclusion(
    directory: Directory,
    window: bytes,
    seq: int,
    opens: int,
    message: bytes,
    answer: InclusionAnswer,
) -> None:
    """Returns when the PrivateMessage `message` is proved to be frame `seq` of `window` in the
    logged period that opens at `opens`.

    Raises P1 to P4, P6, T9, T10 and those of the log.
    """
    period = check_frame(directory.home.pins.domain, window, seq, opens, message, answer)
    with directory.home.vault() as vault:
        known = vault.one("SELECT 1 FROM client_period WHERE digest = ?", period.digest())
    if known is None:  # one proof under the log serves for all frames of the period
        await directory.prove_entry(H([tag("entry"), answer.period_root]), answer.log_index)
        with directory.home.vault() as vault, vault.transaction():
            vault.execute(
                "INSERT OR IGNORE INTO client_period (digest, log_index) VALUES (?, ?)",
                period.digest(),
                answer.log_index,
            )


def check_frame(
    domain: str, window: bytes, seq: int, opens: int, message: bytes, answer: InclusionAnswer
) -> PeriodRoot:
    """The period root under which the frame is proved; that it is in the log is still to be proved.
    Raises P1 to P4, P6.
    """
    period = decode_period_root(answer.period_root)
    if (period.domain, period.opens) != (
        domain,
        opens,
    ) or answer.period_place.size != period.windows:
        raise PeriodError("P6", "The proof is of another domain or period than the frame's.")
    n, time = _stamped(answer.stamp, message)
    if answer.window_place.index != seq:
        raise PeriodError("P6", f"The proof is of frame {answer.window_place.index}, not {seq}.")
    leaf = leaf_hash(cbor.encode([tag("stamp"), message_digest(message), n, time]))
    root = implied_root(
        leaf, answer.window_place.index, answer.window_place.size, answer.window_path
    )
    frames = WindowFrames(window, answer.window_place.size, root)
    proof = WindowProof(frames, answer.period_place.index, answer.period_path)
    FrameProof(seq, n, time, answer.window_path, proof).verify(period, window, seq, message)
    return period


def _stamped(stamp: Any, message: bytes) -> tuple[int, int]:
    """The stamp's number and time, if it is this message's."""
    value: Any = cbor.decode(stamp, 256) if isinstance(stamp, bytes) else stamp
    match value:
        case (str() as name, bytes() as digest, int() as n, int() as time) if name == tag(
            "stamp"
        ) and digest == message_digest(message):
            return n, time
    raise PeriodError("P4", "The stamp is of another message than the frame's.")


def implied_root(leaf: bytes, index: int, size: int, path: tuple[bytes, ...]) -> bytes:
    """The root that an inclusion path leads to (RFC 9162 section 2.1.3.2), for a tree whose root
    stands in another leaf. Raises P4.
    """
    if not 0 <= index < size:
        raise PeriodError("P4", f"There is no frame {index} in a window of {size}.")
    node, last = leaf, size - 1
    for sibling in path:
        if last == 0:
            raise PeriodError("P4", "The proof's path is too long.")
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise PeriodError("P4", "The proof's path is too short.")
    return node


def pack_pending(message: bytes, opens: int) -> bytes:
    """What a pending row keeps: the message and the period that its label names."""
    return cbor.encode([message, opens])


def unpack_pending(raw: bytes) -> tuple[bytes, int]:
    """The message and its period's beginning (seconds)."""
    match cbor.decode(raw, 1 << 20):
        case (bytes() as message, int() as opens):
            return message, opens
    raise Refused("E6", "A pending row of this device's history is not as it was written.")
