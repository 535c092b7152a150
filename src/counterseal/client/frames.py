"""Frames as they come: one's own are acknowledged, others' are opened, judged (F1 to F12), and
written into the history.

What the compiled core refuses has its number already. Here a frame is refused as F1 (what MLS
refuses), F3 (a device that its account has revoked), F5 (a difference in the counterseal), or F7
(content of another form).
"""

from __future__ import annotations

from counterseal.client import history
from counterseal.client.core_errors import from_core
from counterseal.client.periods import pack_pending
from counterseal.client.policy import Need, Standing
from counterseal.client.session import Session
from counterseal.client.states import MessageState
from counterseal.client.store.device_store import DeviceStore
from counterseal.client.store.messages import NewMessage
from counterseal.core._core import CoreError, Opened
from counterseal.protocol.errors import Refused
from counterseal.protocol.frame import Content
from counterseal.protocol.stamp import message_digest
from counterseal.protocol.window import Label
from counterseal.wire.events import ConversationEvent


def take(
    session: Session, store: DeviceStore, conversation: bytes, event: ConversationEvent, now: int
) -> None:
    """Takes one frame in, in the caller's transaction; `now` is Unix seconds. Raises `Need`.

    A refusal is written down in the same transaction, with the ratchet as MLS left it, so that the
    conversation goes on.
    """
    own = store.messages.find_own(message_digest(event.message))
    if own is not None:
        history.acknowledge(store, own, event.n, event.time)
        return
    try:
        opened = _open(store, conversation, event, now)
        # the same frame again (F8)
        if not opened.duplicate:
            _write_down(session, store, conversation, event, opened)
    except Refused as refused:
        history.refuse(store, conversation, event.n, event.time, shown_rule(refused))


def _open(store: DeviceStore, conversation: bytes, event: ConversationEvent, now: int) -> Opened:
    try:
        return store.device.frame_open(conversation, event.message, now)
    except CoreError as error:
        # a view whose charter or keyset is not registered: ours to mend, not the sender's fault
        if error.code == "usage":
            raise Need(charters=True) from None
        raise from_core(error) from None


def _write_down(
    session: Session,
    store: DeviceStore,
    conversation: bytes,
    event: ConversationEvent,
    opened: Opened,
) -> None:
    """Adds the row of an opened frame. Raises `Refused` F3, F7; `Need`."""
    knowledge = session.directory.knowledge(store, event.time)
    if knowledge.device(opened.account_id, opened.device_key) is Standing.REVOKED:
        raise Refused("F3", "The frame is by a device that its account has revoked.")
    try:
        content = Content.decode(opened.content)
    except Refused as error:
        raise Refused("F7", error.message) from None

    # a frame of a period that is over is shown once its inclusion is proved (F11)
    raw = None
    if not opened.current:
        raw = pack_pending(event.message, Label.decode(opened.label).opens)
    row = NewMessage(
        conversation=conversation,
        state=MessageState.SHOWN if opened.current else MessageState.PENDING,
        kind=content.kind,
        n=event.n,
        account=opened.account_id,
        device=opened.device_key,
        sent_at_ms=opened.sent_at_ms,
        stamp=event.time,
        text=content.text,
        gap=opened.gap,
        window=opened.window_id,
        seq=opened.seq,
        raw=raw,
    )
    store.messages.add(row, content.attachments)


def shown_rule(refused: Refused) -> str:
    """The number that is shown: what MLS itself refuses is F1, a difference in the counterseal
    F5.
    """
    return {"mls": "F1", "S2": "F5"}.get(refused.code, refused.code)
