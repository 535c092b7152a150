"""The device's store: what each table keeps, and that no SQL is anywhere else."""

import ast
import re

import pytest

from counterseal.client.home import DeviceHome, Pins
from counterseal.client.states import LIVE, ConversationState, MessageState, WindowState
from counterseal.client.store.accounts import KnownAccount
from counterseal.client.store.commits import CommitRow
from counterseal.client.store.device_store import TABLES, DeviceStore
from counterseal.client.store.messages import NewMessage
from counterseal.client.store.notices import NoticeRow
from counterseal.client.store.outbox import SealedRow
from counterseal.client.store.rules import KnownCharter, KnownKeyset
from counterseal.client.store.windows import WindowRow
from counterseal.protocol import cbor
from counterseal.protocol.errors import NotFound
from counterseal.protocol.frame import Attachment

PINS = Pins("http://127.0.0.1:1", "chat.example.org", "ab" * 32, False, ("a", "b"), ("c", "d"), ())
TALK, OTHER = b"t" * 16, b"o" * 16
ALICE, BOB = b"a" * 32, b"b" * 32


@pytest.fixture
def store(tmp_path):
    with DeviceHome.create(tmp_path / "member", PINS).store() as store:
        yield store


def test_every_table_is_made_and_making_them_again_changes_nothing(store: DeviceStore):
    store.settings.handle = "alice"
    store.create_tables()
    assert store.settings.handle == "alice"
    made = {name for (name,) in store.device.execute("SELECT name FROM sqlite_master")}
    named = {re.search(r"EXISTS (\w+)", statement)[1] for statement in TABLES}
    assert named <= made


def test_settings(store: DeviceStore):
    assert store.settings.inbox is None
    store.settings.inbox = 7
    store.settings.checkpoint = b"\x80"
    assert (store.settings.inbox, store.settings.checkpoint) == (7, b"\x80")
    store.settings.link_seed = None
    assert store.settings.link_seed is None
    with pytest.raises(AttributeError):
        setattr(store.settings, "acount", ALICE)  # noqa: B010 - mypy sees it otherwise
    assert store.settings.notices_after("service") == 0
    store.settings.set_notices_after("service", 3)
    store.settings.set_notices_after("Gazette", 4)
    assert store.settings.notices_after("service") == 3
    assert not store.settings.is_refresh_due(TALK)
    store.settings.demand_refresh(TALK)
    assert store.settings.is_refresh_due(TALK) and not store.settings.is_refresh_due(OTHER)
    store.settings.clear_refresh(TALK)
    assert not store.settings.is_refresh_due(TALK)
    store.settings.set_leaf_made(TALK, 5)
    assert (store.settings.leaf_made(TALK), store.settings.leaf_made(OTHER)) == (5, None)


def test_the_names_of_settings_are_what_devices_in_use_have(store: DeviceStore):
    store.settings.account = ALICE
    store.settings.registered = 1
    store.settings.set_leaf_made(TALK, 5)
    store.settings.demand_refresh(TALK)
    store.settings.set_notices_after("service", 3)
    rows = dict(store.device.execute("SELECT name, value FROM client_setting"))
    assert rows == {
        "account": ALICE,
        "registered": 1,
        f"leaf:{TALK.hex()}": 5,
        f"refresh:{TALK.hex()}": 1,
        "notices:service": 3,
    }


def test_charters_and_keysets(store: DeviceStore):
    first, second = (
        KnownCharter(bytes([version]) * 32, version, b"statement", version * 10, 99)
        for version in (1, 2)
    )
    for row in (first, second, first):
        store.rules.add_charter(row)
    assert store.rules.charters_after(0) == [first, second]
    assert store.rules.charters_after(1) == [second]
    assert store.rules.charters_after(2) == []

    packed = cbor.encode([b"statement", [b"key", None]])
    old = KnownKeyset(b"k" * 32, first.digest, 8104, packed, 11)
    new = KnownKeyset(b"l" * 32, first.digest, 8105, packed, 12)
    for keyset in (new, old):
        store.rules.add_keyset(keyset)
    assert store.rules.keysets_after(-1) == [old, new]
    assert store.rules.keysets_after(11) == [new]
    assert new.unpack() == (b"statement", (b"key", None))


def test_periods(store: DeviceStore):
    assert not store.rules.has_period(b"p" * 32)
    for _ in range(2):
        store.rules.add_period(b"p" * 32, 4)
    assert store.rules.has_period(b"p" * 32)


def test_accounts_and_devices(store: DeviceStore):
    assert store.accounts.account(ALICE) is None
    assert store.accounts.handle(ALICE) == ""
    row = KnownAccount(ALICE, "alice", "Alice", b"n" * 32, b"h" * 32, 2, 100)
    store.accounts.put_account(row)
    store.accounts.put_account(row)
    assert store.accounts.account(ALICE) == row
    assert store.accounts.handle(ALICE) == "alice"

    store.accounts.add_device(b"2" * 32, ALICE, 2, 60)
    store.accounts.add_device(b"1" * 32, ALICE, 1, 50)
    store.accounts.add_device(b"3" * 32, BOB, 1, 50)
    store.accounts.revoke_device(b"1" * 32, 70)
    store.accounts.add_device(b"1" * 32, ALICE, 1, 50)  # seen again: stays revoked
    assert [(row.device[:1], row.revoked) for row in store.accounts.devices(ALICE)] == [
        (b"1", 70),
        (b"2", None),
    ]
    assert store.accounts.device(b"3" * 32).account == BOB
    assert store.accounts.device(b"4" * 32) is None


def test_devices_to_adopt(store: DeviceStore):
    for _ in range(2):
        store.accounts.adopt_device(BOB)
    assert store.accounts.devices_to_adopt() == [BOB]
    store.accounts.finish_adopting(BOB)
    assert store.accounts.devices_to_adopt() == []


def test_conversations(store: DeviceStore):
    conversations = store.conversations
    with pytest.raises(NotFound, match="no conversation"):
        conversations.state(TALK)
    assert conversations.cursor(TALK) == 0
    conversations.enter(TALK, "work", 5, b"c" * 32, 200)
    conversations.enter(OTHER, "", 0, b"c" * 32, 100)
    assert conversations.ids(*LIVE) == [OTHER, TALK]
    conversations.set_cursor(TALK, 9)
    conversations.set_cursor(TALK, 8)
    assert conversations.cursor(TALK) == 9, "a cursor never goes back"

    conversations.set_state(TALK, ConversationState.LEFT, "You have left this conversation.")
    assert conversations.ids(*LIVE) == [OTHER]
    assert conversations.find(TALK).sentence == "You have left this conversation."
    conversations.enter(TALK, "", 12, b"d" * 32, 300)
    again = conversations.find(TALK)
    assert (again.name, again.state, again.cursor) == ("work", ConversationState.ACTIVE, 12)
    assert (again.charter, again.sentence, again.created) == (b"d" * 32, None, 200)

    conversations.finish_creating(TALK)
    assert conversations.state(TALK) is ConversationState.ACTIVE
    conversations.set_state(TALK, ConversationState.CREATING)
    conversations.finish_creating(TALK)
    assert conversations.state(TALK) is ConversationState.ACTIVE
    conversations.set_state(TALK, ConversationState.BROKEN)
    conversations.finish_creating(TALK)
    assert conversations.state(TALK) is ConversationState.BROKEN
    conversations.set_sentence(TALK, "Why.")
    conversations.set_charter(TALK, b"e" * 32)
    assert (conversations.find(TALK).sentence, conversations.find(TALK).charter) == (
        "Why.",
        b"e" * 32,
    )


def test_states_are_stored_by_value(store: DeviceStore):
    store.conversations.enter(TALK, "", 0, b"", 1)
    store.messages.add_note(TALK, None, None, "Hello.")
    store.windows.add(WindowRow(b"w" * 32, TALK, 0, 3600, 1, WindowState.MADE))
    assert store.device.execute("SELECT state FROM client_conversation") == [("active",)]
    assert store.device.execute("SELECT state, kind FROM client_message") == [("note", "note")]
    assert store.device.execute("SELECT posted FROM client_window") == [(0,)]


def test_a_commit_is_kept_until_its_event(store: DeviceStore):
    assert not store.commits.has_commit(TALK)
    row = CommitRow(3, b"message", cbor.encode([BOB]), b"welcome", b"tree")
    store.commits.add_commit(TALK, row)
    assert store.commits.commit(TALK) == row
    assert row.welcomed() == (BOB,)
    assert CommitRow(3, b"message", None, None, b"tree").welcomed() is None
    assert store.commits.has_commit(TALK) and not store.commits.has_commit(OTHER)
    store.commits.drop_commit(TALK)
    assert store.commits.commit(TALK) is None


def test_proposals(store: DeviceStore):
    commits = store.commits
    assert not commits.has_proposals(TALK)
    commits.add_own_proposal(TALK, b"mine", 4)
    assert commits.has_proposals(TALK) and not commits.has_others_proposals(TALK)
    assert commits.own_proposal(TALK, 4) == b"mine"
    assert commits.own_proposal(TALK, 5) is None
    commits.add_proposal(TALK, b"bob's", 4, BOB)
    assert commits.has_others_proposals(TALK)
    assert commits.proposing_devices(TALK) == {None, BOB}
    assert commits.has_proposal(TALK, b"bob's") and not commits.has_proposal(OTHER, b"bob's")
    commits.drop_proposals(TALK)
    assert not commits.has_proposals(TALK)


def queued(store, text, wanted=None, attachments=()):
    row = NewMessage(TALK, MessageState.QUEUED, "text", text=text, sent_at_ms=wanted, account=ALICE)
    message = store.messages.add(row, attachments)
    store.outbox.add(message, TALK)
    return message


def test_a_message_from_the_outbox_to_sent(store: DeviceStore):
    one, two = queued(store, "one", 5_000), queued(store, "two")
    assert [row.text for row in store.outbox.waiting(TALK, 64)] == ["one", "two"]
    assert [row.wanted_ms for row in store.outbox.waiting(TALK, 1)] == [5_000]
    assert store.outbox.conversations() == [TALK]
    assert not store.outbox.is_empty(TALK) and store.outbox.is_empty(OTHER)

    row = SealedRow(one, b"w" * 32, 0, b"sealed")
    store.outbox.set_sealed(row)
    store.messages.set_sealed(one, 5_000, b"d" * 32, row.window, row.seq)
    assert store.outbox.sealed(TALK) == store.outbox.sealed(TALK, 64) == [row]
    assert [row.message for row in store.outbox.waiting(TALK, 64)] == [two]
    assert store.messages.find_own(b"d" * 32) == one

    store.outbox.set_unsealed(one)
    store.messages.set_unsealed(one)
    assert store.outbox.sealed(TALK) == []
    assert store.messages.find_own(b"d" * 32) is None

    store.messages.set_sent(one, 7, 100)
    store.messages.set_sent(one, 8, 200)  # seen again: the first number stays
    store.outbox.remove(one)
    store.messages.set_unsent(TALK)
    store.outbox.clear(TALK)
    assert store.outbox.is_empty(TALK)
    rows = store.messages.after(TALK, 0, 10)
    assert [(row.n, row.state) for row in rows] == [
        (7, MessageState.SENT),
        (None, MessageState.UNSENT),
    ]


def test_history_search_and_counts(store: DeviceStore):
    store.accounts.put_account(KnownAccount(BOB, "bob", "Bob", b"", b"", 2, 100))
    shown = NewMessage(
        TALK, MessageState.SHOWN, "text", n=1, account=BOB, text="the quick fox", gap=2
    )
    file = Attachment(b"d" * 32, 5, b"k" * 32, "plan.txt", "text/plain")
    first = store.messages.add(shown, (file, file))
    pending = NewMessage(
        TALK,
        MessageState.PENDING,
        "text",
        n=2,
        account=BOB,
        text="a quick hare",
        window=b"w" * 32,
        seq=1,
        raw=b"raw",
    )
    second = store.messages.add(pending)
    store.messages.add_note(OTHER, None, 9, "Quick note.")
    assert store.messages.attachments(first) == (file, file)
    assert store.messages.newest() == second + 1
    assert store.messages.counts() == {
        MessageState.SHOWN: 1,
        MessageState.PENDING: 1,
        MessageState.NOTE: 1,
    }
    assert store.messages.counts(OTHER) == {MessageState.NOTE: 1}

    [row] = store.messages.search("QUICK fox", 10)
    assert (row.number, row.handle, row.gap, row.n) == (first, "bob", 2, 1)
    assert store.messages.search("hare", 10) == [], "a pending message is not displayed"
    assert store.messages.search("", 10) == []
    assert store.messages.search('" OR "', 10) == []

    [waiting] = store.messages.pending()
    assert (waiting.number, waiting.window, waiting.seq, waiting.raw) == (
        second,
        b"w" * 32,
        1,
        b"raw",
    )
    store.messages.set_rule(second, "P3")
    assert store.messages.after(TALK, first, 10)[0].rule == "P3"
    store.messages.set_proved(second)
    [row] = store.messages.search("hare", 10)
    assert (row.state, row.rule) == (MessageState.SHOWN, None)
    assert [row.number for row in store.messages.after(TALK, 0, 1)] == [first]


def test_windows(store: DeviceStore):
    windows = store.windows
    assert windows.newest(TALK) is None
    assert windows.spent_since_posted(TALK) == 0
    rows = [
        WindowRow(bytes([serial]) * 32, TALK, 0, 3600, serial, WindowState.MADE)
        for serial in (1, 2, 4)
    ]
    for row in rows:
        windows.add(row)
    windows.set_posted(rows[0].window)
    assert windows.state(rows[0].window) is WindowState.POSTED
    windows.set_spent(rows[1].window)
    windows.set_spent(rows[2].window)
    windows.set_posted(rows[2].window)
    assert windows.state(rows[2].window) is WindowState.SPENT, "spent is spent"
    assert windows.spent_since_posted(TALK) == 2
    assert windows.newest(TALK).serial == 4
    assert windows.newest(OTHER) is None
    windows.set_unposted(TALK)
    assert [row.state for row in windows.of_conversation(TALK)] == [
        WindowState.MADE,
        WindowState.SPENT,
        WindowState.SPENT,
    ]
    assert windows.state(b"?" * 32) is None


def test_notices(store: DeviceStore):
    rows = [
        NoticeRow(b"w" * 32, "University", b"one", 5),
        NoticeRow(b"w" * 32, "Gazette", b"two", 6),
        NoticeRow(b"v" * 32, "Gazette", b"three", 7),
    ]
    assert [store.notices.add(row) for row in [*rows, rows[0]]] == [True, True, True, False]
    assert store.notices.all() == rows
    assert store.notices.of_warrant(b"w" * 32) == [rows[1], rows[0]]


_SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|CREATE\s+(TABLE|INDEX|TRIGGER|VIRTUAL)|PRAGMA\s)",
    re.DOTALL,
)


def test_no_sql_stands_outside_of_the_store(root):
    source = root / "src" / "counterseal"
    files = [*(source / "client").glob("*.py"), *(source / "cli").glob("*.py")]
    assert len(files) > 30
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not _SQL.search(node.value), f"{file.name}:{node.lineno}"
            if isinstance(node, ast.Attribute):
                assert node.attr != "execute", f"{file.name}:{node.lineno}"
