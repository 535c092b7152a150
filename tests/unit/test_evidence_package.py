"""What stops a bag from being written, what is reported in it instead, and who is named."""

import json
import os

import pytest
from tests.support import bag as e
from tests.support import world as w

from counterseal import core
from counterseal.evidence.package import Package, Unsound
from counterseal.evidence.verify import verify_bag
from counterseal.protocol import frame, window_key
from counterseal.protocol.errors import Conflict

EXACTLY = ["Amaro", "Chen", "Dede", "University", "Gazette"]


def check(bag):
    return verify_bag(bag, e.key_texts())


def faults_of(scene, tmp_path):
    with pytest.raises(Unsound) as error:
        scene.package(tmp_path / "bag")
    assert list(tmp_path.iterdir()) == []  # nothing is left behind
    return [str(fault) for fault in error.value.faults]


def alone(scene):
    """Alice's first window of those listed."""
    return next(one for one in scene.listed if one.person is scene.alice)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(Conflict):
        Package(tmp_path / "bag")


def test_exactly_a_quorum_is_enough(tmp_path):
    scene = e.Scene()
    scene.holders = EXACTLY
    scene.package(tmp_path / "bag")
    assert check(tmp_path / "bag").faults == ()


@pytest.mark.parametrize("gone", EXACTLY)
def test_one_less_than_a_quorum_is_not(tmp_path, gone):
    scene = e.Scene()
    scene.holders = [name for name in EXACTLY if name != gone]
    assert any("B9" in fault for fault in faults_of(scene, tmp_path))


def test_a_false_share_is_named_and_the_others_open(tmp_path):
    """S3: the quorum is one of good shares."""
    scene = e.Scene()
    scene.false["Amaro"] = {alone(scene).id}
    written = scene.package(tmp_path / "bag")
    assert written.tally.messages == 5
    [remark] = written.remarks
    assert "Amaro" in remark and "[S3]" in remark
    verdict = check(tmp_path / "bag")
    assert verdict.faults == () and verdict.remarks == written.remarks


@pytest.mark.parametrize("liar", EXACTLY)
def test_with_exactly_a_quorum_the_false_share_still_names_its_holder(tmp_path, liar):
    """S3, S4: nothing can be joined, and everybody learns through whom."""
    scene = e.Scene()
    scene.holders = EXACTLY
    scene.false[liar] = {alone(scene).id}
    [fault] = faults_of(scene, tmp_path)
    assert f"False ones came from {liar}" in fault and "B14" in fault


def test_a_holder_who_says_mismatch_falsely(tmp_path):
    scene = e.Scene()
    scene.null["Dede"] = {alone(scene).id}
    written = scene.package(tmp_path / "bag")
    assert any("Dede" in remark and "that word was false" in remark for remark in written.remarks)


def test_a_key_that_differs_from_the_counterseals(tmp_path):
    """S2: the sender sealed other shares than its key gives; holders then say "mismatch" or give
    what was sealed.
    """
    scene = e.Scene()
    one = alone(scene)
    other = window_key.derive_prk(one.label, w.seed("another K"))
    one.counterseal = one.seal(other)  # what holders can open joins to another prk
    one.frames, one.last = [], None
    one.say("For the members only", one.label.opens + 60, 1)
    one.prk = other
    written = scene.package(tmp_path / "bag")
    [judged] = written.judged
    assert (judged.window_id, judged.rule) == (one.id, "S5")
    assert one.label.device_key.hex()[:16] in judged.sentence
    assert written.tally.unread == 1
    verdict = check(tmp_path / "bag")
    assert verdict.faults == ()
    assert any("[S5]" in remark for remark in verdict.remarks)


def test_a_counterseal_that_is_not_what_its_key_makes(tmp_path):
    """S2: the shares join, yet one sealed share holds something else for its holder."""
    scene = e.Scene()
    one = alone(scene)
    record = core_counterseal(one)
    spoilt = record.sealed[0].ciphertext[:-1] + bytes([record.sealed[0].ciphertext[-1] ^ 1])
    import msgspec

    first = msgspec.structs.replace(record.sealed[0], ciphertext=spoilt)
    one.counterseal = msgspec.structs.replace(record, sealed=(first, *record.sealed[1:])).encode()
    one.frames, one.last = [], None
    one.say("Bad seal", one.label.opens + 60, 1)
    scene.null["Amaro"] = {one.id}
    written = scene.package(tmp_path / "bag")
    assert [(j.window_id, j.rule) for j in written.judged] == [(one.id, "S2")]
    lines = (tmp_path / "bag/data/messages.jsonl").read_text()
    assert "Bad seal" not in lines  # no member's app showed it either
    assert check(tmp_path / "bag").faults == ()


def core_counterseal(one):
    from counterseal.protocol.counterseal import Counterseal

    return Counterseal.decode(one.counterseal)


def test_another_counterseal_shown_blames_neither_sender_nor_holder(tmp_path):
    """The frames, stamped and logged, name the true one."""
    scene = e.Scene()
    one = alone(scene)
    one.counterseal = one.seal(w.seed("prk of nobody"))
    faults = faults_of(scene, tmp_path)
    assert any("B13" in fault and "[F5]" in fault for fault in faults)
    assert not any("False ones" in fault for fault in faults)


def test_a_message_that_the_device_did_not_sign(tmp_path):
    """F7: service, custodians and another member together know the key, and cannot sign for
    Alice.
    """
    scene = e.Scene()
    one = alone(scene)
    one.say("I confess.", one.label.opens + 3000, 99, device="Bob's phone")
    written = scene.package(tmp_path / "bag")
    assert [(j.window_id, j.rule) for j in written.judged] == [(one.id, "F7")]
    texts = [
        json.loads(line)["text"]
        for line in (tmp_path / "bag/data/messages.jsonl").read_text().splitlines()
    ]
    assert "I confess." not in texts and len(texts) == 5
    assert written.tally.unread == 1
    assert check(tmp_path / "bag").faults == ()


def test_a_fault_that_the_report_does_not_name(tmp_path):
    """B16: an opener who leaves out what it found."""
    scene = e.Scene()
    one = alone(scene)
    one.say("I confess.", one.label.opens + 3000, 99, device="Bob's phone")
    scene.package(tmp_path / "bag")
    from counterseal.protocol import cose, report

    path = tmp_path / "bag/opening-report.cose"
    record = report.OpeningReport.decode(
        cose.ReceivedSign.decode(path.read_bytes(), 1 << 20).payload
    )
    import msgspec

    path.write_bytes(
        cose.sign([w.signer("Opener")], msgspec.structs.replace(record, faults=()).encode())
    )
    e.rewrite_manifests(tmp_path / "bag")
    assert any(fault.rule == "B16" for fault in check(tmp_path / "bag").faults)


def test_a_message_dated_outside_its_window(tmp_path):
    """F10."""
    scene = e.Scene()
    one = alone(scene)
    content = frame.Content((one.label.closes + 5) * 1000, "text", "later", ())
    assert content.sent_at_ms
    one.say("x", one.label.closes + 5, 99)
    written = scene.package(tmp_path / "bag")
    assert [j.rule for j in written.judged] == ["F10"]


def test_windows_outside_the_scope_stop_everything(tmp_path):
    """B12: a listing that both quorums released, against all rules."""
    scene = e.Scene()
    outside = next(one for one in scene.sent if one.person is scene.bob)
    scene.listed = [*scene.listed, outside]
    assert any("B12" in fault and "[R2]" in fault for fault in faults_of(scene, tmp_path))


def test_windows_after_the_period(tmp_path):
    """B12, R3."""
    scene = e.Scene()
    scene.listed = [one for one in scene.sent if one.person is scene.alice]
    assert any("B12" in fault and "[R3]" in fault for fault in faults_of(scene, tmp_path))


def test_a_release_before_the_window_was_closed(tmp_path):
    """B12, R5: an open window's key would read on."""
    scene = e.Scene()
    built = scene.build()
    assert built.windows()
    before = e.APPROVED
    e.APPROVED = w.T0 + e.HOUR + 200
    try:
        faults = faults_of(e.Scene(), tmp_path)
    finally:
        e.APPROVED = before
    assert any("[R5]" in fault for fault in faults)


@pytest.mark.parametrize("skipped", ["approval", "request", "listing"])
def test_events_that_are_missing(tmp_path, skipped):
    scene = e.Scene()
    scene.skip_events = {skipped}
    assert any(fault.startswith("B9") for fault in faults_of(scene, tmp_path))


def test_a_witness_that_released_before_the_custodians(tmp_path):
    """R10 is a fault of order."""
    scene = e.Scene()
    scene.holders = ["University", "Amaro", "Chen", "Dede", "Gazette"]
    assert any(fault.startswith("B9") and "[R10]" in fault for fault in faults_of(scene, tmp_path))


def test_an_unratified_urgent_warrant_is_not_exported(tmp_path):
    """O4."""
    scene = e.Scene()
    import msgspec

    scene.warrant = msgspec.structs.replace(scene.warrant, urgency="urgent", ground="threat")
    scene.skip_events = {"approval"}
    assert any("[O4]" in fault for fault in faults_of(scene, tmp_path))


def test_a_report_by_another_opener(tmp_path):
    scene = e.Scene()
    scene.package(tmp_path / "bag", signer="Bolt")
    assert any(fault.rule == "B19" for fault in check(tmp_path / "bag").faults)


def test_core_and_reference_agree_on_the_frames(tmp_path):
    """The bag's frames open with the plain reference too."""
    one = alone(e.Scene())
    [opened] = core.open_windows(
        [
            (
                one.label.encode(),
                e.cbor_digest(one.counterseal),
                one.prk,
                [f.message for f in one.frames],
            )
        ],
        1,
    )
    for sent, got in zip(one.frames, opened, strict=True):
        _, _, data = core.parse_private(sent.message)
        authenticated = frame.Authenticated.decode(data)
        signed = frame.open_frame(one.prk, authenticated)
        assert (
            frame.verify_content(signed, authenticated, one.label.device_key).encode()
            == got.content
        )


def test_what_a_cut_off_run_left_is_removed(tmp_path):
    """Half a bag holds private messages; the folder of a run that still goes on is let be."""
    for owner in (2**22 + 1, os.getpid()):  # Linux gives no process a number above 2**22
        (tmp_path / f".bag.{owner}.x.part" / "data").mkdir(parents=True)
    e.Scene().package(tmp_path / "bag")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".bag.{os.getpid()}.x.part", "bag"]
    assert (tmp_path / "bag").stat().st_mode & 0o77 == 0
