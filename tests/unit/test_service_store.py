"""What every store promises, run against each kind there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from counterseal.protocol.errors import BadInput, Conflict, FatalError, Unavailable
from counterseal.service.settings import load
from counterseal.service.store.interface import Duplicate, Snapshot, Store, Transaction
from counterseal.service.store.kinds import kinds, open_store
from counterseal.service.store.rows import (
    PlacedStatement,
    StoredBlob,
    StoredCharter,
    StoredConversation,
    StoredDevice,
    StoredDirectoryRoot,
    StoredEntry,
    StoredEvent,
    StoredGroup,
    StoredKeyPackage,
    StoredKeyset,
    StoredLedgerKey,
    StoredListing,
    StoredMembership,
    StoredNotice,
    StoredPeriod,
    StoredRevocation,
    StoredSeal,
    StoredShares,
    StoredStamp,
    StoredStatement,
    StoredWelcome,
    StoredWindow,
)
from counterseal.tlog.checkpoint_row import CheckpointRow
from counterseal.tlog.ledger_writer import Waiting, WriterState, WrittenTick


def b32(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def group(epoch: int) -> StoredGroup:
    return StoredGroup(
        b"state%d" % epoch, epoch, 7, b32("roster"), b32("charter"), 8106, b32("keys")
    )


def window(name: str, conversation: int = 1, opens: int = 0, serial: int = 1) -> StoredWindow:
    return StoredWindow(
        no=0,
        id=b32(name),
        conversation=conversation,
        account=b32("account"),
        device=b32("device"),
        charter=b32("charter"),
        keyset=b32("keys"),
        roster_epoch=7,
        roster_digest=b32("roster"),
        opens=opens,
        closes=opens + 3600,
        serial=serial,
        seal_digest=b32("seal"),
        next_seq=0,
    )


def _set_clock(n: int, tables: Transaction) -> int:
    tables.periods.set_clock(n)
    return n


class Opened:
    """A store in a folder, with what it says of fatal errors."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.fatal: list[BaseException] = []

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        store = open_store(self.kind, self.folder, self.fatal.append)
        store.start()
        try:
            yield store
        finally:
            await store.close()


@pytest.fixture(params=kinds())
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    return Opened(request.param, tmp_path)


def test_the_setting_names_a_folder(tmp_path: Path) -> None:
    """A second store is a folder beside the first and this line."""
    settings = tmp_path / "settings.toml"
    settings.write_text('[store]\nkind = "sqlite"\n')
    assert load(settings).store.kind in kinds()
    with pytest.raises(BadInput, match='no store "sqlight"; the nearest is "sqlite"'):
        open_store("sqlight", tmp_path, lambda _: None)


async def test_what_is_written_is_there_when_it_is_opened_again(opened: Opened) -> None:
    async with opened.store() as store:
        await store.write("account", lambda tables: tables.accounts.create(b32("a"), "alice"))
        assert await store.read(lambda snapshot: snapshot.accounts.by_handle("alice")) == b32("a")
    async with opened.store() as store:
        assert store.read_apart(lambda snapshot: snapshot.accounts.by_handle("alice")) == b32("a")
    assert not opened.fatal


async def test_a_job_that_raises_changes_nothing_and_hinders_no_other(opened: Opened) -> None:
    def wrong(tables: Transaction) -> None:
        tables.accounts.create(b32("b"), "bob")
        raise Conflict("not so")

    async with opened.store() as store:
        names = ("alice", "carol")
        done = await asyncio.gather(
            store.write("x", lambda tables: tables.accounts.create(b32("a"), names[0])),
            store.write("x", wrong),
            store.write("x", lambda tables: tables.accounts.create(b32("c"), names[1])),
            return_exceptions=True,
        )
        heads = await store.read(lambda snapshot: {row[0] for row in snapshot.accounts.heads()})
    assert isinstance(done[1], Conflict)
    assert (done[0], done[2], heads) == (None, None, set(names))


async def test_jobs_are_one_after_the_other(opened: Opened) -> None:
    """Nothing comes between a job's reads and its writes."""

    def count(tables: Transaction) -> int:
        n = tables.periods.clock() or 0
        tables.periods.set_clock(n + 1)
        return n + 1

    async with opened.store() as store:
        counted = await asyncio.gather(*(store.write("x", count) for _ in range(100)))
        assert await store.read(lambda snapshot: snapshot.periods.clock()) == 100
    assert counted == list(range(1, 101))


async def test_after_runs_in_order_and_before_the_answer(opened: Opened) -> None:
    said: list[object] = []

    async def write(store: Store, n: int) -> None:
        await store.write("x", partial(_set_clock, n), said.append)
        said.append(f"answered {n}")

    async with opened.store() as store:
        await asyncio.gather(*(write(store, n) for n in range(20)))
    assert [n for n in said if isinstance(n, int)] == list(range(20))
    assert all(said.index(n) < said.index(f"answered {n}") for n in range(20))


async def test_a_fault_in_after_keeps_nobody_waiting(opened: Opened) -> None:
    def fault(_: object) -> None:
        raise ZeroDivisionError

    async with opened.store() as store:
        written = store.write("x", lambda tables: tables.periods.set_clock(5), fault)
        await asyncio.wait_for(written, 5)
        assert await store.read(lambda snapshot: snapshot.periods.clock()) == 5


async def test_after_a_fatal_error_nothing_is_written(opened: Opened) -> None:
    def fails(tables: Transaction) -> None:
        tables.accounts.create(b32("a"), "alice")
        raise FatalError("the disk lies")

    async with opened.store() as store:
        with pytest.raises(FatalError):
            await store.write("x", fails)
        with pytest.raises(Unavailable) as refusal:
            await store.write("x", lambda tables: tables.accounts.create(b32("b"), "bob"))
        await asyncio.sleep(0)
        assert refusal.value.code == "disk"
        assert await store.read(lambda snapshot: list(snapshot.accounts.heads())) == []
    assert len(opened.fatal) == 1


async def test_closed_with_all_that_was_queued_and_nothing_after(opened: Opened) -> None:
    """Whoever writes later, such as a thread at work, is refused and does not wait for ever."""
    async with opened.store() as store:
        queued = [asyncio.create_task(store.write("x", partial(_set_clock, n))) for n in (1, 2)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*queued) == [1, 2]
    with pytest.raises(Unavailable) as refusal:
        await asyncio.wait_for(store.write("x", partial(_set_clock, 3)), 5)
    assert refusal.value.code == "stopping"


async def test_a_read_is_of_one_moment(opened: Opened) -> None:
    """A write in the middle of a long read is not seen by it."""
    async with opened.store() as store:
        loop = asyncio.get_running_loop()

        def job(snapshot: Snapshot) -> tuple[int | None, int | None]:
            before = snapshot.periods.clock()
            written = store.write("x", lambda tables: tables.periods.set_clock(9))
            asyncio.run_coroutine_threadsafe(written, loop).result(10)
            return before, snapshot.periods.clock()

        await store.write("x", lambda tables: tables.periods.set_clock(8))
        assert await asyncio.to_thread(store.read_apart, job) == (8, 8)
        assert await store.read(lambda snapshot: snapshot.periods.clock()) == 9


async def test_accounts(opened: Opened) -> None:
    first = StoredStatement("account", b"statement", None, 0)
    second = StoredStatement("device", b"device", bytes(64), 1)
    root = StoredDirectoryRoot(4, b32("root"), b"record")

    def job(tables: Transaction) -> None:
        accounts = tables.accounts
        accounts.create(b32("a"), "alice")
        accounts.extend(b32("a"), 0, b32("head0"), first)
        accounts.extend(b32("a"), 1, b32("head1"), second)
        accounts.set_display(b32("a"), "Alice")
        accounts.add_device(b32("a"), b32("phone"))
        accounts.add_device(b32("a"), b32("tablet"))
        accounts.revoke_device(b32("tablet"))
        accounts.add_root(StoredDirectoryRoot(2, b32("old"), b"old"))
        accounts.add_root(root)

    async with opened.store() as store:
        assert await store.read(lambda snapshot: snapshot.accounts.last_root()) is None
        await store.write("x", job)

        def check(snapshot: Snapshot) -> None:
            found = snapshot.accounts.find(b32("a"))
            assert found is not None
            assert (found.handle, found.display, found.statements) == ("alice", "Alice", 1)
            assert snapshot.accounts.chain(b32("a")) == [first, second]
            assert list(snapshot.accounts.heads()) == [("alice", b32("a"), b32("head1"))]
            assert snapshot.accounts.device(b32("phone")) == StoredDevice(b32("a"), revoked=False)
            assert snapshot.accounts.device(b32("tablet")) == StoredDevice(b32("a"), revoked=True)
            assert snapshot.accounts.last_root() == root
            unknown = b32("nobody")
            assert snapshot.accounts.find(unknown) is None
            assert snapshot.accounts.device(unknown) is None
            assert snapshot.accounts.chain(unknown) == []

        await store.read(check)


async def test_key_packages(opened: Opened) -> None:
    """One-time packages first, in order; a last resort takes the place of the one before."""
    device = b32("device")
    once = [StoredKeyPackage(b32(f"once{n}"), b"%d" % n, last_resort=False) for n in range(2)]
    last = [StoredKeyPackage(b32(f"last{n}"), b"last%d" % n, last_resort=True) for n in range(2)]

    def job(tables: Transaction) -> None:
        packages = tables.key_packages
        for row in (last[0], *once, last[1]):
            packages.add(device, row)
        assert packages.held(device) == (2, True)
        assert packages.owner(once[0].ref) == device
        assert packages.following(device) == once[0]
        packages.claim(once[0].ref)
        packages.add(device, once[0])  # it was claimed, and stays so
        assert packages.following(device) == once[1]
        packages.claim(once[1].ref)
        assert packages.following(device) == last[1]
        packages.add(device, last[0])
        assert packages.following(device) == last[0]
        tables.accounts.revoke_device(device)
        assert packages.held(device) == (0, False)
        assert packages.following(device) is None

    async with opened.store() as store:
        await store.write("x", job)


async def test_conversations(opened: Opened) -> None:
    cid, here, gone = bytes(16), b32("here"), b32("gone")

    def make(tables: Transaction) -> int:
        conversations = tables.conversations
        no = conversations.create(cid, group(0))
        conversations.add_member(no, here, 1)
        conversations.add_member(no, gone, 1)
        for n in range(1, 6):
            conversations.append(no, StoredEvent(n, 0, 100 + n, b"x" * 10))
        conversations.set_last_n(no, 5)
        conversations.append(no, StoredEvent(6, 1, 106, b"commit"))
        conversations.advance(no, 6, group(1))
        conversations.end_member(no, gone, 6)
        tables.accounts.add_device(b32("account"), here)
        return no

    async with opened.store() as store:
        no = await store.write("x", make)

        def check(snapshot: Snapshot) -> None:
            conversations = snapshot.conversations
            row = StoredConversation(
                no, cid, 6, 1, 7, b32("roster"), b32("charter"), 8106, b32("keys"), 1
            )
            assert conversations.find(cid) == row
            assert conversations.find(b"\1" * 16) is None
            assert conversations.group_state(no) == b"state1"
            assert (conversations.is_member(no, here), conversations.is_member(no, gone)) == (
                True,
                False,
            )
            assert conversations.memberships(no, gone) == [StoredMembership(1, 6)]
            assert conversations.of_device(here) == [row]
            assert conversations.of_device(gone) == []
            found = conversations.find_for_sender(cid, here)
            assert found is not None
            assert (found.conversation, found.member, found.active) == (row, True, True)
            found = conversations.find_for_sender(cid, gone)
            assert found is not None
            assert (found.member, found.active) == (False, False)
            assert conversations.find_for_sender(b"\1" * 16, here) is None

        await store.read(check)


async def test_events_come_in_pages(opened: Opened) -> None:
    def make(tables: Transaction) -> int:
        no = tables.conversations.create(bytes(16), group(0))
        other = tables.conversations.create(b"\1" * 16, group(0))
        for n in range(1, 11):
            tables.conversations.append(no, StoredEvent(n, 0, n, bytes(100)))
            tables.conversations.append(other, StoredEvent(n, 0, n, b"another's"))
        return no

    async with opened.store() as store:
        no = await store.write("x", make)

        def numbers(after: int, last: int, limit: int, size: int) -> list[int]:
            found = store.read_apart(
                lambda snapshot: snapshot.conversations.events(no, after, last, limit, size)
            )
            assert all(len(event.data) == 100 for event in found)
            return [event.n for event in found]

        assert numbers(0, 1 << 62, 500, 1 << 20) == list(range(1, 11))
        assert numbers(3, 6, 500, 1 << 20) == [4, 5, 6]
        assert numbers(0, 1 << 62, 2, 1 << 20) == [1, 2]
        assert numbers(0, 1 << 62, 500, 250) == [1, 2, 3]
        assert numbers(0, 1 << 62, 500, 1) == [1]
        assert numbers(10, 1 << 62, 500, 1 << 20) == []


async def test_welcomes(opened: Opened) -> None:
    one, other = b32("one"), b32("other")
    welcome = StoredWelcome(bytes(16), b"welcome", b"tree", 3)

    def job(tables: Transaction) -> None:
        conversations = tables.conversations
        assert conversations.inbox_last(one) == 0
        assert conversations.deliver([one, other], welcome) == [(one, 1), (other, 1)]
        assert conversations.deliver([one], welcome) == [(one, 2)]
        assert conversations.inbox(one, 0, 20) == [(1, welcome), (2, welcome)]
        assert conversations.inbox(one, 1, 20) == [(2, welcome)]
        assert conversations.inbox(one, 0, 1) == [(1, welcome)]
        assert (conversations.inbox_last(one), conversations.inbox_last(other)) == (2, 1)

    async with opened.store() as store:
        await store.write("x", job)


async def test_windows_and_periods(opened: Opened) -> None:
    records = StoredSeal(b"label", b"roster", b"counterseal")
    stamps = [StoredStamp(n + 5, b32(f"m{n}"), 1_000 + n) for n in range(2)]
    root = StoredPeriod(0, b"record", 9)

    def job(tables: Transaction) -> None:
        windows, periods = tables.windows, tables.periods
        windows.add(window("w1"), records)
        windows.add(window("w0", serial=2), records)
        windows.add(window("later", opens=3600, serial=3), records)
        found = windows.find(b32("w1"))
        assert found is not None
        assert (found.serial, found.roster_digest, found.next_seq) == (1, b32("roster"), 0)
        for seq, stamp in enumerate(stamps):
            windows.add_stamp(found.no, seq, stamp)
        windows.set_next_seq(found.no, 2)

        assert windows.seal(found.no) == records
        assert windows.stamps(found.no) == stamps
        assert (windows.find_stamp(found.no, 1), windows.find_stamp(found.no, 2)) == (
            stamps[1],
            None,
        )
        assert windows.last_serial(1, b32("device")) == 3
        assert windows.last_serial(2, b32("device")) is None
        place = (1, b32("device"), 0, b32("roster"), b32("keys"))
        assert windows.count_same_place(*place) == 2
        assert [row.id for row in windows.of_period(0)] == [b32("w1")]

        assert windows.unlogged_periods(3_599) == []
        assert windows.unlogged_periods(3_600) == [0]
        opened_window = windows.find_open(b32("w1"))
        assert opened_window is not None
        assert opened_window[1] is False
        periods.add(root)
        assert windows.unlogged_periods(10_000) == []
        opened_window = windows.find_open(b32("w1"))
        assert opened_window is not None
        assert opened_window[1] is True
        assert windows.find_open(b32("none")) is None

        later = StoredPeriod(7_200, b"later", 12)
        periods.add(later)
        assert (periods.find(0), periods.find(3_600)) == (root, None)
        assert (periods.before(9), periods.before(12), periods.before(1 << 62)) == (
            None,
            root,
            later,
        )
        assert periods.after(-1, 1) == [root]
        assert periods.after(9, 500) == [later]
        assert periods.between(0, 7_200) == [root]
        assert periods.between(1, 7_201) == [later]

    async with opened.store() as store:
        await store.write("x", job)


async def test_trust(opened: Opened) -> None:
    charter = StoredCharter(1, b32("c1"), b"charter", 0, 50)
    keyset = StoredKeyset(b32("c1"), 8106, b32("k1"), b"keyset", 1)
    key = StoredLedgerKey(b32("com"), b32("secret"), b32("c1"), 8106, b"part", logged=False)

    def job(tables: Transaction) -> None:
        trust = tables.trust
        trust.add_charter(charter)
        with pytest.raises(Duplicate):
            trust.add_charter(StoredCharter(1, b32("c2"), b"other", 2, 60))
        trust.add_keyset(keyset)
        with pytest.raises(Duplicate):
            trust.add_keyset(StoredKeyset(b32("c1"), 8106, b32("k2"), b"other", 2))
        assert (trust.charters(), trust.keysets()) == ([charter], [keyset])

        trust.add_holder_key(b32("c1"), 8106, 3, b"first")
        trust.add_holder_key(b32("c1"), 8106, 3, b"second")
        trust.add_holder_key(b32("c1"), 8107, 4, b"another quarter's")
        assert trust.holder_keys(b32("c1"), 8106) == {3: b"second"}

        trust.add_ledger_key(key)
        trust.add_ledger_key(StoredLedgerKey(b32("com2"), b32("s"), b32("c1"), 8107, b"p", False))
        assert [row.logged for row in trust.ledger_keys()] == [False, False]
        trust.mark_ledger_key(b32("com"))
        assert [(row.commitment, row.logged) for row in trust.ledger_keys()] == [
            (b32("com"), True),
            (b32("com2"), False),
        ]

        trust.add_revocation(StoredRevocation(b32("i"), 100, b"first", 3))
        trust.add_revocation(StoredRevocation(b32("i"), 200, b"later changes nothing", 4))
        assert trust.revocations() == [StoredRevocation(b32("i"), 100, b"first", 3)]
        trust.add_revocation(StoredRevocation(b32("i"), 50, b"earlier", 5))
        assert trust.revocations() == [StoredRevocation(b32("i"), 50, b"earlier", 5)]

    async with opened.store() as store:
        await store.write("x", job)


async def test_log(opened: Opened) -> None:
    rows = [StoredEntry(n, b32(f"e{n % 3}"), b"statement%d" % n, "charter", n) for n in range(5)]
    row, following = CheckpointRow("d/log", 2, b32("r"), 5), CheckpointRow("d/log", 5, b32("s"), 6)

    def job(tables: Transaction) -> None:
        log = tables.log
        assert (log.size(), log.entries(0, 10)) == (0, [])
        for entry in rows:
            log.add(entry)
        assert log.size() == 5
        assert log.entries(1, 2) == [b32("e1"), b32("e2")]
        assert log.find(b32("e0")) == rows[0]
        assert log.find(b32("none")) is None
        assert log.row("d/log") is None
        log.set_row(row)
        log.set_row(following)
        assert (log.row("d/log"), log.row("d/ledger")) == (following, None)

    async with opened.store() as store:
        await store.write("x", job)


async def test_ledger(opened: Opened) -> None:
    def job(tables: Transaction) -> None:
        ledger = tables.ledger
        assert ledger.load() == WriterState()
        assert (ledger.size(), ledger.backlog(), ledger.last_time(10)) == (0, 0, 0)
        for n in range(3):
            ledger.enqueue(b32(f"d{n}"), b"statement%d" % n)
        ledger.enqueue(b32("d0"), b"statement0")
        waiting = list(ledger.waiting())
        assert [one.statement for one in waiting] == [b"statement0", b"statement1", b"statement2"]
        assert isinstance(waiting[0], Waiting)

        leaves = (b32("l0"), b32("l1"))
        state = WriterState(tick=1, time=77)
        ledger.commit(WrittenTick(0, 77, 0, leaves, b"chunk0", ((waiting[0].number, 1),), state))
        state = WriterState(tick=2, time=88)
        ledger.commit(WrittenTick(1, 88, 2, leaves, b"chunk1", ((waiting[1].number, 2),), state))

        assert ledger.load() == state
        assert (ledger.size(), ledger.backlog()) == (4, 1)
        assert ledger.leaves(1, 2) == [b32("l1"), b32("l0")]
        assert (ledger.chunk(1), ledger.chunk(2)) == (b"chunk1", None)
        placed = [PlacedStatement(1, 77, b"statement0"), PlacedStatement(2, 88, b"statement1")]
        assert ledger.placed(0, 4) == placed
        assert ledger.placed(2, 4) == placed[1:]
        assert (ledger.last_time(1), ledger.last_time(2), ledger.last_time(4)) == (0, 77, 88)

    async with opened.store() as store:
        await store.write("x", job)


async def test_releases_and_blobs(opened: Opened) -> None:
    listing = StoredListing(b32("w"), 0, b32("l"), b"listing", 3)

    def job(tables: Transaction) -> None:
        releases = tables.releases
        releases.add_listing(listing)
        assert (releases.listings(b32("w")), releases.listings(b32("v"))) == ([listing], [])
        releases.mark_period(b32("w"), 3600)
        releases.mark_period(b32("w"), 3600)
        assert releases.listed_periods(b32("w")) == {3600}

        releases.add_shares(b32("w"), StoredShares(b32("l"), 2, b"first"))
        releases.add_shares(b32("w"), StoredShares(b32("l"), 2, b"again"))
        releases.add_shares(b32("w"), StoredShares(b32("l"), 3, b"another's"))
        shares = {row.position: row.sealed for row in releases.shares(b32("w"))}
        assert shares == {2: b"again", 3: b"another's"}

        assert releases.find_notice(b32("n")) is None
        assert releases.add_notice(b32("n"), b"sealed", 1, 5) == 1
        assert releases.add_notice(b32("m"), b"other", 1, 5) == 2
        assert releases.find_notice(b32("n")) == 1
        assert releases.notices(1, 10) == [StoredNotice(2, b"other")]

        tables.blobs.announce(b32("b"), 10, b32("one"), 5)
        tables.blobs.announce(b32("b"), 99, b32("two"), 6)
        assert tables.blobs.find(b32("b")) == StoredBlob(10, b32("two"))
        assert tables.blobs.find(b32("none")) is None

    async with opened.store() as store:
        await store.write("x", job)
