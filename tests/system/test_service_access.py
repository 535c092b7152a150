"""The ledger, listings, shares, material, notices and periods, from a warrant to what an opener
fetches, over a real service.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.support import world
from tests.support.domain import Domain, running
from tests.support.person import Person
from tests.support.refusals import refused_by_service
from tests.support.waiting import until
from tests.support.world import DOMAIN

from counterseal.protocol import cbor
from counterseal.protocol.approval import Approval, Cancellation
from counterseal.protocol.cose import sign
from counterseal.protocol.keys import SealingKey, seal_to
from counterseal.protocol.keyset import ReceivedKeyset, open_ledger_key
from counterseal.protocol.notice import PADDED, SealedNotice
from counterseal.protocol.period import WindowFrames
from counterseal.protocol.release import Release, Shares, WindowShare, opener_key_hash, seal_shares
from counterseal.protocol.verified_charter import ReceivedCharter
from counterseal.protocol.warrant import Warrant
from counterseal.protocol.window import Label
from counterseal.tlog.checkpoint import log_keys
from counterseal.tlog.frame_proof import FrameProof
from counterseal.tlog.ledger import Schedule, Segment
from counterseal.tlog.ledger_reader import LedgerReader, Trust
from counterseal.tlog.periods import WindowProof, decode_period_root
from counterseal.tlog.tree import leaf_hash, node_hash

pytestmark = pytest.mark.system

WITNESS = len(world.CUSTODIANS)
"""The first witness's position."""


class Story(msgspec.Struct):
    """Two people who talked for two periods, and a warrant about one of them."""

    domain: Domain
    alice: Person
    bob: Person
    conversation: bytes
    windows: list[Any]
    messages: list[bytes]
    warrant: Warrant
    start: int

    @property
    def path(self) -> str:
        return f"/v1/warrants/{self.warrant.digest().hex()}"

    def listings(self, count: int) -> Any:
        """The warrant's listings, once there are so many."""
        path = self.path + "/listings"

        def ask() -> Any:
            rows = self.domain.institution(self.domain.opener, "GET", path)
            return rows if len(rows) >= count else None

        return until(ask)


def warrant_of(
    domain: Domain, person: Person, start: int, units: int = 5, until: int = 7200
) -> Warrant:
    now = int(time.time())
    return Warrant(
        DOMAIN,
        domain.charter.digest,
        (person.account,),
        start,
        start + until,
        "sent",
        None,
        "fraud",
        "normal",
        units,
        domain.opener_key.public,
        now + 3600,
        f"ref {units}",
        now,
    )


def tell(domain: Domain) -> Story:
    """Two people talk for a period, and there is a warrant for one of them."""
    alice, bob = Person(domain, "alice"), Person(domain, "bob")
    bob.packages()
    conversation, start = alice.create(), domain.now()
    alice.add(conversation, bob)
    bob.join()
    window = alice.open_window(conversation)
    messages = [alice.seal(window, f"message {i}") for i in range(5)]
    alice.send(conversation, *messages)
    bob.send(conversation, bob.seal(bob.open_window(conversation), "not asked for"))
    domain.step(start + 3600)
    return Story(
        domain,
        alice,
        bob,
        conversation,
        [window],
        messages,
        warrant_of(domain, alice, start),
        start,
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with running(tmp_path_factory.mktemp("access")) as domain:
        yield tell(domain)


def approve(domain: Domain, warrant: Warrant) -> None:
    """Request and approval into the ledger."""
    [digest] = domain.http.array("POST", "/v1/ledger", [sign([domain.requester], warrant.encode())])
    assert digest == warrant.digest()
    approval = Approval(DOMAIN, domain.charter.digest, digest, int(time.time()))
    domain.http.array("POST", "/v1/ledger", [sign([domain.approver], approval.encode())])


def release(story: Story, position: int, listing: bytes) -> None:
    domain = story.domain
    notices = () if position in world.CUSTODIANS else (bytes(32),)
    record = Release(
        DOMAIN,
        domain.charter.digest,
        story.warrant.digest(),
        listing,
        position,
        opener_key_hash(domain.opener_key.public),
        notices,
    )
    domain.http.array("POST", "/v1/ledger", [sign([domain.holders[position]], record.encode())])


def hand_over(story: Story, position: int, listing: bytes, by: int | None = None) -> Any:
    shares = Shares(
        DOMAIN,
        story.warrant.digest(),
        listing,
        position,
        (WindowShare(story.windows[0].window_id, bytes(32)),),
    )
    holder = story.domain.holders[position if by is None else by]
    sealed = seal_shares(holder, shares, story.domain.opener_key.public)
    return (
        story.domain.institution(
            holder, "POST", story.path + "/shares", [sign([holder], sealed.encode())]
        )
        == ()
    )


def test_whole_access(story: Story) -> None:
    """Approved, listed, fetched by holders with proofs, released, handed over, fetched by the
    opener.
    """
    domain = story.domain
    assert domain.institution(domain.opener, "GET", story.path + "/listings") == ()
    approve(domain, story.warrant)
    ((number, listing, count),) = story.listings(1)
    assert (number, count) == (0, 1)
    record, rows = until(
        lambda: domain.institution(domain.holders[0], "GET", story.path + "/listings/0/holder/0")
    )
    label, _, sealed, seal_digest, proof, root, _ = rows[0]
    assert Label.decode(label).account_id == story.alice.account
    assert (len(sealed[0]), len(sealed[1]), len(sealed[2])) == (1120, 48, 32)
    frames = WindowFrames(Label.decode(label).window_id, proof[0], proof[1])
    WindowProof(frames, proof[2], proof[4]).verify(decode_period_root(root), frames.window_id)
    assert (proof[0], seal_digest) == (5, story.windows[0].seal_digest)
    assert cbor.decode(record, 1 << 20)[0].endswith("/listing")
    with refused_by_service(422, "R10"):
        hand_over(story, 0, listing)
    for position in world.CUSTODIANS:
        release(story, position, listing)
    for position in world.CUSTODIANS:
        assert until(lambda position=position: hand_over(story, position, listing))
    with refused_by_service(422, "R10"):
        hand_over(story, WITNESS, listing)
    release(story, WITNESS, listing)
    assert until(lambda: hand_over(story, WITNESS, listing))
    with refused_by_service(422, "X4"):
        hand_over(story, 1, listing, by=0)
    [shares] = domain.institution(domain.opener, "GET", story.path + "/shares")
    assert len(shares) == WITNESS + 1
    [row] = domain.institution(domain.opener, "GET", story.path + "/listings/0/material")
    assert [message for _, _, message in row[4]] == story.messages


def test_holders_and_openers_see_their_own(story: Story) -> None:
    domain = story.domain
    story.listings(1)
    path = story.path + "/listings/0/holder/1"
    with refused_by_service(403, "other-holder"):
        domain.institution(domain.holders[0], "GET", path)
    with refused_by_service(403, "not-an-opener"):
        domain.institution(domain.holders[0], "GET", story.path + "/listings/0/material")
    with refused_by_service(401, "no-authorization"):
        domain.http.array("GET", path)
    stranger = type(domain.requester).generate()
    with refused_by_service(401, "unknown-institution"):
        domain.institution(stranger, "GET", path)


def test_later_windows_are_listed_as_their_periods_close(story: Story) -> None:
    before = len(story.listings(1))
    window = story.alice.open_window(story.conversation, 2)
    story.alice.send(story.conversation, story.alice.seal(window, "again"))
    story.domain.step(story.start + 7200)
    assert story.listings(before + 1)[-1][2] == 1


def test_units_bound_the_listing(story: Story) -> None:
    """R8: a warrant that declares one unit gets one, of the two periods in its span."""
    narrow = warrant_of(story.domain, story.alice, story.start, units=1)
    approve(story.domain, narrow)
    story_of = msgspec.structs.replace(story, warrant=narrow)
    rows = story_of.listings(1)
    time.sleep(2.5)
    assert story_of.listings(1) == rows
    assert rows[0][2] == 1


def test_cancelled_warrant_gets_no_further_listing(story: Story) -> None:
    wide = warrant_of(story.domain, story.alice, story.start, units=9, until=14_400)
    approve(story.domain, wide)
    story_of = msgspec.structs.replace(story, warrant=wide)
    rows = story_of.listings(1)
    cancellation = Cancellation(
        DOMAIN, story.domain.charter.digest, wide.digest(), "enough", int(time.time())
    )
    story.domain.http.array(
        "POST", "/v1/ledger", [sign([story.domain.requester], cancellation.encode())]
    )
    until(lambda: story.domain.backlog == 0)
    time.sleep(2)
    window = story.alice.open_window(story.conversation, 3)
    story.alice.send(story.conversation, story.alice.seal(window, "after the end"))
    story.domain.step(story.start + 10_800)
    time.sleep(2)
    assert story_of.listings(1) == rows


def test_unapproved_warrant_gets_nothing(story: Story) -> None:
    alone = warrant_of(story.domain, story.bob, story.start, units=2)
    story.domain.http.array("POST", "/v1/ledger", [sign([story.domain.requester], alone.encode())])
    time.sleep(2.5)
    assert (
        story.domain.institution(
            story.domain.opener, "GET", f"/v1/warrants/{alone.digest().hex()}/listings"
        )
        == ()
    )


def test_ledger_takes_no_strangers_statement(story: Story) -> None:
    warrant = warrant_of(story.domain, story.alice, story.start, units=3)
    stranger = type(story.domain.requester).generate()
    post = story.domain.http.array
    with refused_by_service(422, "X4"):
        post("POST", "/v1/ledger", [sign([stranger], warrant.encode())])
    with refused_by_service(422):
        post("POST", "/v1/ledger", [b"\x80"])
    with refused_by_service(422, "E5"):
        post("POST", "/v1/ledger", [story.domain.charter.statement])


def test_ledger_opens_for_its_reader_up_to_the_checkpoint(story: Story) -> None:
    """G1 to G11: everything in it is opened and proved by tlog's own reader, the ledger key taken
    from the keyset.
    """
    domain = story.domain
    approve(domain, warrant_of(domain, story.alice, story.start, units=4))
    charter = ReceivedCharter.decode(domain.charter.statement).check(None)
    ((_, statement, _),) = domain.http.array("GET", f"/v1/keysets/{domain.charter.digest.hex()}")
    keyset = ReceivedKeyset.decode(statement).check(charter, None)
    key = open_ledger_key(domain.reader_key, keyset, 0)
    reader = LedgerReader(
        f"{DOMAIN}/ledger", Schedule([Segment(0, key, 4, domain.charter.charter.ledger.batch)])
    )
    until(lambda: domain.backlog == 0)
    time.sleep(1.5)
    note = domain.http.raw("GET", "/ledger/checkpoint")[1]
    trust = Trust(
        log_keys(domain.identity["ledger"]), tuple(w.signer.keys for w in domain.witnesses), 3
    )
    received = reader.read_checkpoint(note, trust)
    for number in range(received.checkpoint.size // 4):
        status, chunk, _ = domain.http.raw("GET", f"/ledger/chunk/{number}")
        assert (status, len(chunk)) == (200, domain.charter.charter.ledger.batch + 16)
        reader.feed(number, chunk)
    entries = reader.accept(received, int(time.time()), 3600)
    statements = [entry.statement for entry in entries if entry.statement is not None]
    assert len(entries) == received.checkpoint.size
    assert len(statements) >= 2


def test_notices_come_from_witnesses_alone(story: Story) -> None:
    domain = story.domain
    sealed = SealedNotice(
        seal_to(SealingKey.generate().public, [cbor.tag("notice-seal"), DOMAIN], bytes(PADDED))
    ).encode()
    witness, custodian = domain.holders[WITNESS], domain.holders[0]
    [index] = domain.institution(witness, "POST", "/v1/notices", [sealed, WITNESS])
    assert domain.institution(witness, "POST", "/v1/notices", [sealed, WITNESS]) == (index,)
    with refused_by_service(403, "not-a-witness"):
        domain.institution(custodian, "POST", "/v1/notices", [sealed, 0])
    with refused_by_service(403, "not-a-witness"):
        domain.institution(witness, "POST", "/v1/notices", [sealed, WITNESS + 1])
    assert domain.http.array("GET", f"/v1/notices?after={index - 1}") == ((index, sealed),)


def test_notice_key_for_witnesses(story: Story) -> None:
    domain = story.domain
    path = f"/v1/accounts/{story.alice.account.hex()}/notice-key"
    assert domain.institution(domain.holders[WITNESS], "GET", path) == (
        story.alice.account_statement,
    )


def test_steps_go_forward_and_need_the_token(story: Story) -> None:
    domain = story.domain
    with refused_by_service(409, "clock"):
        domain.step(domain.now() - 1)
    with refused_by_service(401, "operator"):
        domain.http.array("POST", "/v1/operator/clock", [domain.now()])
    header = {"Authorization": "Bearer " + "x" * 43}
    with refused_by_service(401, "operator"):
        domain.http.array("GET", "/v1/operator/drained", None, header)


def test_frames_of_a_period_that_is_logged(story: Story) -> None:
    """V3: what the root does not count is not taken, though the window's grace is not over by the
    stepped clock.
    """
    window = story.alice.open_window(story.conversation, 20)
    story.alice.send(story.conversation, story.alice.seal(window, "in time"))
    late = story.alice.seal(window, "late")
    story.domain.step(story.domain.now() + 3600)
    assert story.alice.send(story.conversation, late)[1][0] == "V3"


def test_inclusion_proof_of_a_frame(story: Story) -> None:
    """P3, P4: one frame, its window, its period, as tlog verifies them."""
    window = story.windows[0]
    path = f"/v1/conversations/{story.conversation.hex()}/inclusion/{window.window_id.hex()}/3"
    stamp, window_path, (seq, count), period_path, (index, size), record, log_index = (
        story.bob.call("GET", path)
    )
    root = decode_period_root(record)
    frames = WindowFrames(window.window_id, count, window_root_of(stamp, window_path, seq, count))
    _, _, n, time_ = cbor.decode(stamp, 200)
    proof = FrameProof(seq, n, time_, window_path, WindowProof(frames, index, period_path))
    proof.verify(root, window.window_id, 3, story.messages[3])
    assert size == root.windows
    rows = story.domain.http.array("GET", f"/v1/periods?after={log_index - 1}")
    assert rows[0] == (log_index, record)
    missing = path[:-1] + "99"
    with refused_by_service(404, "frame"):
        story.bob.call("GET", missing)


def window_root_of(stamp: bytes, path: tuple[bytes, ...], seq: int, count: int) -> bytes:
    """The root that a frame's path leads to."""
    node, place, last = leaf_hash(stamp), seq, count - 1
    for sibling in path:
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    return node


def test_refusals_leave_no_error_in_the_operators_log(story: Story) -> None:
    errors = [
        line
        for line in story.domain.process.output.splitlines()
        if "ERROR" in line or "Traceback" in line
    ]
    assert errors == []
