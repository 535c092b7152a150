"""One whole synchronisation, in the order of this file: rules and accounts, inbox, each
conversation, messages that wait for their proof, and the erasure of old keys.
"""

from __future__ import annotations

from counterseal.client import joining, receiving, upkeep, windows
from counterseal.client.periods import prove_inclusion, unpack_pending
from counterseal.client.session import Session
from counterseal.client.states import LIVE, ConversationState
from counterseal.client.store.messages import PendingRow
from counterseal.protocol.errors import (
    CountersealError,
    NotAuthorised,
    NotFound,
    Refused,
    Unavailable,
)
from counterseal.wire.periods import FRAME_INCLUSION


async def synchronise(session: Session) -> None:
    """Takes in everything that is new.

    Raises what the service, looking up and receiving raise; a refusal in one conversation only
    after the others were taken in.
    """
    now = await session.now(fresh=True)
    await session.directory.refresh()
    await joining.take_inbox(session)

    refusal = await _catch_up_everywhere(session)
    await prove_pending(session)
    with session.transaction() as store:
        windows.erase_old_keys(store, now)
    if refusal is not None:
        raise refusal


async def _catch_up_everywhere(session: Session) -> Refused | None:
    """Catches up with every conversation; returns the first refusal."""
    with session.store() as store:
        live = store.conversations.ids(*LIVE)
        creating = store.conversations.ids(ConversationState.CREATING)
    for conversation in creating:
        await upkeep.settle(session, conversation)

    refusal: Refused | None = None
    for conversation in [*live, *creating]:
        try:
            await receiving.catch_up(session, conversation)
            await upkeep.settle(session, conversation)
        # one conversation that the service garbles must not hide the others
        except Refused as refused:
            refusal = refusal or refused
    return refusal


async def prove_pending(session: Session) -> int:
    """Asks for the inclusion of every pending message (F11) and shows those that are proved;
    returns how many still wait.
    """
    with session.store() as store:
        rows = store.messages.pending()
    left = 0
    for row in rows:
        left += not await _prove(session, row)
    return left


async def _prove(session: Session, row: PendingRow) -> bool:
    """Whether the message is shown now. A proof that does not hold is noted with its rule; another
    may come.
    """
    try:
        answer = await session.service.call(
            FRAME_INCLUSION, conversation=row.conversation, window=row.window, seq=row.seq
        )
        message, opens = unpack_pending(row.raw)
        await prove_inclusion(session.directory, row.window, row.seq, opens, message, answer)
    except (NotFound, NotAuthorised, Unavailable):
        return False
    except CountersealError as error:
        with session.transaction() as store:
            store.messages.set_rule(row.number, error.code)
        return False
    with session.transaction() as store:
        store.messages.set_proved(row.number)
    return True
