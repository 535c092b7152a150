"""Sending: from what a person typed to the service's acknowledgement, in the order of this file.

| step | durable in one transaction |
| --- | --- |
| queue | the plaintext, as a row of the history ("queued") and a row of the outbox |
| make ready | the group's own commit, if one is due; the window, posted before it is used |
| seal | MLS ratchet, window's next seq, and the sealed bytes beside the plaintext |
| post | nothing here: the service answers the same bytes with their first stamp, each time |
| acknowledge | number and stamp, "sent", the outbox row gone |

A crash between any two steps loses nothing and sends nothing twice. What the service refuses is
taken back newest first, only after everything up to now has been taken in, since one's own frame
may be among it; then it is sealed anew in the window that fits (`Remedy`).
"""

from __future__ import annotations

from enum import Enum

from counterseal import failpoint
from counterseal.client import history, receiving, upkeep, windows
from counterseal.client.session import Session, real_ms
from counterseal.client.states import ConversationState, MessageState
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.store.messages import NewMessage
from counterseal.client.store.outbox import SealedRow, WaitingRow
from counterseal.core._core import Window
from counterseal.protocol.errors import BadInput, CountersealError, Refused, Unavailable
from counterseal.protocol.frame import Attachment, Content
from counterseal.protocol.stamp import message_digest
from counterseal.wire.frames import BATCH, FRAMES_POST, FramesPosted, PostFrames

CONTENT_MAX = 50_000
"""Bytes of one message's content, so that with padding and attachments' keys it stays under V6's 64
KiB.
"""
# how often sending is mended before it is given up for now
_ROUNDS = 12


class Remedy(Enum):
    """What is done about a refusal before sending goes on; in any case the device catches up
    first, and what is sealed and still not acknowledged is sealed anew.
    """

    CATCH_UP = "catch up"
    """Nothing more: another commit came first, or the conversation is in another epoch."""
    ASK_THE_TIME = "ask the time"
    """The period is over: a demonstration's clock is asked again."""
    LEARN_RULES = "learn rules"
    """There is a new charter or keyset."""
    POST_WINDOW_AGAIN = "post the window again"
    """The service lost the window's counterseal."""
    NEW_WINDOW = "new window"
    """The service has something else under the window's place. An older copy of this device's state
    may be at work: fresh MLS secrets too.
    """


REMEDIES = {
    "epoch": Remedy.CATCH_UP,
    "V4": Remedy.CATCH_UP,
    "L6": Remedy.CATCH_UP,
    "V3": Remedy.ASK_THE_TIME,
    "L2": Remedy.ASK_THE_TIME,
    "L1": Remedy.LEARN_RULES,
    "V1": Remedy.POST_WINDOW_AGAIN,
    "V2": Remedy.NEW_WINDOW,
    "L5": Remedy.NEW_WINDOW,
}
"""By the refusal's code. Any other one ends sending, and the message stays queued."""


# 1. queue


def queue(
    store: DeviceStore,
    conversation: bytes,
    me: tuple[bytes, bytes],
    text: str,
    sent_at_ms: int | None,
    attachments: tuple[Attachment, ...] = (),
    kind: str = "text",
) -> int:
    """Takes a message into the outbox, in the caller's transaction; returns its row's number.
    `sent_at_ms` is kept if it lies in the period in which the message is sealed (F10).

    Raises `BadInput` when it is too long, or nothing can be sent in the conversation.
    """
    state = store.conversations.state(conversation)
    if state is not ConversationState.ACTIVE:
        raise BadInput(
            f"Nothing can be sent in a conversation that is {state}.", code=f"conversation-{state}"
        )
    size = len(Content(sent_at_ms or real_ms(), kind, text, attachments).encode())
    if size > CONTENT_MAX:
        raise BadInput(
            f"The message has {size} bytes where {CONTENT_MAX} are allowed; attach it as a file.",
            code="too-long",
        )

    row = NewMessage(
        conversation=conversation,
        state=MessageState.QUEUED,
        kind=kind,
        account=me[0],
        device=me[1],
        sent_at_ms=sent_at_ms,
        text=text,
    )
    message = store.messages.add(row, attachments)
    store.outbox.add(message, conversation)
    failpoint.reach("queue.before-commit")
    return message


# 2. the rounds: what waits is sent in order, and what the service refuses is mended


async def flush_all(session: Session) -> int:
    """Sends what waits in every conversation; returns how many messages were acknowledged.

    Raises what `flush` raises.
    """
    with session.store() as store:
        open_ones = store.conversations.ids(ConversationState.ACTIVE, ConversationState.CREATING)
        waiting = [one for one in store.outbox.conversations() if one in open_ones]
    sent = 0
    for conversation in waiting:
        sent += await flush(session, conversation)
    return sent


async def flush(session: Session, conversation: bytes) -> int:
    """Sends what waits in a conversation, in order; returns how many messages were acknowledged.
    What is not stays queued.

    Raises `Unavailable` when the conversation changes too fast; what the service raises.
    """
    failpoint.reach("queue.after")
    sent = 0
    async with session.changing():
        for _ in range(_ROUNDS):
            try:
                while _is_waiting(session, conversation):
                    sent += await _send_batch(session, conversation)
                return sent
            except CountersealError as error:
                remedy = REMEDIES.get(error.code)
                if remedy is None:
                    raise
                await _mend(session, conversation, remedy)
    raise Unavailable(
        "The conversation changes faster than this device can send;"
        " the message stays in the outbox.",
        code="busy-conversation",
    )


def _is_waiting(session: Session, conversation: bytes) -> bool:
    with session.store() as store:
        return not store.outbox.is_empty(conversation)


async def _send_batch(session: Session, conversation: bytes) -> int:
    """Sends one batch: what a crash left sealed goes out as it is, else the next is sealed."""
    with session.store() as store:
        batch = store.outbox.sealed(conversation, BATCH)
        first = next(iter(store.outbox.waiting(conversation, 1)), None)

    if not batch:
        await upkeep.make_ready(session, conversation)
        window = await windows.make_ready(session, conversation, first.wanted_ms if first else None)
        batch = _seal(session, conversation, window, await session.now())

    posted = PostFrames(tuple(row.sealed for row in batch))
    answer = await session.service.call(FRAMES_POST, posted, conversation=conversation)
    failpoint.reach("frames.posted")

    _acknowledge(session, batch, answer)
    if answer.refused is not None:
        raise Refused(answer.refused.code, f"The service says: {answer.refused.message}")
    return len(answer.accepted)


# 3. seal


def _seal(session: Session, conversation: bytes, window: Window, now: int) -> list[SealedRow]:
    """Seals one batch into the window: ratchet, seq and sealed bytes in one transaction."""
    with session.transaction() as store:
        batch = [
            _seal_one(store, window, waiting, now)
            for waiting in store.outbox.waiting(conversation, BATCH)
        ]
        failpoint.reach("seal.before-commit")
    failpoint.reach("seal.after")
    return batch


def _seal_one(store: DeviceStore, window: Window, waiting: WaitingRow, now: int) -> SealedRow:
    sent_at_ms = fitting_time(waiting.wanted_ms, window.opens, window.closes, now)
    attachments = store.messages.attachments(waiting.message)
    content = Content(sent_at_ms, waiting.kind, waiting.text, attachments)

    sealed = store.device.frame_seal(window.window_id, content.encode())
    row = SealedRow(waiting.message, sealed.window_id, sealed.seq, sealed.message)
    digest = message_digest(row.sealed)
    store.outbox.set_sealed(row)
    store.messages.set_sealed(row.message, sent_at_ms, digest, row.window, row.seq)
    return row


def fitting_time(wanted_ms: int | None, opens: int, closes: int, now: int) -> int:
    """The content's time in milliseconds: the wanted one if it lies in the window (F10), else now.

    A message that waited into a later period says when it was sealed: its window cannot vouch for
    an earlier time.
    """
    if wanted_ms is not None and opens * 1000 <= wanted_ms < closes * 1000:
        return wanted_ms
    return min(max(now, opens), closes - 1) * 1000


# 4. acknowledge


def _acknowledge(session: Session, batch: list[SealedRow], answer: FramesPosted) -> None:
    """Marks what the service took as sent. Raises `Refused` E6 for another number of frames than it
    was given.
    """
    complete = len(answer.accepted) == len(batch)
    if len(answer.accepted) > len(batch) or (answer.refused is None and not complete):
        raise Refused(
            "E6",
            "The service acknowledged another number of frames than it was given;"
            " they stay in the outbox.",
        )
    with session.transaction() as store:
        # the service stops at the first frame that it refuses
        for row, accepted in zip(batch, answer.accepted, strict=False):
            history.acknowledge(store, row.message, accepted.n, accepted.time)
        failpoint.reach("ack.before-commit")
    failpoint.reach("ack.after")


# 5. mend


async def _mend(session: Session, conversation: bytes, remedy: Remedy) -> None:
    """Does what a refusal asks for: learns what is new, catches up, takes back what is still not
    acknowledged, and sees to the window.
    """
    if remedy is Remedy.ASK_THE_TIME:
        await session.now(fresh=True)
    if remedy is Remedy.LEARN_RULES:
        await session.directory.updates.refresh(force=True)
    await receiving.catch_up(session, conversation)

    with session.transaction() as store:
        _take_back(store, conversation)
        if remedy is Remedy.POST_WINDOW_AGAIN:
            windows.post_again(store, conversation)
        elif remedy is Remedy.NEW_WINDOW:
            windows.spend(store, conversation)
            store.settings.demand_refresh(conversation)


def _take_back(store: DeviceStore, conversation: bytes) -> None:
    """Unseals what is sealed and not acknowledged, newest first: its places in the window are used
    again with fresh randomness.
    """
    for row in reversed(store.outbox.sealed(conversation)):
        store.device.frame_unseal(row.window, row.seq)
        store.outbox.set_unsealed(row.message)
        store.messages.set_unsealed(row.message)
