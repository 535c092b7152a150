"""Notes, checkpoints and cosignatures (rules T1 to T8, T29, T30)."""

import struct

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.support.refusals import refused

from counterseal.protocol.entry import LoggedEntry, entry_hash
from counterseal.tlog.checkpoint import (
    Checkpoint,
    check_fresh,
    cosignature_message,
    follow,
    log_keys,
    parse_checkpoint,
    subtree_message,
    verify_checkpoint,
    verify_cosigned,
    verify_logged,
    witness_keys,
)
from counterseal.tlog.cosigned_note import add_signatures, cosign_note
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.note import ReceivedNote, SignatureLine, parse_note
from counterseal.tlog.prove import ReceivedInclusion, make_consistency, make_inclusion
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.tree import leaf_hash

ORIGIN = "chat.example.org/log"


def pair(seed):
    return Ed25519PrivateKey.from_private_bytes(
        bytes([seed]) * 32
    ), MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)


LOG = LogSigner(ORIGIN, *pair(1))
WITNESSES = [WitnessSigner(f"witness{i}.example", *pair(10 + i)) for i in range(4)]
KEYS = [w.keys for w in WITNESSES]
TREE = MemoryTree(leaf_hash(b"%d" % i) for i in range(9))
CHECKPOINT = Checkpoint(ORIGIN, 9, TREE.root())


def cosigned(*times, checkpoint=CHECKPOINT):
    note = LOG.sign(checkpoint, 5)
    for witness, time in zip(WITNESSES, times, strict=False):
        if time:
            note = add_signatures(note, witness.sign(checkpoint, time))
    return note


def test_a_note_comes_back_byte_for_byte():
    data = cosigned(100, 200).format()
    assert parse_note(data).format() == data
    assert parse_checkpoint(parse_note(data).text) == CHECKPOINT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAE=",
        b"text\n\n- name AAAAAAE=\n",
        b"text\n\n\xe2\x80\x94 name\n",
        b"text\n\n\xe2\x80\x94 na+me AAAAAAE=\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAE\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAF=\n",
        b"text\n\n\xe2\x80\x94 name AAAAAA==\n",
        b"te\rxt\n\n\xe2\x80\x94 name AAAAAAE=\n",
        b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAE=\n",
        b"text\n\n" + b"\xe2\x80\x94 name AAAAAAE=\n" * 101,
        b"x" * 1_000_001,
    ],
)
def test_T1_no_note(data):
    with refused("T1"):
        parse_note(data)


def test_T2_two_keys_that_are_no_pair():
    with refused("T2"):
        witness_keys([KEYS[0].texts()[0], KEYS[1].texts()[1]])
    with refused("T2"):
        log_keys([LOG.keys.texts()[0]])
    with refused("C7"):
        log_keys(KEYS[0].texts())
    assert log_keys(LOG.keys.texts()) == LOG.keys
    assert witness_keys(KEYS[0].texts()) == KEYS[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n1\nAAAA\n",
        "\n1\n" + "A" * 43 + "=\n",
        "o\n01\n" + "A" * 43 + "=\n",
        "o\n-1\n" + "A" * 43 + "=\n",
        "o\n²\n" + "A" * 43 + "=\n",
        "o\n9223372036854775808\n" + "A" * 43 + "=\n",
        "o\n1\n" + "A" * 43 + "=\nextension\n",
        "o\n1\n" + "A" * 43 + "=",
    ],
)
def test_T3_no_checkpoint(text):
    with refused("T3"):
        parse_checkpoint(text)


def test_T4_a_known_key_whose_signature_does_not_verify():
    other = Checkpoint(ORIGIN, 8, TREE.root())
    for place in (0, 1):
        lines = list(LOG.sign(CHECKPOINT, 5).signatures)
        lines[place] = LOG.sign(other, 5).signatures[place]
        with refused("T4"):
            verify_checkpoint(ReceivedNote(CHECKPOINT.text(), tuple(lines)), LOG.keys)
    bad = ReceivedNote(
        CHECKPOINT.text(), LOG.sign(CHECKPOINT, 5).signatures + WITNESSES[0].sign(other, 9)
    )
    with refused("T4"):
        verify_cosigned(bad, LOG.keys, KEYS, 1)


def test_T5_one_of_the_logs_signatures_is_not_enough():
    note = LOG.sign(CHECKPOINT, 5)
    for line in note.signatures:
        with refused("T5"):
            verify_checkpoint(ReceivedNote(note.text, (line,)), LOG.keys)


def test_T6_another_log():
    with refused("T6"):
        verify_checkpoint(LOG.sign(msgspec.structs.replace(CHECKPOINT, origin="else"), 5), LOG.keys)


def test_T7_a_cosignature_without_a_time_or_of_another_length():
    lines = WITNESSES[0].sign(CHECKPOINT, 0)
    with refused("T7"):
        verify_cosigned(add_signatures(LOG.sign(CHECKPOINT, 5), lines), LOG.keys, KEYS, 1)
    short = tuple(
        SignatureLine(s.name, s.key_id, s.signature[:-1]) for s in WITNESSES[0].sign(CHECKPOINT, 9)
    )
    with refused("T7"):
        verify_cosigned(add_signatures(LOG.sign(CHECKPOINT, 5), short), LOG.keys, KEYS, 1)


def test_T8_a_witness_counts_once_and_with_both_keys():
    with refused("T8"):
        verify_cosigned(cosigned(100), LOG.keys, KEYS, 2)
    half = add_signatures(cosigned(100), WITNESSES[1].sign(CHECKPOINT, 100)[:1])
    with refused("T8"):
        verify_cosigned(half, LOG.keys, KEYS, 2)
    with refused("T8"):
        verify_cosigned(cosigned(100), LOG.keys, KEYS, 0)
    with refused("T8"):
        verify_cosigned(cosigned(100), LOG.keys, [KEYS[0], KEYS[0]], 2)


def test_time_is_the_earliest_of_the_c_latest():
    note = cosigned(400, 100, 300, 200)
    assert [verify_cosigned(note, LOG.keys, KEYS, c).time for c in (1, 2, 3, 4)] == [
        400,
        300,
        200,
        100,
    ]


def test_a_witness_has_the_earlier_of_its_two_times():
    early, late = WITNESSES[0].sign(CHECKPOINT, 100), WITNESSES[0].sign(CHECKPOINT, 900)
    note = add_signatures(LOG.sign(CHECKPOINT, 5), (early[0], late[1]))
    assert verify_cosigned(note, LOG.keys, KEYS, 1).time == 100


def test_T23_an_answer_that_lacks_a_cosignature():
    note = LOG.sign(CHECKPOINT, 5)
    with refused("T23"):
        cosign_note(note, CHECKPOINT, KEYS[0], WITNESSES[0].sign(CHECKPOINT, 9)[:1])
    with refused("T23"):
        cosign_note(note, CHECKPOINT, KEYS[0], WITNESSES[1].sign(CHECKPOINT, 9))
    extra = WITNESSES[0].sign(CHECKPOINT, 9) + WITNESSES[1].sign(CHECKPOINT, 9)
    assert len(cosign_note(note, CHECKPOINT, KEYS[0], extra).signatures) == 4


def test_T29_a_log_that_goes_back_or_forks():
    old = Checkpoint(ORIGIN, 6, MemoryTree(leaf_hash(b"%d" % i) for i in range(6)).root())
    new = verify_cosigned(cosigned(100), LOG.keys, KEYS, 1)
    path = make_consistency(6, 9, TREE).path
    assert follow(old, new, path) is follow(None, new) is follow(CHECKPOINT, new) is new
    with refused("T10"):
        follow(old, new, ())
    with refused("T29"):
        follow(Checkpoint(ORIGIN, 10, bytes(32)), new)
    with refused("T29"):
        follow(Checkpoint(ORIGIN, 9, bytes(32)), new)
    with refused("T6"):
        follow(Checkpoint("else", 9, bytes(32)), new)


def test_T30_an_old_checkpoint():
    new = verify_cosigned(cosigned(100), LOG.keys, KEYS, 1)
    assert check_fresh(new, 3700, 3600) is new
    with refused("T30"):
        check_fresh(new, 3701, 3600)


def test_a_statement_is_proved_to_be_in_the_log():
    entries = [entry_hash(b"statement %d" % i) for i in range(5)]
    tree = MemoryTree(leaf_hash(entry) for entry in entries)
    note = LOG.sign(Checkpoint(ORIGIN, 5, tree.root()), 5)
    checkpoint = verify_checkpoint(note, LOG.keys).checkpoint
    proof = ReceivedInclusion.decode(make_inclusion(3, 5, tree).encode())
    logged = verify_logged(entries[3], 3, proof.path, checkpoint)
    assert logged == LoggedEntry.of(b"statement 3", 3)
    with refused("T9"):
        verify_logged(entries[2], 3, proof.path, checkpoint)
    with refused("T9"):
        verify_logged(entries[3], 2, proof.path, checkpoint)
    with refused("T9"):
        verify_logged(entries[3], 3, make_inclusion(3, 4, tree).path, checkpoint)
    with refused("T11"):
        verify_logged(entries[3], 5, proof.path, checkpoint)
    with refused("E1"):
        ReceivedInclusion.decode(b"")


def test_what_cosignatures_sign():
    text = "cosignature/v1\ntime 7\nchat.example.org/log\n9\n"
    assert cosignature_message(CHECKPOINT, 7).decode().startswith(text)
    assert subtree_message("w", 7, "log", 0, 9, b"R" * 32) == (
        b"subtree/v1\n\x00"
        b"\x01w" + struct.pack(">Q", 7) + b"\x03log" + struct.pack(">QQ", 0, 9) + b"R" * 32
    )
