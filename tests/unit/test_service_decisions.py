"""What the service decides, without a database or a network: tables answer from a dictionary."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.support import world

from counterseal.protocol.errors import (
    BadInput,
    Conflict,
    EpochConflict,
    NotAuthorised,
    NotFound,
    Refused,
    Unavailable,
)
from counterseal.protocol.frame import Authenticated
from counterseal.protocol.notice import SEALED, SealedNotice
from counterseal.protocol.stamp import message_digest
from counterseal.protocol.window import Label
from counterseal.service.authentication import DeviceCaller, InstitutionCaller
from counterseal.service.clock import WindowClock
from counterseal.service.decisions import (
    accounts,
    blobs,
    conversations,
    frames,
    key_packages,
    ledger_keys,
    ledger_queue,
    listings,
    log_entries,
    notices,
    window_clock,
    windows,
)
from counterseal.service.decisions.frames import LabelCache, ParsedFrame
from counterseal.service.store.rows import (
    SenderStanding,
    StoredAccount,
    StoredBlob,
    StoredConversation,
    StoredDevice,
    StoredEvent,
    StoredGroup,
    StoredKeyPackage,
    StoredMembership,
    StoredSeal,
    StoredStamp,
    StoredWindow,
)

CHARTER = world.verified()
KEYSET = world.verified_keyset(CHARTER)
LABEL = world.make_label(CHARTER.digest, KEYSET.digest)
SEAL = world.seed("seal digest")
DEVICE = LABEL.device_key
CALLER = DeviceCaller(world.ALICE, DEVICE)
SEEN = StoredConversation(
    no=1,
    id=world.CONVERSATION,
    last_n=10,
    epoch=4,
    roster_epoch=3,
    roster_digest=LABEL.roster_digest,
    charter=CHARTER.digest,
    quarter=world.QUARTER,
    keyset=KEYSET.digest,
    version=2,
)
NOW = world.T0 + 60


def window(next_seq: int = 0, **changes: Any) -> StoredWindow:
    row = StoredWindow(
        no=7,
        id=LABEL.window_id,
        conversation=1,
        account=LABEL.account_id,
        device=DEVICE,
        charter=CHARTER.digest,
        keyset=KEYSET.digest,
        roster_epoch=3,
        roster_digest=LABEL.roster_digest,
        opens=LABEL.opens,
        closes=LABEL.closes,
        serial=1,
        seal_digest=SEAL,
        next_seq=next_seq,
    )
    return msgspec.structs.replace(row, **changes)


def refused(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value.code)


class FrameTables:
    """One conversation, one window, and what is appended to them."""

    def __init__(
        self, sender: SenderStanding | None, row: StoredWindow, logged: bool = False
    ) -> None:
        self.conversations = self.windows = self
        self._sender, self._row, self._logged = sender, row, logged
        self.events: list[StoredEvent] = []
        self.stamps: dict[int, StoredStamp] = {}
        self.last_n: int | None = None
        self.next_seq: int | None = None
        self.seals_read = 0

    def find_for_sender(self, *_: bytes) -> SenderStanding | None:
        return self._sender

    def find_open(self, window_id: bytes) -> tuple[StoredWindow, bool] | None:
        return (self._row, self._logged) if window_id == self._row.id else None

    def seal(self, _: int) -> StoredSeal:
        self.seals_read += 1
        return StoredSeal(LABEL.encode(), b"", b"")

    def find_stamp(self, _: int, seq: int) -> StoredStamp | None:
        return self.stamps.get(seq)

    def append(self, _: int, row: StoredEvent) -> None:
        self.events.append(row)

    def add_stamp(self, _: int, seq: int, row: StoredStamp) -> None:
        self.stamps[seq] = row

    def set_next_seq(self, _: int, next_seq: int) -> None:
        self.next_seq = next_seq

    def set_last_n(self, _: int, last_n: int) -> None:
        self.last_n = last_n


def frame(seq: int, epoch: int = 4, **changes: Any) -> ParsedFrame:
    prev = None if seq == 0 else bytes(32)
    authenticated = Authenticated(LABEL.window_id, SEAL, seq, bytes(16), prev, bytes(20))
    authenticated = msgspec.structs.replace(authenticated, **changes)
    return ParsedFrame(b"message %d" % seq, epoch, authenticated)


def post(tables: Any, *posted: ParsedFrame, now: int = NOW) -> frames.Appended:
    return frames.append(tables, LabelCache(), now, SEEN.id, DEVICE, list(posted))


SENDER = SenderStanding(SEEN, member=True, active=True)


def test_frames_are_numbered_and_stamped_in_order() -> None:
    tables = FrameTables(SENDER, window())
    done = post(tables, frame(0), frame(1))
    assert done.stamps == [(11, NOW), (12, NOW)]
    assert [event.n for event in done.events] == [11, 12]
    assert (tables.last_n, tables.next_seq, done.refused) == (12, 2, None)
    assert tables.stamps[1] == StoredStamp(12, message_digest(b"message 1"), NOW)
    assert tables.seals_read == 1


def test_the_same_frame_again_gets_its_first_stamp_and_no_event() -> None:
    tables = FrameTables(SENDER, window(next_seq=1))
    tables.stamps[0] = StoredStamp(3, message_digest(b"message 0"), 99)
    done = post(tables, frame(0))
    assert (done.stamps, done.events, tables.last_n, tables.next_seq) == ([(3, 99)], [], None, None)


def test_a_batch_ends_at_its_first_refused_frame() -> None:
    tables = FrameTables(SENDER, window())
    done = post(tables, frame(0), frame(2), frame(1))
    assert (len(done.stamps), len(tables.events), tables.next_seq) == (1, 1, 1)
    assert done.refused is not None
    assert done.refused.rule == "V2"


@pytest.mark.parametrize(
    ("rule", "row", "logged", "posted", "now"),
    [
        ("V1", window(), False, frame(0, window_id=bytes(32)), NOW),
        ("V1", window(conversation=2), False, frame(0), NOW),
        ("V1", window(), False, frame(0, seal_digest=bytes(32)), NOW),
        ("V2", window(), False, frame(1), NOW),
        ("V2", window(next_seq=1 << 24), False, frame(1 << 24), NOW),
        ("V3", window(), True, frame(0), NOW),
        ("V3", window(), False, frame(0), world.T0 + world.HOUR + 300),
        ("V4", window(), False, frame(0, epoch=5), NOW),
        ("L1", window(keyset=bytes(32)), False, frame(0), NOW),
        ("L6", window(roster_epoch=2), False, frame(0), NOW),
    ],
)
def test_frames_that_are_refused(
    rule: str, row: StoredWindow, logged: bool, posted: ParsedFrame, now: int
) -> None:
    tables = FrameTables(SENDER, row, logged)
    done = post(tables, posted, now=now)
    assert done.refused is not None
    assert (done.refused.rule, done.events, tables.last_n) == (rule, [], None)


def test_frames_of_another_device_are_refused() -> None:
    done = frames.append(
        FrameTables(SENDER, window()), LabelCache(), NOW, SEEN.id, bytes(32), [frame(0)]
    )
    assert done.refused is not None
    assert done.refused.rule == "V5"


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        (None, "conversation"),
        (SenderStanding(SEEN, member=False, active=True), "not-a-member"),
        (SenderStanding(SEEN, member=True, active=False), "not-a-member"),
    ],
)
def test_who_may_not_send(sender: SenderStanding | None, code: str) -> None:
    with pytest.raises((NotFound, NotAuthorised)) as error:
        post(FrameTables(sender, window()), frame(0))
    assert refused(error) == code


# conversations


def staged(**changes: Any) -> Any:
    view = {
        "conversation": SEEN.id,
        "epoch": 5,
        "roster": [(world.ALICE, DEVICE)],
        "roster_epoch": 3,
        "roster_digest": SEEN.roster_digest,
        "charter_digest": SEEN.charter,
        "quarter": SEEN.quarter,
        "keyset_digest": SEEN.keyset,
    }
    made = {
        "kind": "commit",
        "sender": (world.ALICE, DEVICE),
        "added": [],
        "removed": [],
        "added_refs": [],
        "state": b"state",
    }
    view |= {name: changes.pop(name) for name in tuple(changes) if name in view}
    return SimpleNamespace(view=SimpleNamespace(**view), **(made | changes))


def test_a_commit_is_the_callers_of_the_next_epoch() -> None:
    conversations.check_commit(staged(), CALLER, SEEN, 10)
    for wrong, kind in (
        (staged(kind="proposal"), Refused),
        (staged(sender=(world.BOB, DEVICE)), NotAuthorised),
        (staged(epoch=6), Refused),
        (staged(conversation=bytes(16)), Refused),
        (staged(roster=[(world.ALICE, DEVICE)] * 11), Refused),
    ):
        with pytest.raises(kind):
            conversations.check_commit(wrong, CALLER, SEEN, 10)


def test_a_conversation_begins_with_its_creator_alone() -> None:
    assert conversations.check_new(staged(epoch=0), CALLER) == StoredGroup(
        b"state", 0, 3, SEEN.roster_digest, SEEN.charter, SEEN.quarter, SEEN.keyset
    )
    for wrong in (
        staged(epoch=1),
        staged(epoch=0, roster=[(world.BOB, DEVICE)]),
        staged(epoch=0, conversation=bytes(15)),
    ):
        with pytest.raises(Refused, match="mls"):
            conversations.check_new(wrong, CALLER)


def test_added_devices_are_the_directorys_and_welcomed() -> None:
    bob = world.public("Bob's phone")
    adding = staged(added=[(world.BOB, bob)], added_refs=[b"ref"])
    welcome = conversations.WelcomeFor((bob,), b"welcome", b"tree")
    conversations.check_added(adding, [world.BOB], [bob], welcome)
    with pytest.raises(Refused, match="A7"):
        conversations.check_added(adding, [None], [bob], welcome)
    with pytest.raises(Refused, match="A7"):
        conversations.check_added(adding, [world.ALICE], [bob], welcome)
    with pytest.raises(Refused, match="mls"):
        conversations.check_added(adding, [world.BOB], [None], welcome)
    with pytest.raises(BadInput) as error:
        conversations.check_added(adding, [world.BOB], [bob], None)
    assert refused(error) == "welcome"


class HandshakeTables:
    """One conversation as it is now, which may have moved on since it was seen."""

    def __init__(self, now: StoredConversation, active: bool = True) -> None:
        self.accounts = self.conversations = self
        self._now, self._active = now, active
        self.done: list[tuple[Any, ...]] = []

    def find(self, _: bytes) -> StoredConversation:
        return self._now

    def device(self, _: bytes) -> StoredDevice:
        return StoredDevice(world.ALICE, revoked=not self._active)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def record(*arguments: Any) -> Any:
            self.done.append((name, *arguments))
            return [(device, 1) for device in arguments[0]] if name == "deliver" else None

        return record


def test_a_commit_is_taken_after_the_frames_that_came_meanwhile() -> None:
    bob, carol = world.public("Bob's phone"), bytes(32)
    tables: Any = HandshakeTables(msgspec.structs.replace(SEEN, last_n=15))
    change = staged(added=[(world.BOB, bob)], removed=[(bytes(32), carol)])
    welcome = conversations.WelcomeFor((bob,), b"welcome", b"tree")
    taken = conversations.take_commit(tables, SEEN, change, CALLER, b"commit", welcome, NOW)
    assert taken.event == StoredEvent(16, 1, NOW, b"commit")
    assert (taken.removed, taken.delivered) == ([carol], [(bob, 1)])
    assert [one[0] for one in tables.done] == [
        "append",
        "advance",
        "end_member",
        "add_member",
        "deliver",
    ]


def test_an_epoch_has_one_commit() -> None:
    def take(tables: Any) -> None:
        conversations.take_commit(tables, SEEN, staged(), CALLER, b"commit", None, NOW)

    with pytest.raises(EpochConflict) as lost:
        take(HandshakeTables(msgspec.structs.replace(SEEN, epoch=5, version=3)))
    assert lost.value.epoch == 5
    with pytest.raises(Conflict) as again:
        take(HandshakeTables(msgspec.structs.replace(SEEN, version=3)))
    assert refused(again) == "version"
    with pytest.raises(Refused, match="A7"):
        take(HandshakeTables(SEEN, active=False))


def test_pages_of_events_keep_to_the_memberships() -> None:
    class Events:
        def events(
            self, no: int, after: int, last: int, limit: int, size: int
        ) -> list[StoredEvent]:
            assert no == 1
            return [StoredEvent(n, 0, 0, bytes(10)) for n in range(after + 1, last + 1)][:limit]

    def numbers(after: int, limit: int, *ranges: tuple[int, int | None]) -> list[int]:
        spans = [StoredMembership(*one) for one in ranges]
        page = conversations.read_page(Events(), SEEN, spans, after, limit, 1_000)
        return [event.n for event in page]

    assert numbers(0, 500, (2, 4), (7, None)) == [2, 3, 4, 7, 8, 9, 10]
    assert numbers(3, 500, (2, 4), (7, None)) == [4, 7, 8, 9, 10]
    assert numbers(0, 2, (2, 4), (7, None)) == [2, 3]
    assert numbers(4, 500, (2, 4)) == []


def test_a_membership_is_read_between_its_ends() -> None:
    class Spans:
        def memberships(self, *_: object) -> list[StoredMembership]:
            return [StoredMembership(2, 4), StoredMembership(7, None)]

        def events(self, no: int, after: int, last: int, *_: int) -> list[StoredEvent]:
            return [StoredEvent(n, 0, 0, b"") for n in range(1, 11) if after < n <= last]

    tables: Any = Spans()

    def numbers(first: int, after: int) -> tuple[list[int], int | None]:
        span = conversations.get_span(tables, 1, DEVICE, first)
        page, last = conversations.read_span(tables, 1, span, after, 500, 1_000)
        return [event.n for event in page], last

    assert numbers(2, 0) == ([2, 3, 4], 4)
    assert numbers(2, 4) == ([], 4)
    assert numbers(7, 4) == ([7, 8, 9, 10], None)
    with pytest.raises(NotAuthorised):
        numbers(3, 0)


# windows


def posted_window(**changes: Any) -> windows.PostedWindow:
    counterseal: Any = SimpleNamespace(sealed=KEYSET.keys, seal_digest=SEAL)
    label = msgspec.structs.replace(LABEL, **changes)
    return windows.PostedWindow(label, world.ROSTER, counterseal, StoredSeal(b"l", b"r", b"c"))


def test_a_window_fits_its_conversation_and_the_present() -> None:
    judge = (world.DOMAIN, CHARTER, KEYSET)
    row = windows.judge(posted_window(), SEEN, *judge, NOW)
    assert row == msgspec.structs.replace(window(), no=0)
    later = LABEL.closes + 300
    moved = msgspec.structs.replace(SEEN, roster_digest=bytes(32))
    for rule, seen, now in (("L2", SEEN, LABEL.opens - 1), ("L2", SEEN, later), ("L3", moved, NOW)):
        with pytest.raises(Refused) as error:
            windows.judge(posted_window(), seen, *judge, now)
        assert refused(error) == rule


def test_a_windows_counterseal_has_the_keysets_positions() -> None:
    counterseal: Any = SimpleNamespace(sealed=(None,) * len(KEYSET.keys), seal_digest=SEAL)
    other = msgspec.structs.replace(posted_window(), counterseal=counterseal)
    with pytest.raises(Refused, match="S1"):
        windows.judge(other, SEEN, world.DOMAIN, CHARTER, KEYSET, NOW)


# accounts, key packages, blobs, notices


@pytest.mark.parametrize("handle", ["alice", "@alice:chat.example.org", "a", "a.b-c_d", "a" * 64])
def test_handles(handle: str) -> None:
    local = accounts.local_handle(handle, world.DOMAIN)
    assert local == handle.removeprefix("@").partition(":")[0]


@pytest.mark.parametrize("handle", ["", "Alice", ".a", "a.", "a" * 65, "a:other.example", "ä"])
def test_handles_of_another_form(handle: str) -> None:
    with pytest.raises(BadInput) as error:
        accounts.local_handle(handle, world.DOMAIN)
    assert refused(error) == "handle-form"


def test_a_statement_that_came_second_is_refused() -> None:
    added: list[object] = []
    tables: Any = SimpleNamespace(
        log=SimpleNamespace(size=lambda: 5, add=added.append),
        accounts=SimpleNamespace(find=lambda _: StoredAccount(world.ALICE, "alice", "", 2)),
    )
    chain: Any = SimpleNamespace(number=2, head=bytes(32))
    record: Any = None
    following = accounts.NextStatement("device", b"statement", None, record, chain)
    with pytest.raises(Conflict) as error:
        accounts.extend(tables, world.ALICE, following, NOW)
    assert refused(error) == "chain"


def test_a_profile_is_its_accounts_own_and_short() -> None:
    accounts.check_profile(world.ALICE, "A" * 200, CALLER)
    with pytest.raises(NotAuthorised):
        accounts.check_profile(world.BOB, "Alice", CALLER)
    with pytest.raises(BadInput):
        accounts.check_profile(world.ALICE, "é" * 101, CALLER)


def test_claims_leave_out_who_is_revoked_or_has_none() -> None:
    known = {
        b"once": StoredDevice(b"", revoked=False),
        b"last": StoredDevice(b"", revoked=False),
        b"none": StoredDevice(b"", revoked=False),
        b"revoked": StoredDevice(b"", revoked=True),
    }
    packages = {
        b"once": StoredKeyPackage(b"r1", b"p1", last_resort=False),
        b"last": StoredKeyPackage(b"r2", b"p2", last_resort=True),
        b"revoked": StoredKeyPackage(b"r3", b"p3", last_resort=False),
    }
    claimed: list[bytes] = []
    tables: Any = SimpleNamespace(
        accounts=SimpleNamespace(device=known.get),
        key_packages=SimpleNamespace(following=packages.get, claim=claimed.append),
    )
    devices = [b"once", b"last", b"none", b"revoked", b"stranger"]
    assert key_packages.claim(tables, devices) == [(b"once", b"p1"), (b"last", b"p2")]
    assert claimed == [b"r1"]


def test_key_packages_are_bounded() -> None:
    tables: Any = SimpleNamespace(
        key_packages=SimpleNamespace(add=lambda *_: None, held=lambda _: (3, False))
    )
    assert key_packages.add(tables, DEVICE, [], 3) == 3
    with pytest.raises(Conflict) as error:
        key_packages.add(tables, DEVICE, [], 2)
    assert refused(error) == "too-many-key-packages"


def test_a_blob_is_uploaded_by_who_announced_it() -> None:
    tables: Any = SimpleNamespace(find={b"digest": StoredBlob(5, DEVICE)}.get)
    assert blobs.get_size(tables, b"digest", DEVICE) == 5
    with pytest.raises(NotAuthorised):
        blobs.get_size(tables, b"digest", bytes(32))
    with pytest.raises(NotFound):
        blobs.get_size(tables, b"other", DEVICE)
    with pytest.raises(Conflict):
        blobs.check_size(5, 6)


def test_the_same_notice_has_one_index() -> None:
    tables: Any = SimpleNamespace(
        releases=SimpleNamespace(find_notice=lambda _: None, add_notice=lambda *_: 8)
    )
    assert notices.add(tables, b"sealed", 1, NOW) == 8
    tables.releases.find_notice = lambda _: 3
    assert notices.add(tables, b"sealed", 1, NOW) == 3


def test_who_is_no_witness_publishes_no_notice() -> None:
    [position, *_] = CHARTER.tree.witness_positions()
    sealed = SealedNotice(bytes(SEALED)).encode()
    witness = InstitutionCaller(CHARTER.holder_keys[position].kid)
    notices.check_posted(sealed, position, witness, [CHARTER])
    for caller, place in ((InstitutionCaller(bytes(32)), position), (witness, 0)):
        with pytest.raises(NotAuthorised) as error:
            notices.check_posted(sealed, place, caller, [CHARTER])
        assert refused(error) == "not-a-witness"


# log, ledger, listings, clock


def test_an_entry_gets_the_next_index() -> None:
    added: list[Any] = []
    tables: Any = SimpleNamespace(log=SimpleNamespace(size=lambda: 5, add=added.append))
    assert log_entries.append(tables, b"statement", "charter", NOW) == 5
    assert (added[0].index, added[0].kind, added[0].time) == (5, "charter", NOW)


def test_the_ledgers_queue_is_bounded() -> None:
    queued: list[bytes] = []
    tables: Any = SimpleNamespace(
        ledger=SimpleNamespace(backlog=lambda: 9_999, enqueue=lambda _, one: queued.append(one))
    )
    ledger_queue.enqueue(tables, b"statement")
    tables.ledger.backlog = lambda: 10_000
    with pytest.raises(Unavailable) as error:
        ledger_queue.enqueue(tables, b"another")
    assert (refused(error), queued) == ("backlog", [b"statement"])


def test_ledger_keys_begin_a_lead_ahead() -> None:
    lead = 7 * world.DAY // CHARTER.charter.ledger.tick
    first = ledger_keys.draw(bytes(32), [], 0, CHARTER, world.QUARTER)
    assert ledger_keys.read_part(first).first_chunk == 0
    assert ledger_keys.still_fits(first, [], 0, CHARTER)
    used = [msgspec.structs.replace(first, logged=True)]
    following = ledger_keys.draw(b"\1" * 32, used, 1_000, CHARTER, world.QUARTER + 1)
    assert ledger_keys.read_part(following).first_chunk == 1_000 + lead
    # it fits until only a quarter of the lead is left
    assert ledger_keys.still_fits(following, used, 1_000 + lead - lead // 4 - 1, CHARTER)
    assert not ledger_keys.still_fits(following, used, 1_000 + lead - lead // 4, CHARTER)
    # a draft of before the first keyset was logged begins too early
    assert not ledger_keys.still_fits(first, used, 0, CHARTER)
    rows = [first, following]
    assert ledger_keys.newest_draft(rows, CHARTER.digest, world.QUARTER) == first
    assert ledger_keys.newest_draft(rows, CHARTER.digest, world.QUARTER + 2) is None


def test_a_ledger_key_whose_first_chunk_is_gone_is_refused() -> None:
    ledger_keys.check_first_chunk(5, 5)
    with pytest.raises(Conflict) as error:
        ledger_keys.check_first_chunk(4, 5)
    assert refused(error) == "ledger-key"


def test_listings_keep_to_the_warrants_units() -> None:
    """Oldest first; a second window of an account in a period costs nothing."""
    hour = world.HOUR
    labels = [
        world.make_label(CHARTER.digest, opens=opens, closes=opens + hour, serial=serial)
        for opens, serial in (
            (world.T0 + 2 * hour, 3),
            (world.T0, 1),
            (world.T0, 2),
            (world.T0 + hour, 4),
        )
    ]

    def chosen(units: int, inherited: int, before: list[Label]) -> list[int]:
        verified: Any = SimpleNamespace(
            warrant=SimpleNamespace(units=units), access=SimpleNamespace(inherited=inherited)
        )
        return sorted(one.serial for one in listings.within_units(verified, before, labels))

    assert chosen(1, 0, []) == [1, 2]
    assert chosen(2, 0, []) == [1, 2, 4]
    assert chosen(3, 1, []) == [1, 2, 4]
    assert chosen(1, 0, [labels[0]]) == [3]
    assert chosen(1, 1, []) == []


def test_a_demonstrations_clock_goes_forward_only() -> None:
    stored: list[int] = []
    tables: Any = SimpleNamespace(periods=SimpleNamespace(set_clock=stored.append))
    stepped = WindowClock(100)
    window_clock.check_demonstration(stepped)
    window_clock.step(tables, stepped, 150)
    assert (stored, stepped.now()) == ([150], 150)
    with pytest.raises(Conflict):
        window_clock.step(tables, stepped, 149)
    with pytest.raises(NotAuthorised):
        window_clock.check_demonstration(WindowClock())
