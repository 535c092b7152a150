"""What a device does when the service lies, garbles or withholds: refuses with a sentence, and
writes nothing half.
"""

import itertools

import msgspec
import pytest
from tests.support import world

from counterseal.client.member_device import MemberDevice
from counterseal.protocol import cbor
from counterseal.protocol.errors import CountersealError, Refused, Unavailable
from counterseal.wire.accounts import ACCOUNT
from counterseal.wire.domain import CLOCK
from counterseal.wire.key_packages import KEY_PACKAGES, KEY_PACKAGES_CLAIM, ClaimKeyPackages

pytestmark = pytest.mark.system
_number = itertools.count()
TABLES = (
    "client_setting",
    "client_charter",
    "client_keyset",
    "client_account",
    "client_account_device",
    "client_conversation",
    "client_commit",
    "client_message",
    "client_outbox",
    "client_window",
    "client_period",
)


@pytest.fixture
async def pair(domain, tmp_path):
    """Alice and Bob in a conversation, and Carol, whom they do not know yet."""
    number = next(_number)
    members: dict = {}
    for name in ("alice", "bob", "carol"):
        members[name] = await MemberDevice.create_account(
            tmp_path / name,
            domain.url,
            f"{name}-d{number}",
            demonstration=True,
            genesis=domain.genesis,
        )
    members["talk"] = await members["alice"].create_conversation("", [members["bob"].handle])
    await members["bob"].sync()
    yield members
    for name in ("alice", "bob", "carol"):
        await members[name].close()


def through(member, change):
    """Has `change(path, body)` say what the service is made to answer to each request."""
    service = member.session.service
    honest = service._exchange

    async def exchange(url, endpoint, path, *rest):
        return change(path, await honest(url, endpoint, path, *rest))

    service._exchange = exchange
    return lambda: setattr(service, "_exchange", honest)


def altered(fragment, change):
    return lambda path, body: (
        cbor.encode(change(cbor.decode(body, 1 << 26))) if fragment in path else body
    )


def kept(member):
    with member.session.store() as store:
        # the tables above
        return {
            table: store.device.execute(f"SELECT * FROM {table}")  # noqa: S608
            for table in TABLES
        }


def forget_lists(member):
    member.session.directory.expire()


@pytest.mark.parametrize(
    "garble",
    [
        lambda b: b[:-1],
        lambda b: b + b"\0",
        lambda b: b"",
        lambda b: b"\xff" * 64,
        lambda b: b"\x80",
    ],
)
@pytest.mark.parametrize(
    "fragment",
    ["/events", "/inbox", "/v1/charter", "/v1/keysets", "/v1/accounts/", "/v1/log/", "/v1/clock"],
)
async def test_a_garbled_answer_changes_nothing(pair, fragment, garble):
    alice, bob = pair["alice"], pair["bob"]
    await alice.send(pair["talk"], "hello")
    forget_lists(bob)
    if fragment in ("/v1/log/", "/v1/keysets"):
        # so that there is something to look up and to prove
        with bob.session.transaction() as store:
            store.device.execute("DELETE FROM client_account")
    before = kept(bob)
    restore = through(bob, lambda path, body: garble(body) if fragment in path else body)
    try:
        await bob.sync()
    except CountersealError as error:
        assert error.code[0] in "EMTD" or error.code == "error", error
        assert error.message.endswith(".")
    same = [
        table
        for table in TABLES
        if table not in ("client_setting", "client_account", "client_account_device")
    ]
    after = kept(bob)
    if fragment == "/events":
        assert [after[table] for table in same] == [before[table] for table in same]
    restore()
    forget_lists(bob)
    counts = await bob.sync()
    assert (counts.shown, counts.refused, counts.pending) == (1, 0, 0)


async def test_another_first_charter_is_refused(domain, pair, tmp_path):
    """M7."""
    other = world.statement(
        msgspec.structs.replace(domain.charters[0].charter, retention=world.DAY), *world.QUORUM
    )
    changed = altered("/v1/charters", lambda rows: [[other, 0], *rows[1:]])
    bob = pair["bob"]
    forget_lists(bob)
    before = kept(bob)
    restore = through(bob, changed)
    with pytest.raises(Refused, match="M7"):
        await bob.sync()
    assert kept(bob) == before
    restore()
    with pytest.raises(Refused, match="not the one given"):
        await MemberDevice.create_account(
            tmp_path / "eve", domain.url, "eve", demonstration=True, genesis="00" * 32
        )
    assert not (tmp_path / "eve").exists()
    with pytest.raises(Refused, match="C17"):
        await MemberDevice.create_account(
            tmp_path / "eve", domain.url, "eve", genesis=domain.genesis
        )
    assert not (tmp_path / "eve").exists()


async def test_an_older_charter_in_force_is_refused(domain, pair):
    """M3."""
    bob = pair["bob"]
    first = domain.charters[0].statement
    domain.publish_charter(domain.next_charter(retention=100 * 86_400))
    domain.publish_keyset(domain.keysets[-1].keyset.quarter)
    forget_lists(bob)
    await bob.sync()
    forget_lists(bob)
    restore = through(
        bob, lambda path, body: cbor.encode([first]) if path == "/v1/charter" else body
    )
    with pytest.raises(Refused, match="M3"):
        await bob.sync()
    restore()


async def test_another_account_in_the_place_of_the_one_asked_for(pair):
    """M8, D5: neither the chain nor the handle can be swapped."""
    alice, carol, bob = pair["alice"], pair["carol"], pair["bob"]
    mallory = await alice.session.service.call(ACCOUNT, account=bob.account)
    restore = through(
        alice,
        lambda path, body: (
            ACCOUNT.encode_answer(mallory)
            if path == f"/v1/accounts/{carol.account.hex()}"
            else body
        ),
    )
    with pytest.raises(Refused, match="another account"):
        await alice.add(pair["talk"], [carol.handle])
    restore()

    def swapped(answer):
        return [bob.account, *answer[1:]]

    restore = through(alice, altered(f"/v1/handles/{carol.handle}", swapped))
    with pytest.raises(Refused, match="D5"):
        await alice.add(pair["talk"], [carol.handle])
    restore()
    await alice.add(pair["talk"], [carol.handle])


async def test_a_key_package_of_another_device_is_not_used(pair):
    """M2: no ghost comes in by way of the claim."""
    alice, bob, carol = pair["alice"], pair["bob"], pair["carol"]
    await carol.sync()
    asked = ClaimKeyPackages((bob.device,))
    [claimed] = (await alice.session.service.call(KEY_PACKAGES_CLAIM, asked)).rows
    other = claimed.package
    restore = through(
        alice, altered("/claim", lambda rows: [[device, other] for device, _ in rows])
    )
    with pytest.raises(Refused, match="M2"):
        await alice.add(pair["talk"], [carol.handle])
    restore()
    with alice.session.store() as store:
        assert len(store.device.group_view(pair["talk"]).roster) == 2


async def test_a_chain_that_loses_its_end_is_refused(pair):
    """M8: a revocation cannot be taken back by showing less."""
    alice, bob = pair["alice"], pair["bob"]
    restore = through(
        bob,
        altered(f"/v1/accounts/{alice.account.hex()}", lambda answer: [*answer[:2], answer[2][:1]]),
    )
    with pytest.raises(Refused, match="M8"):
        await bob.session.directory.accounts.learn(alice.account)
    restore()


async def test_a_log_that_shows_another_history_is_refused(pair):
    """T9, T10, T29: the largest checkpoint ever seen has to be a prefix of what is shown."""
    bob = pair["bob"]
    with bob.session.transaction() as store:
        origin, size, root = cbor.decode(store.settings.checkpoint, 4096)
        store.settings.checkpoint = cbor.encode([origin, size, bytes(32)])
        store.device.execute("DELETE FROM client_account")
    with pytest.raises(Refused, match=r"T29|T10"):
        await bob.session.directory.accounts.learn(pair["alice"].account)
    with bob.session.transaction() as store:
        store.settings.checkpoint = cbor.encode([origin, size, root])
    flipped = altered("/v1/log/proof/", lambda a: [a[0], a[1], [bytes(32), *a[2][1:]], a[3]])
    restore = through(bob, flipped)
    with pytest.raises(Refused, match=r"T9|T11"):
        await bob.session.directory.accounts.learn(pair["alice"].account)
    restore()

    def one_witness_less(answer):
        head, lines = answer[3].split("\n\n")
        others = [line for line in lines.split("\n") if line and "gazette" not in line]
        return [*answer[:3], head + "\n\n" + "\n".join(others) + "\n"]

    restore = through(bob, altered("/v1/log/proof/", one_witness_less))
    with pytest.raises(Refused, match="T8"):
        await bob.session.directory.accounts.learn(pair["alice"].account)
    restore()
    await bob.session.directory.accounts.learn(pair["alice"].account)


async def test_a_frame_left_out_is_noticed(pair):
    alice, bob = pair["alice"], pair["bob"]
    for text in ("one", "two", "three"):
        await alice.send(pair["talk"], text)
    restore = through(
        bob, altered("/events", lambda page: [[e for e in page[0] if e[0] != 3], page[1]])
    )
    with pytest.raises(Refused, match="left out event 3"):
        await bob.sync()
    restore()
    assert (await bob.sync()).shown == 3


async def test_a_frame_that_was_replaced_is_shown_as_refused_and_a_gap_as_a_gap(pair):
    """F1: what MLS refuses; the next frame's `prev` tells that one is missing."""
    alice, bob, talk = pair["alice"], pair["bob"], pair["talk"]
    for text in ("one", "two", "three"):
        await alice.send(talk, text)

    def flip(page):
        return [
            [
                [n, kind, time, m[:-1] + bytes([m[-1] ^ 1]) if n == 3 else m]
                for n, kind, time, m in page[0]
            ],
            page[1],
        ]

    restore = through(bob, altered("/events", flip))
    counts = await bob.sync()
    restore()
    assert (counts.shown, counts.refused) == (2, 1)
    lines = [line for line in bob.entries(talk) if line.state != "note"]
    assert [(line.state, line.text, line.rule, line.gap) for line in lines] == [
        ("shown", "one", None, 0),
        ("refused", "", "F1", 0),
        ("shown", "three", None, 1),
    ]
    await bob.send(talk, "I missed one")
    assert (await alice.sync()).shown == 1


async def test_a_commit_that_was_altered_ends_the_conversation_with_a_sentence(pair):
    """M6: nothing of it is kept, and nothing more is sent."""
    alice, bob, carol, talk = pair["alice"], pair["bob"], pair["carol"], pair["talk"]
    await alice.add(talk, [carol.handle])

    def flip(page):
        return [
            [
                [n, kind, time, m[:-1] + bytes([m[-1] ^ 1]) if kind == 1 else m]
                for n, kind, time, m in page[0]
            ],
            page[1],
        ]

    restore = through(bob, altered("/events", flip))
    await bob.sync()
    restore()
    with bob.session.store() as store:
        assert store.conversations.state(talk) == "broken"
        assert len(store.device.group_view(talk).roster) == 2
    assert "[M6]" in bob.entries(talk)[-1].text
    with pytest.raises(CountersealError, match="broken"):
        await bob.send(talk, "hello?")


async def test_an_invitation_that_was_altered_is_not_followed(pair):
    """M4, M6."""
    bob, carol = pair["bob"], pair["carol"]
    other = await carol.create_conversation("", [bob.handle])

    def flip(page):
        return [
            [[n, k, c, w[:-1] + bytes([w[-1] ^ 1]), tree, at] for n, k, c, w, tree, at in page[0]]
        ]

    restore = through(bob, altered("/inbox", flip))
    await bob.sync()
    restore()
    with bob.session.store() as store:
        assert store.conversations.state(other) == "refused"
        assert other not in store.device.groups()
    await bob.sync()


async def test_an_answer_without_end_is_cut(pair):
    """E4."""
    bob = pair["bob"]
    import aiohttp.web

    async def endless(request):
        response = aiohttp.web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"\0" * 65536)
        return response

    async def failing(_):
        return aiohttp.web.Response(status=500, text="<html>no</html>")

    app = aiohttp.web.Application()
    app.router.add_get("/v1/clock", endless)
    app.router.add_get("/v1/key-packages", failing)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    honest, bob.session.service.url = bob.session.service.url, f"http://127.0.0.1:{port}"
    try:
        with pytest.raises(Refused, match="E4"):
            await bob.session.service.call(CLOCK)
        with pytest.raises(Unavailable, match="status 500"):
            await bob.session.service.call(KEY_PACKAGES)
    finally:
        bob.session.service.url = honest
        await runner.cleanup()


async def test_a_frame_whose_inclusion_cannot_be_proved_stays_pending(domain, pair):
    """F11, P3, P4, P6."""
    alice, bob, talk = pair["alice"], pair["bob"], pair["talk"]
    await alice.session.now(fresh=True)
    await alice.send(talk, "in time")
    domain.next_period()
    for change in (
        lambda a: [a[0], [bytes(32), *a[1]], *a[2:]],
        lambda a: [*a[:2], [a[2][0] + 1, a[2][1] + 1], *a[3:]],
        lambda a: [*a[:3], [bytes(32), *a[3]], *a[4:]],
        lambda a: [cbor.encode([cbor.tag("stamp"), bytes(32), 1]), *a[1:]],
        lambda a: [*a[:6], a[6] + 1],
    ):
        restore = through(bob, altered("/inclusion/", change))
        counts = await bob.sync()
        assert (counts.pending, counts.shown) == (1, 0)
        restore()
    assert (await bob.sync()).shown == 1
