"""Each file of a bag is tampered with in turn, as somebody would who can also rewrite every
manifest; the sentence has to name it.
"""

import hashlib
import json
import shutil

import bagit
import pytest
from tests.support import bag as e
from tests.support import world as w

from counterseal.evidence.verify import verify_bag
from counterseal.protocol import cose, release
from counterseal.protocol.errors import BadInput, NotFound


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bag, and the scene that it came from."""
    place = tmp_path_factory.mktemp("bags") / "bag"
    scene = e.Scene()
    scene.package(place)
    return place, scene


@pytest.fixture
def bag(made, tmp_path):
    place = tmp_path / "bag"
    shutil.copytree(made[0], place)
    return place


def check(bag):
    return verify_bag(bag, e.key_texts())


def rules(bag):
    return {fault.rule for fault in check(bag).faults}


def assert_found(bag, rule, *words):
    """One of the faults has this rule and says these words."""
    sentences = check(bag).sentences
    assert any(f" {rule} " in one and all(word in one for word in words) for one in sentences), (
        sentences
    )


def window_files(bag):
    return sorted((bag / "data" / "windows").rglob("*.cbor"))


# a bag that stands


def test_a_good_bag_stands(bag):
    verdict = check(bag)
    assert (verdict.sentences, verdict.remarks) == ([], ())
    assert (verdict.tally.windows, verdict.tally.messages) == (2, 5)


def test_another_program_finds_a_valid_bag(bag):
    bagit.Bag(str(bag)).validate()


def test_messages_are_those_of_the_warrant_every_character_the_same(bag):
    lines = [json.loads(line) for line in (bag / "data/messages.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == [
        text for name, hour, _, text in e.TEXTS if name == "Alice" and hour < 2
    ]
    assert {line["sender"] for line in lines} == {"Alice \U0001f98a"}
    assert lines[0]["sent_at"] == "2027-01-15T08:05:00Z"
    assert list(lines[1]) == [
        "sent_at",
        "sender",
        "account",
        "conversation",
        "text",
        "window",
        "seq",
    ]


def test_a_conversation_has_both_sides_in_order(tmp_path):
    scene = e.Scene("conversation")
    scene.package(tmp_path / "bag")
    lines = [
        json.loads(line) for line in (tmp_path / "bag/data/messages.jsonl").read_text().splitlines()
    ]
    wanted = [text for _, hour, _, text in e.TEXTS if hour < 2]
    assert sorted(line["text"] for line in lines) == sorted(wanted)
    assert [line["text"] for line in lines if line["sent_at"] < "2027-01-15T08:09"] == wanted[:1]
    assert check(tmp_path / "bag").faults == ()


# keys (B1)


@pytest.mark.parametrize(
    "given",
    [[], e.key_texts()[:4], e.key_texts()[:2] + e.key_texts()[4:], e.key_texts()[1:], ["nonsense"]],
)
def test_without_the_keys_nothing_is_said(bag, given):
    with pytest.raises(BadInput) as refused:
        verify_bag(bag, given)
    assert refused.value.code == "B1"
    assert refused.value.exit_status == 2


def test_keys_that_the_charter_does_not_name(bag):
    stranger = e.signer_of("stranger.example", e.WitnessSigner).keys.texts()
    assert any(fault.rule == "B1" for fault in verify_bag(bag, [*e.key_texts(), *stranger]).faults)


def test_too_few_witnesses_keys(bag):
    assert any(fault.rule == "B1" for fault in verify_bag(bag, e.key_texts()[:-2]).faults)


def test_a_folder_that_is_no_bag(tmp_path):
    with pytest.raises(NotFound):
        verify_bag(tmp_path, e.key_texts())


# the bag's own form (B2): whatever is touched is named, also without rewriting manifests


def payload(made):
    return sorted(p.relative_to(made[0]).as_posix() for p in made[0].rglob("*") if p.is_file())


def test_every_byte_counts(made, tmp_path):
    for name in payload(made):
        place = tmp_path / hashlib.sha256(name.encode()).hexdigest()
        shutil.copytree(made[0], place)
        data = bytearray((place / name).read_bytes())
        data[len(data) // 2] ^= 1
        (place / name).write_bytes(data)
        assert any(name in sentence for sentence in check(place).sentences), name
        shutil.rmtree(place)


def test_every_file_is_missed(made, tmp_path):
    for name in payload(made):
        if name == "manifest-sha256.txt":  # without it the folder is no bag at all
            continue
        place = tmp_path / hashlib.sha256(name.encode()).hexdigest()
        shutil.copytree(made[0], place)
        (place / name).unlink()
        assert any(name in sentence for sentence in check(place).sentences), name
        shutil.rmtree(place)


def test_an_added_file_is_named(bag):
    (bag / "data/windows/extra.txt").write_text("x")
    (bag / "notes.txt").write_text("x")
    assert_found(bag, "B2", "data/windows/extra.txt", "added")
    assert_found(bag, "B2", "notes.txt", "added")


def test_a_link_is_not_followed(bag, tmp_path):
    original = bag / "data/messages.jsonl"
    (tmp_path / "elsewhere").write_bytes(original.read_bytes())
    original.unlink()
    original.symlink_to(tmp_path / "elsewhere")
    assert_found(bag, "B2", "data/messages.jsonl", "missing")


def test_a_name_that_climbs_out(bag):
    with (bag / "manifest-sha256.txt").open("a") as manifest:
        manifest.write(f"{'0' * 64}  data/../../etc/passwd\n")
    assert_found(bag, "B2", "manifest-sha256.txt", "no digest and name")


# content, with manifests that fit again: the material itself has to show it


def test_rewritten_manifests_are_not_what_the_opener_signed(bag):
    with (bag / "data/README.txt").open("a") as file:
        file.write("P.S.")
    e.rewrite_manifests(bag)
    assert_found(bag, "B19", "evidence digest")


def test_an_edited_text(bag):
    path = bag / "data/messages.jsonl"
    path.write_bytes(path.read_bytes().replace(b"noon", b"nine"))
    e.rewrite_manifests(bag)
    assert_found(bag, "B17", "line 1", "no frame gives this line")
    assert_found(bag, "B17", "frame 0 of window")


def test_a_dropped_line(bag):
    path = bag / "data/messages.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    e.rewrite_manifests(bag)
    faults = [fault for fault in check(bag).faults if fault.rule == "B17"]
    assert len(faults) == 1
    assert "frame 1 of window" in faults[0].sentence


def test_reordered_lines(bag):
    path = bag / "data/messages.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    e.rewrite_manifests(bag)
    assert_found(bag, "B17", "not in order")


def test_an_added_line_and_one_twice(bag):
    path = bag / "data/messages.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[0]]))
    e.rewrite_manifests(bag)
    assert_found(bag, "B17", "line 6")


def test_a_line_in_other_json_words(bag):
    path = bag / "data/messages.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seq": 1}', b'"seq":1}', 1))
    e.rewrite_manifests(bag)
    assert "B17" in rules(bag)


def test_a_name_that_was_changed(bag):
    path = bag / "data/names.json"
    path.write_text(path.read_text().replace("Alice", "Mallory"))
    e.rewrite_manifests(bag)
    assert {"B17", "B18", "B19"} <= rules(bag)


def test_a_transcript_that_says_something_else(bag):
    path = bag / "data/transcript.html"
    path.write_bytes(path.read_bytes().replace(b"noon", b"nine"))
    e.rewrite_manifests(bag)
    assert_found(bag, "B18", "transcript.html")


def test_counts_that_do_not_fit(bag):
    path = bag / "bag-info.txt"
    path.write_text(path.read_text().replace("Messages: 5", "Messages: 4"))
    e.rewrite_manifests(bag)
    assert_found(bag, "B18", "Counterseal-Messages")


def test_a_custody_record_that_is_none(bag):
    (bag / "data/custody.jsonl").write_text("{}\n")
    e.rewrite_manifests(bag)
    assert_found(bag, "B18", "custody.jsonl")


def test_a_window_that_was_removed(bag):
    window_files(bag)[0].unlink()
    e.rewrite_manifests(bag)
    assert_found(bag, "B11", "in a listing and not in the bag")


def test_two_windows_that_were_swapped(bag):
    first, second = window_files(bag)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    e.rewrite_manifests(bag)
    assert_found(bag, "B11", first.name[:16], "this file holds window")


def test_a_window_outside_the_scope_smuggled_in(made, tmp_path):
    scene = made[1]
    bag = tmp_path / "bag"
    shutil.copytree(made[0], bag)
    outside = next(
        one for one in scene.sent if one.person is scene.alice and one not in scene.listed
    )
    [file] = scene.build().windows([outside])
    folder = bag / "data/windows" / str(outside.label.opens)
    folder.mkdir()
    (folder / f"{outside.id.hex()}.cbor").write_bytes(file.encode())
    e.rewrite_manifests(bag)
    assert_found(bag, "B11", outside.id.hex()[:16], "in no listing")


def only_window(bag):
    return window_files(bag)[0].relative_to(bag / "data").as_posix()


def dropped_frame(file):
    file[6] = [*file[6][:1], *file[6][2:]]
    return file


def last_frame_gone(file):
    file[6] = file[6][:-1]
    return file


def frames_swapped(file):
    file[6] = [file[6][1], file[6][0], *file[6][2:]]
    return file


def other_stamp(file):
    file[6][0][1] += 1
    return file


def fewer_counted(file):
    file[4][0] -= 1
    file[6] = file[6][:-1]
    return file


@pytest.mark.parametrize(
    "change", [dropped_frame, last_frame_gone, frames_swapped, other_stamp, fewer_counted]
)
def test_frames_are_all_there_in_order_and_as_stamped(bag, change):
    name = only_window(bag)
    e.edit(bag, name, change)
    e.rewrite_manifests(bag)
    assert_found(bag, "B13", window_files(bag)[0].name[:16])


def test_another_counterseal(bag):
    name = only_window(bag)

    def change(file):
        file[3] = file[3][:-1] + bytes([file[3][-1] ^ 1])
        return file

    e.edit(bag, name, change)
    e.rewrite_manifests(bag)
    found = check(bag)
    assert any(fault.rule in ("B13", "B14", "B15", "B16") for fault in found.faults), (
        found.sentences
    )


def test_another_roster(bag):
    name = only_window(bag)

    def change(file):
        file[2] = file[2][:-1] + bytes([file[2][-1] ^ 1])
        return file

    e.edit(bag, name, change)
    e.rewrite_manifests(bag)
    assert_found(bag, "B12", "[L3]")


def without(word):
    def change(file):
        file[1] = [event for event in file[1] if word not in event[2]]
        return file

    return change


def test_a_release_that_was_removed(made, bag):
    """Every witness's release but one: the witnesses' quorum is gone."""
    releases = {
        name: statement
        for name, statement in made[1].ledger_statements()
        if name.startswith("release")
    }
    gone = [releases["release University"], releases["release Gazette"]]

    def change(file):
        file[1] = [event for event in file[1] if event[2] not in gone]
        return file

    e.edit(bag, "ledger/events.cbor", change)
    e.rewrite_manifests(bag)
    assert_found(bag, "B9", "Both quorums have not released")


@pytest.mark.parametrize(
    ("kind", "rule"), [("request", "B9"), ("approval", "B9"), ("listing", "B9")]
)
def test_an_event_that_was_removed(made, bag, kind, rule):
    statement = dict(made[1].ledger_statements())[kind]
    e.edit(bag, "ledger/events.cbor", without(statement))
    e.rewrite_manifests(bag)
    assert_found(bag, rule, "events.cbor")


def test_a_tick_that_was_removed(bag):
    def change(file):
        file[1] = file[1][1:]
        return file

    e.edit(bag, "ledger/events.cbor", change)
    e.rewrite_manifests(bag)
    assert_found(bag, "B8", "no time")


def test_another_salt(bag):
    def change(file):
        file[1][1][1] = bytes(32)
        return file

    e.edit(bag, "ledger/events.cbor", change)
    e.rewrite_manifests(bag)
    assert_found(bag, "B8", "leaf 1")


def test_an_event_at_another_place(bag):
    def change(file):
        file[1][1][0], file[1][2][0] = file[1][2][0], file[1][1][0]
        return file

    e.edit(bag, "ledger/events.cbor", change)
    e.rewrite_manifests(bag)
    assert {"B8", "B9"} & rules(bag)


def test_the_wrong_warrant(made, bag):
    other = w.statement(w.make_warrant(e.JUDGE.digest, account_ids=(made[1].bob.id,)), "Prosecutor")
    (bag / "data/order/warrant.cose").write_bytes(other)
    e.rewrite_manifests(bag)
    assert_found(bag, "B9", "data/order/warrant.cose is missing")


def test_the_wrong_approval(bag):
    (bag / "data/order/approval.cose").write_bytes(b"\x80")
    e.rewrite_manifests(bag)
    assert_found(bag, "B18", "order/approval.cose")


def test_shares_that_somebody_else_signed(made, bag):
    path = bag / "data/shares/0-0.cose"
    payload = cose.ReceivedSign.decode(path.read_bytes(), release.Shares.limit).payload
    path.write_bytes(cose.sign([w.signer("Bolt")], payload))
    e.rewrite_manifests(bag)
    assert_found(bag, "B14", "shares/0-0.cose", "[X4]")


def test_shares_that_are_too_few(bag):
    for position in (6, 7):
        (bag / f"data/shares/0-{position}.cose").unlink()
    e.rewrite_manifests(bag)
    assert_found(bag, "B14", "1 witnesses take part where 2 are needed")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("log/charters.cbor", "B5"),
        ("log/keysets.cbor", "B6"),
        ("log/accounts.cbor", "B7"),
        ("log/periods.cbor", "B13"),
    ],
)
def test_what_is_not_in_the_log(bag, name, rule):
    def change(file):
        row = file[1][0] if name != "log/accounts.cbor" else file[1][0][1][0]
        row[2] = [bytes(32), *row[2][1:]]
        return file

    e.edit(bag, name, change)
    e.rewrite_manifests(bag)
    assert_found(bag, rule, name)


def test_a_chain_without_the_device(bag):
    def change(file):
        for row in file[1]:
            row[1] = row[1][:1]
        return file

    e.edit(bag, "log/accounts.cbor", change)
    e.rewrite_manifests(bag)
    assert_found(bag, "B7", "its device")


@pytest.mark.parametrize("log", ["log", "ledger"])
def test_a_checkpoint_without_a_witness(made, bag, log):
    built = made[1].build()
    tree = built.log if log == "log" else built.ledger
    (bag / "data" / log / "checkpoint").write_bytes(tree.note(w.WITNESSES[:2]))
    e.rewrite_manifests(bag)
    assert_found(bag, "B4", f"data/{log}/checkpoint")


def test_a_report_by_somebody_else(bag):
    path = bag / "opening-report.cose"
    payload = cose.ReceivedSign.decode(path.read_bytes(), 1 << 20).payload
    path.write_bytes(cose.sign([w.signer("Bolt")], payload))
    e.rewrite_manifests(bag)
    assert_found(bag, "B19", "[X4]")


def test_garbage_in_each_file_is_a_sentence_and_not_a_trace(made, tmp_path):
    for name in payload(made):
        if not name.startswith("data/"):
            continue
        for number, garbage in enumerate((b"", b"\x80", b"\xff" * 40, b"{}\n")):
            place = tmp_path / f"{hashlib.sha256(name.encode()).hexdigest()}{number}"
            shutil.copytree(made[0], place)
            (place / name).write_bytes(garbage)
            e.rewrite_manifests(place)
            assert check(place).faults, name
            shutil.rmtree(place)
