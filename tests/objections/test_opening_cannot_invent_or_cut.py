"""What has been said against exceptional access, where it touches the opening and its evidence.
Each objection is tried.
"""

import json

import pytest
from tests.support import bag as e
from tests.support import world as w

from counterseal import core
from counterseal.evidence.package import Unsound
from counterseal.evidence.verify import verify_bag
from counterseal.protocol import sign1
from counterseal.protocol.frame import Authenticated, Content, seal_frame


def texts(bag):
    return [
        json.loads(line)["text"] for line in (bag / "data/messages.jsonl").read_text().splitlines()
    ]


def of(scene, name):
    return next(one for one in scene.listed if one.person.name == name)


def test_whoever_can_decrypt_can_also_forge():
    """Abelson and others, "Keys under doormats", 2015, section 2.2: access by third parties breaks
    authenticity.

    Service, every holder and Bob together know Alice's window key. They make a message of hers with
    it, seal it into her window, stamp it and log it. It opens, and is refused: F7, her device did
    not sign it.
    """
    one = of(e.Scene(), "Alice")
    empty = Authenticated(one.id, e.cbor_digest(one.counterseal), 0, bytes(16), None, bytes(20))
    content = Content((one.label.opens + 5) * 1000, "text", "I did it.", ()).encode()
    forged = seal_frame(
        one.prk, empty, sign1.sign1(w.ed25519("Bob's phone"), content, empty.external)
    )
    message = e.private_message(one.label.conversation_id, forged.encode())
    [[opened]] = core.open_windows(
        [(one.label.encode(), e.cbor_digest(one.counterseal), one.prk, [message])], 1
    )
    assert (opened.content, opened.error) == (None, "F7")


def test_an_invented_message_is_in_no_evidence(tmp_path):
    """The same, with a dishonest service that has stamped and logged it: the bag reports the frame
    and gives no message.
    """
    scene = e.Scene()
    one = of(scene, "Alice")
    one.say("I did it.", one.label.opens + 3_000, 99, device="Bob's phone")
    written = scene.package(tmp_path / "bag")
    assert [(judged.window_id, judged.rule) for judged in written.judged] == [(one.id, "F7")]
    assert "I did it." not in texts(tmp_path / "bag")


def test_a_signed_message_cannot_be_moved_to_another_place(tmp_path):
    """Alice's own signed words, taken from one place and sealed at another: the signature is for
    one place.
    """
    scene = e.Scene()
    one = of(scene, "Alice")
    _, _, data = core.parse_private(one.frames[0].message)
    first = Authenticated.decode(data)
    from counterseal.protocol.frame import open_frame

    signed = open_frame(one.prk, first)
    place = Authenticated(
        one.id, first.seal_digest, len(one.frames), bytes(16), one.last.ct_digest, bytes(20)
    )
    one.last = seal_frame(one.prk, place, signed)
    message = e.private_message(one.label.conversation_id, one.last.encode())
    one.frames.append(type(one.frames[0])(99, one.label.opens + 3_000, message))
    written = scene.package(tmp_path / "bag")
    assert [judged.rule for judged in written.judged] == ["F7"]
    assert texts(tmp_path / "bag").count("Meet me at noon.") == 1


def test_evidence_can_be_cut_to_fit(tmp_path):
    """A message left out of the middle of a window: what was logged is the whole window."""
    scene = e.Scene()
    built = scene.build()
    one = of(scene, "Alice")
    one.frames = [one.frames[0], *one.frames[2:]]
    with pytest.raises(Unsound) as unsound:
        from counterseal.evidence.package import Package

        with Package(tmp_path / "bag") as package:
            for file in built.windows():
                package.add_window(file)
            package.finish(built.material(), e.keys(), w.signer("Opener"), [], e.APPROVED)
    assert any(
        fault.rule == "B13" and "one is missing" in fault.sentence for fault in unsound.value.faults
    )


def test_one_order_opens_everything(tmp_path):
    """A key that opens one window opens no other: neither another hour, nor another person's in the
    same hour.
    """
    scene = e.Scene("conversation")
    alice, bob = of(scene, "Alice"), of(scene, "Bob")
    for other in [bob, *(one for one in scene.sent if one is not alice)]:
        tasks = [
            (
                other.label.encode(),
                e.cbor_digest(other.counterseal),
                alice.prk,
                [f.message for f in other.frames],
            )
        ]
        with pytest.raises(core.CoreError) as refused:
            core.open_windows(tasks, 1)
        assert refused.value.code == "S5"


def test_custodians_can_open_without_a_trace(tmp_path):
    """All custodians without a witness: no share, no key."""
    scene = e.Scene()
    scene.holders = [name for name in w.ALL_HOLDERS if name not in w.WITNESSES]
    with pytest.raises(Unsound) as unsound:
        scene.package(tmp_path / "bag")
    assert any(fault.rule == "B9" for fault in unsound.value.faults)
    one = of(scene, "Alice")
    shares = core.split_shares(e.JUDGE.tree.encode(), one.prk)
    custodians = [(position, shares[position]) for position in range(e.JUDGE.tree.custodian_count)]
    with pytest.raises(core.CoreError) as refused:
        core.join_shares(e.JUDGE.tree.encode(), custodians)
    assert refused.value.code == "S4"


def test_the_court_has_to_take_the_companys_word(tmp_path):
    """Nothing in the bag is the service's word but the names, and the bag says so."""
    e.Scene().package(tmp_path / "bag")
    assert verify_bag(tmp_path / "bag", e.key_texts()).faults == ()
    readme = (tmp_path / "bag/data/README.txt").read_text()
    assert "a claim" in readme and "not from" in readme
