"""What this device has to say and the service has not yet acknowledged.

| step | durable in one transaction |
| --- | --- |
| queue | the plaintext, as a row of the history ("queued") and a row of the outbox |
| seal | MLS ratchet, window's next seq, and the sealed bytes beside the plaintext |
| post | nothing here: the service answers the first stamp for the same bytes, however often they come |
| acknowledge | number and stamp, "sent", the outbox row gone |

A crash between any two steps loses nothing and sends nothing twice. What the service refuses (the
epoch is over: V4; the window is over: V3; its seq is another: V2) is taken back newest first, only
after everything up to now has been processed, since one's own frame may be among it; then it is
sealed anew in the window that fits.
"""

from __future__ import annotations

import msgspec

from counterseal import failpoint
from counterseal.client import conversations, history, sync, windows
from counterseal.client.answers import FramesAnswer
from counterseal.client.session import Session, real_ms
from counterseal.client.vault import Vault
from counterseal.core._core import Window
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.errors import BadInput, CountersealError, Refused, Unavailable
from counterseal.protocol.frame import Attachment, Content

BATCH = 64
CONTENT_MAX = 50_000
"""Bytes of one message's content, so that with padding and attachments' keys it stays under V6's 64
KiB.
"""
_ROUNDS = 12
_MENDED = {"epoch", "V1", "V2", "V3", "V4", "L1", "L2", "L5", "L6"}


class Queued(msgspec.Struct, frozen=True):
    """One row of the outbox; `sealed` and `seq` are None before it is sealed."""

    message: int
    window: bytes | None
    seq: int | None
    sealed: bytes | None


def queue(
    vault: Vault,
    conversation: bytes,
    me: tuple[bytes, bytes],
    text: str,
    sent_at_ms: int | None,
    attachments: tuple[Attachment, ...] = (),
    kind: str = "text",
) -> int:
    """Takes a message into the outbox, in the caller's transaction; gives its row. Errors: BadInput
    when it is too long or has no place.
    """
    state = vault.state(conversation)
    if state != "active":
        raise BadInput(
            f"Nothing can be sent in a conversation that is {state}.", code=f"conversation-{state}"
        )
    size = len(Content(sent_at_ms or real_ms(), kind, text, attachments).encode())
    if size > CONTENT_MAX:
        raise BadInput(
            f"The message has {size} bytes where {CONTENT_MAX} are allowed; attach it as a file.",
            code="too-long",
        )
    columns = {
        "kind": kind,
        "account": me[0],
        "device": me[1],
        "sent_at_ms": sent_at_ms,
        "text": text,
        "state": "queued",
    }
    message = vault.add_message(conversation, columns)
    history.add_attachments(vault, message, attachments)
    vault.execute(
        "INSERT INTO client_outbox (message, conversation) VALUES (?, ?)", message, conversation
    )
    failpoint.reach("queue.before-commit")
    return message


async def flush(session: Session, conversation: bytes) -> int:
    """Sends what waits, in order; gives how many the service acknowledged. Errors: those of the
    service; what remains stays queued.
    """
    failpoint.reach("queue.after")
    async with session.changing():
        return await _flush(session, conversation)


async def _flush(session: Session, conversation: bytes) -> int:
    sent = 0
    for _ in range(_ROUNDS):
        try:
            while _waiting(session, conversation):
                sent += await _round(session, conversation)
            return sent
        except CountersealError as error:
            if error.code not in _MENDED:
                raise
            await _mend(session, conversation, error.code)
    raise Unavailable(
        "The conversation changes faster than this device can send; the message stays in the outbox.",
        code="busy-conversation",
    )


def _waiting(session: Session, conversation: bytes) -> bool:
    with session.vault() as vault:
        return (
            vault.one("SELECT 1 FROM client_outbox WHERE conversation = ? LIMIT 1", conversation)
            is not None
        )


async def _round(session: Session, conversation: bytes) -> int:
    """Posts what is sealed, else seals one batch and posts that."""
    batch = _sealed(session, conversation)
    if not batch:
        await conversations.ready_to_send(session, conversation)
        window = await windows.ready(session, conversation, _wanted(session, conversation))
        now = await session.now()
        batch = _seal(session, conversation, window, now)
    answer = await session.service.add_frames(
        conversation, [row.sealed for row in batch if row.sealed is not None]
    )
    failpoint.reach("frames.posted")
    _acknowledge(session, conversation, batch, answer)
    if answer.refusal is not None:
        raise Refused(answer.refusal.code, f"The service says: {answer.refusal.message}")
    return len(answer.accepted)


def _sealed(session: Session, conversation: bytes) -> list[Queued]:
    with session.vault() as vault:
        rows = vault.execute(
            "SELECT message, window, seq, sealed FROM client_outbox WHERE conversation = ? AND sealed IS NOT NULL "
            "ORDER BY message LIMIT ?", conversation, BATCH,
        )  # fmt: skip
    return [Queued(*row) for row in rows]


def _wanted(session: Session, conversation: bytes) -> int | None:
    """The time that the first waiting message asks for, in milliseconds."""
    with session.vault() as vault:
        row = vault.one(
            "SELECT m.sent_at_ms FROM client_outbox o JOIN client_message m ON m.id = o.message WHERE o.conversation = ? "
            "ORDER BY o.message LIMIT 1", conversation,
        )  # fmt: skip
    return int(row[0]) if row and row[0] is not None else None


def _seal(session: Session, conversation: bytes, window: Window, now: int) -> list[Queued]:
    """Seals one batch into the window: ratchet, seq and sealed bytes in one transaction."""
    batch: list[Queued] = []
    with session.transaction() as vault:
        rows = vault.execute(
            "SELECT o.message, m.kind, m.text, m.sent_at_ms FROM client_outbox o JOIN client_message m ON m.id = o.message "
            "WHERE o.conversation = ? AND o.sealed IS NULL ORDER BY o.message LIMIT ?", conversation, BATCH,
        )  # fmt: skip
        for message, kind, text, wanted in rows:
            sent_at = fitting(wanted, window.opens, window.closes, now)
            content = Content(sent_at, kind, text, history.attachments_of(vault, message))
            batch.append(_seal_one(vault, window, message, content))
        failpoint.reach("seal.before-commit")
    failpoint.reach("seal.after")
    return batch


def _seal_one(vault: Vault, window: Window, message: int, content: Content) -> Queued:
    sealed = vault.device.frame_seal(window.window_id, content.encode())
    digest = H([tag("message"), sealed.message])
    vault.execute(
        "UPDATE client_outbox SET window = ?, seq = ?, sealed = ? WHERE message = ?",
        sealed.window_id, sealed.seq, sealed.message, message,
    )  # fmt: skip
    vault.execute(
        "UPDATE client_message SET sent_at_ms = ?, digest = ?, window = ?, seq = ? WHERE id = ?",
        content.sent_at_ms, digest, sealed.window_id, sealed.seq, message,
    )  # fmt: skip
    return Queued(message, sealed.window_id, sealed.seq, sealed.message)


def fitting(wanted_ms: int | None, opens: int, closes: int, now: int) -> int:
    """The content's time in milliseconds: the wanted one if it lies in the window (F10), else now.

    A message that waited into a later period says when it was sealed: its window cannot vouch for
    an earlier time.
    """
    if wanted_ms is not None and opens * 1000 <= wanted_ms < closes * 1000:
        return wanted_ms
    return min(max(now, opens), closes - 1) * 1000


def _acknowledge(
    session: Session, conversation: bytes, batch: list[Queued], answer: FramesAnswer
) -> None:
    if len(answer.accepted) > len(batch) or (
        answer.refusal is None and len(answer.accepted) != len(batch)
    ):
        raise Refused(
            "E6",
            "The service acknowledged another number of frames than it was given; they stay in the outbox.",
        )
    with session.transaction() as vault:
        for row, accepted in zip(batch, answer.accepted, strict=False):
            history.acknowledge(vault, row.message, accepted.n, accepted.time)
        failpoint.reach("ack.before-commit")
    failpoint.reach("ack.after")


async def _mend(session: Session, conversation: bytes, code: str) -> None:
    """Does what the refusal asks for: first catch up, then take back what is still not
    acknowledged, then see to the window.
    """
    if code in ("V3", "L2"):
        await session.now(fresh=True)
    if code == "L1":
        await session.directory.refresh_charters(force=True)
    await sync.catch_up(session, conversation)
    with session.transaction() as vault:
        _take_back(vault, conversation)
        if code == "V1":
            windows.post_again(vault, conversation)
        elif code in ("V2", "V5", "L5"):
            windows.spend(vault, conversation)
            # an older copy of this device's state may be at work: fresh MLS secrets too
            vault.put(f"refresh:{conversation.hex()}", 1)


def _take_back(vault: Vault, conversation: bytes) -> None:
    """Unseals what is sealed and not acknowledged, newest first: its places in the window are used
    again with fresh randomness.
    """
    rows = vault.execute(
        "SELECT message, window, seq FROM client_outbox WHERE conversation = ? AND sealed IS NOT NULL ORDER BY message DESC",
        conversation,
    )
    for message, window, seq in rows:
        vault.device.frame_unseal(window, seq)
        vault.execute(
            "UPDATE client_outbox SET window = NULL, seq = NULL, sealed = NULL WHERE message = ?",
            message,
        )
        vault.execute(
            "UPDATE client_message SET digest = NULL, window = NULL, seq = NULL WHERE id = ?",
            message,
        )
