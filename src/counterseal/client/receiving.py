"""Catching up with one conversation: its events strictly in order, one transaction a handshake or a
run of frames.

The cursor, the MLS state and the history's row move together, so a crash shows nothing twice and
loses nothing. A device that was away for a week does the same as one that blinked, only more often.
What a step needs to know of the directory and does not (`Need`) is looked up with its proofs after
the step was rolled back; then the step is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from counterseal import failpoint
from counterseal.client import frames, handshakes
from counterseal.client.policy import Need
from counterseal.client.session import Session
from counterseal.client.states import LIVE
from counterseal.client.store.device_store import DeviceStore
from counterseal.protocol.errors import NotAuthorised, NotFound, Refused, Unavailable
from counterseal.wire.events import COMMIT, EVENTS, EVENTS_PAGE, FRAME, PROPOSAL, ConversationEvent

# frames that share one transaction: a flush of the disk each would be most of the time of
# catching up
_FRAMES_AT_ONCE = 32
# how often one step may ask for more: accounts, then charters, then accounts again is the longest
# there is
_LOOKUPS = 4


async def catch_up(session: Session, conversation: bytes) -> int:
    """Takes in a conversation's events up to its last one; returns how many there were.

    Raises `Refused` E6, and what looking up raises.
    """
    done = 0
    while True:
        with session.store() as store:
            if store.conversations.state(conversation) not in LIVE:
                return done
            after = store.conversations.cursor(conversation)

        try:
            page = await session.service.call(
                EVENTS, conversation=conversation, after=after, limit=EVENTS_PAGE
            )
        except (NotAuthorised, NotFound) as error:
            # The service says that this device is in the conversation no longer. Without the commit
            # that says so this is a claim, so the state stays.
            with session.transaction() as store:
                store.conversations.set_sentence(conversation, error.message)
            return done

        done += await process(session, conversation, page.events)
        with session.store() as store:
            if store.conversations.cursor(conversation) >= page.last_n or not page.events:
                return done


async def process(
    session: Session, conversation: bytes, events: Sequence[ConversationEvent]
) -> int:
    """Takes in a run of events in order; those that the cursor has passed are skipped. Returns how
    many were new.

    Raises `Refused` E6 for a run with a hole, and what looking up raises.
    """
    newest = max((event.time for event in events), default=0)
    now = await session.now(at_least=newest)
    with session.store() as store:
        cursor = store.conversations.cursor(conversation)
    fresh = [event for event in events if event.n > cursor]
    for expected, event in enumerate(fresh, cursor + 1):
        if event.n != expected:
            raise Refused(
                "E6",
                f"The service left out event {expected} of this conversation;"
                " nothing was taken in.",
            )

    done = 0
    while done < len(fresh):
        batch = _batch(fresh[done:])

        def step(store: DeviceStore, batch: Sequence[ConversationEvent] = batch) -> None:
            _take(session, store, conversation, batch, now)

        await run_step(session, step)
        done += len(batch)
        with session.store() as store:
            if store.conversations.state(conversation) not in LIVE:
                break
    return done


def _batch(events: Sequence[ConversationEvent]) -> Sequence[ConversationEvent]:
    """The frames that go into one transaction, or the one handshake: what comes after a handshake
    depends on how that was judged.
    """
    run = next((at for at, event in enumerate(events) if event.kind != FRAME), len(events))
    return events[: min(max(run, 1), _FRAMES_AT_ONCE)]


def _take(
    session: Session,
    store: DeviceStore,
    conversation: bytes,
    events: Sequence[ConversationEvent],
    now: int,
) -> None:
    """Takes a batch in, whole: its effect and the cursor in one transaction. Another process of
    this device may have been quicker with some of it.
    """
    cursor = store.conversations.cursor(conversation)
    events = [event for event in events if event.n > cursor]
    if not events or events[0].n != cursor + 1:
        return

    first = events[0]
    if first.kind in (COMMIT, PROPOSAL):
        handshakes.take(session, store, conversation, first)
    else:
        with store.transaction():
            for event in events:
                # another kind is of a later version: not for this one to judge
                if event.kind == FRAME:
                    frames.take(session, store, conversation, event, now)
                store.conversations.set_cursor(conversation, event.n)
            failpoint.reach("event.before-commit")
    failpoint.reach("event.after")


async def run_step(session: Session, step: Callable[[DeviceStore], None]) -> None:
    """Does one step, looking up in between what it needs.

    Raises `Unavailable` when looking up does not end it, and what looking up raises.
    """
    session.directory.begin_step()
    for _ in range(_LOOKUPS):
        try:
            with session.store() as store:
                step(store)
            return
        except Need as need:
            missing = need
        await session.directory.learn(missing)
    raise Unavailable(
        "The directory does not settle; what comes next in this conversation waits until it does.",
        code="directory",
    )
