"""The ledger's writer and reader (rules G1 to G12)."""

import hashlib
import random

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.support.refusals import refused

from counterseal.protocol.cbor import H, encode, tag
from counterseal.protocol.ledger_leaf import Opening, TickRecord
from counterseal.tlog.checkpoint import Checkpoint, CosignedCheckpoint
from counterseal.tlog.cosigned_note import add_signatures
from counterseal.tlog.errors import LedgerError, TlogError
from counterseal.tlog.ledger import (
    LAST,
    PART,
    WHOLE,
    Schedule,
    Segment,
    check_key,
    chunk_digest,
    decode_opening,
    item,
    open_chunk,
    parse_chunk,
)
from counterseal.tlog.ledger_reader import LedgerReader, ReaderState, Trust
from counterseal.tlog.ledger_writer import (
    LedgerWriter,
    Waiting,
    WriterState,
    build_chunk,
    check_statement,
    seal_chunk,
    write_tick,
)
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.tree import leaf_hash

ORIGIN = "chat.example.org/ledger"
ONE = Segment(0, b"k" * 32, 8, 16_384)


def seeded(seed=1):
    return random.Random(seed).randbytes


class Backlog:
    """A queue in memory that keeps what a service keeps: state, queue, chunks, leaves."""

    def __init__(self, *statements):
        self.state, self.queue, self.chunks, self.leaves = WriterState(), [], [], []
        self.taken = {}
        for statement in statements:
            self.add(statement)

    def add(self, statement):
        self.queue.append(Waiting(len(self.queue) + len(self.taken), statement))

    def load(self):
        return WriterState.decode(self.state.encode())

    def waiting(self):
        return self.queue

    def commit(self, tick):
        assert tick.first_leaf == len(self.leaves)
        assert tick.number == len(self.chunks)
        self.state = tick.state
        self.chunks.append(tick.chunk)
        self.leaves += tick.leaves
        self.taken |= dict(tick.placed)
        self.queue = [entry for entry in self.queue if entry.number not in self.taken]

    def checkpoint(self, time, size=None):
        size = len(self.leaves) if size is None else size
        root = MemoryTree(leaf_hash(leaf) for leaf in self.leaves[:size]).root()
        return CosignedCheckpoint(Checkpoint(ORIGIN, size, root), time, (), b"")


def run(backlog, ticks, schedule=None, start=1000, rng=None, log_size=0):
    writer = LedgerWriter(ORIGIN, schedule or Schedule([ONE]), backlog)
    rng = rng or seeded()
    for i in range(ticks):
        tick = writer.tick(start + 60 * i, log_size, rng)
        assert len(tick.leaves) == (schedule or Schedule([ONE])).segment(tick.number).leaves
    return backlog


def fed(backlog, schedule=None, state=None):
    reader = LedgerReader(ORIGIN, schedule or Schedule([ONE]), state)
    for number in range(reader.next_chunk, len(backlog.chunks)):
        reader.feed(number, backlog.chunks[number])
    return reader


def statements(entries):
    return [e.statement for e in entries if e.statement is not None]


def test_statements_come_out_as_they_went_in():
    sent = [b"warrant", b"", b"x" * 5_000, b"approval"]
    backlog = run(Backlog(*sent), 3)
    entries = fed(backlog).accept(backlog.checkpoint(1200), 1200, 3600)
    assert len(entries) == 24
    assert [e.index for e in entries] == list(range(24))
    assert statements(entries) == sent
    assert {e.time for e in entries if e.tick == 1} == {1060}
    assert all(entries[backlog.taken[n]].statement == s for n, s in enumerate(sent))


def test_an_outsider_sees_the_same_whatever_goes_on():
    busy, idle = run(Backlog(*[b"x" * 3_000] * 40), 5), run(Backlog(), 5)
    assert [len(c) for c in busy.chunks] == [len(c) for c in idle.chunks] == [16_400] * 5
    assert [len(leaf) for leaf in busy.leaves] == [len(leaf) for leaf in idle.leaves] == [32] * 40


def test_a_long_statement_spans_ticks_and_short_ones_pass_it():
    long = random.Random(2).randbytes(60_000)
    backlog = Backlog(long)
    run(backlog, 1)
    assert backlog.state.under_way is not None
    for i in range(4):
        backlog.add(b"short %d" % i)
    run(backlog, 1, start=1060)
    assert len(backlog.taken) == 4
    run(backlog, 4, start=1120)
    entries = fed(backlog).accept(backlog.checkpoint(1400), 1400, 3600)
    assert sorted(statements(entries)) == sorted([long, *(b"short %d" % i for i in range(4))])


def test_two_long_ones_follow_one_another_under_a_flood():
    flood = [b"f" * 900] * 300
    longs = [random.Random(n).randbytes(100_000) for n in range(2)]
    backlog = run(Backlog(*longs, *flood), 60)
    out = statements(fed(backlog).accept(backlog.checkpoint(9000), 9000, 9000))
    assert [s for s in out if len(s) > 900] == longs
    assert len(out) == 302


def test_a_reader_goes_on_from_its_saved_state_in_the_middle_of_a_statement():
    long = random.Random(3).randbytes(40_000)
    backlog = run(Backlog(long), 2)
    reader = fed(backlog)
    assert statements(reader.accept(backlog.checkpoint(1100), 1100, 3600)) == []
    run(backlog, 3, start=1120, rng=seeded(9))
    again = fed(backlog, state=ReaderState.decode(reader.state.encode()))
    assert statements(again.accept(backlog.checkpoint(1300), 1300, 3600)) == [long]


def test_a_checkpoint_in_between_hands_over_only_what_it_covers():
    backlog = run(Backlog(b"one"), 1)
    backlog.add(b"two")
    run(backlog, 1, start=1060)
    reader = fed(backlog)
    assert statements(reader.accept(backlog.checkpoint(1070, size=8), 1100, 3600)) == [b"one"]
    assert reader.accept(backlog.checkpoint(1075, size=8), 1100, 3600) == ()
    assert statements(reader.accept(backlog.checkpoint(1080), 1100, 3600)) == [b"two"]


def test_keys_change_with_leaves_and_batch():
    schedule = Schedule([ONE, Segment(2, b"n" * 32, 4, 4_096), Segment(5, b"m" * 32, 16, 8_192)])
    assert [schedule.first_leaf(n) for n in range(8)] == [0, 8, 16, 20, 24, 28, 44, 60]
    long = random.Random(4).randbytes(45_000)
    backlog = run(Backlog(long, b"short"), 8, schedule)
    out = fed(backlog, schedule).accept(backlog.checkpoint(1500), 1500, 3600)
    assert sorted(statements(out)) == sorted([long, b"short"])
    with pytest.raises(LedgerError):
        fed(backlog, Schedule([ONE]))


def test_G1_an_opening_that_does_not_open_its_leaf():
    backlog = run(Backlog(b"warrant"), 2)
    backlog.leaves[1] = bytes(32)
    reader = fed(backlog)
    with refused("G1"):
        reader.accept(backlog.checkpoint(1200), 1200, 3600)
    assert reader.next_chunk == 0  # what was fed is dropped, and a good copy may be fed


def test_G1_a_missing_opening():
    backlog = run(Backlog(b"warrant"), 2)
    reader = LedgerReader(ORIGIN, Schedule([ONE]))
    reader.feed(0, backlog.chunks[0])
    with refused("G1"):
        reader.accept(backlog.checkpoint(1200), 1200, 3600)
    assert reader.next_chunk == 1


@pytest.mark.parametrize("place", [0, 100, 16_399])
def test_G1_an_altered_chunk(place):
    chunk = bytearray(run(Backlog(b"warrant"), 1).chunks[0])
    chunk[place] ^= 1
    with refused("G1"):
        LedgerReader(ORIGIN, Schedule([ONE])).feed(0, bytes(chunk))


def test_G1_a_chunk_of_another_ledger_or_place():
    backlog = run(Backlog(), 2)
    with refused("G1"):
        open_chunk(ONE, "else/ledger", 0, backlog.chunks[0])
    with refused("G1"):
        open_chunk(ONE, ORIGIN, 1, backlog.chunks[0])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        encode([tag("opening"), bytes(31), None]),
        encode([tag("opening"), bytes(32), 5]),
        encode([tag("leaf"), bytes(32), None]),
        encode([tag("opening"), bytes(32)]),
        encode([tag("opening"), bytes(32), None]) + b"\0",
        encode(7),
    ],
)
def test_G1_no_opening(data):
    with refused("G1"):
        decode_opening(data)


def forged(items, number=0, segment=ONE):
    return seal_chunk(segment, ORIGIN, number, build_chunk(items, segment.batch))


def whole(statement, salt=bytes(32)):
    return item(WHOLE, Opening(salt, statement).encode())


RECORD = whole(TickRecord(0, 1000, None, 0).encode())


@pytest.mark.parametrize("count", [0, 1, 6, 8])
def test_G2_a_tick_with_another_number_of_leaves(count):
    with refused("G2"):
        LedgerReader(ORIGIN, Schedule([ONE])).feed(0, forged([RECORD] + [whole(None)] * count))


def test_G2_a_checkpoint_that_is_not_at_the_end_of_a_tick():
    backlog = run(Backlog(), 2)
    with refused("G2"):
        fed(backlog).accept(backlog.checkpoint(1200, size=9), 1200, 3600)


def test_G3_a_smaller_or_forked_checkpoint():
    backlog = run(Backlog(), 2)
    reader = fed(backlog)
    with refused("G3"):
        reader.accept(backlog.checkpoint(1200), 1200, 3600, at_least=17)
    reader.accept(backlog.checkpoint(1200), 1200, 3600)
    with refused("G3"):
        reader.accept(backlog.checkpoint(1300, size=8), 1300, 3600)
    fork = backlog.checkpoint(1300)
    fork = msgspec.structs.replace(
        fork, checkpoint=msgspec.structs.replace(fork.checkpoint, root=bytes(32))
    )
    with refused("G3"):
        reader.accept(fork, 1300, 3600)


def test_G4_a_checkpoint_that_is_not_fresh():
    backlog = run(Backlog(), 1)
    reader = fed(backlog)
    with refused("G4"):
        reader.accept(backlog.checkpoint(1200), 4801, 3600)
    assert len(reader.accept(backlog.checkpoint(1200), 4800, 3600)) == 8


def pair(seed):
    return Ed25519PrivateKey.from_private_bytes(
        bytes([seed]) * 32
    ), MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)


def test_G5_too_few_cosignatures():
    log, witness = LogSigner(ORIGIN, *pair(1)), WitnessSigner("w.example", *pair(2))
    backlog = run(Backlog(b"warrant"), 1)
    checkpoint = backlog.checkpoint(0).checkpoint
    note = log.sign(checkpoint, 1200)
    reader = fed(backlog)
    trust = Trust(log.keys, (witness.keys,), 1)
    with refused("G5"):
        reader.read_checkpoint(note.format(), trust)
    good = reader.read_checkpoint(
        add_signatures(note, witness.sign(checkpoint, 1250)).format(), trust
    )
    assert good.time == 1250
    assert statements(reader.accept(good, 1250, 3600)) == [b"warrant"]
    with refused("T6", kind=TlogError):
        LedgerReader("else/ledger", Schedule([ONE])).read_checkpoint(good.note, trust)
    with refused("T1", kind=TlogError):
        reader.read_checkpoint(b"", trust)


def test_G6_no_key_for_a_chunk():
    with refused("G6"):
        Schedule([ONE]).segment(-1)


@pytest.mark.parametrize("starts", [[], [1], [0, 0], [0, 5, 3]])
def test_G7_keys_that_do_not_follow(starts):
    with refused("G7"):
        Schedule([Segment(n, b"k" * 32, 8, 16_384) for n in starts])


def test_G7_another_key_than_was_committed_to():
    commitment = H([tag("ledger-key"), b"k" * 32])
    assert check_key(b"k" * 32, commitment) == b"k" * 32
    with refused("G7"):
        check_key(b"n" * 32, commitment)
    with refused("G7"):
        check_key(b"k" * 31, commitment)


def test_G8_times():
    backlog = run(Backlog(), 1, start=10_000)
    with refused("G8"):
        fed(backlog).accept(backlog.checkpoint(9_699), 9_699, 3600)
    reader = fed(backlog)
    reader.accept(backlog.checkpoint(11_000), 11_000, 3600)
    run(backlog, 1, start=10_699)
    with refused("G8"):
        fed(backlog, state=reader.state).accept(backlog.checkpoint(11_100), 11_100, 3600)
    first = forged([RECORD] + [whole(None)] * 7)
    record = whole(TickRecord(1, 999, chunk_digest(first), 0).encode())
    reader = LedgerReader(ORIGIN, Schedule([ONE]))
    reader.feed(0, first)
    with refused("G8"):
        reader.feed(1, forged([record] + [whole(None)] * 7, 1))


def test_g13_a_size_of_the_log_that_falls():
    first = forged([whole(TickRecord(0, 1000, None, 7).encode())] + [whole(None)] * 7)
    record = whole(TickRecord(1, 1000, chunk_digest(first), 6).encode())
    reader = LedgerReader(ORIGIN, Schedule([ONE]))
    reader.feed(0, first)
    with refused("G13"):
        reader.feed(1, forged([record] + [whole(None)] * 7, 1))


def test_a_writer_never_says_a_smaller_size_of_the_log():
    backlog = run(Backlog(), 1, log_size=7)
    reader = fed(run(backlog, 1, start=2000, log_size=3))
    entries = reader.accept(backlog.checkpoint(2000), 2000, 3600)
    assert {entry.log_size for entry in entries} == {7}
    assert ReaderState.decode(reader.state.encode()).log_size == 7


def test_a_writers_clock_that_goes_back_stands_still():
    backlog = run(Backlog(), 1, start=5000)
    run(backlog, 1, start=4000)
    assert {e.time for e in fed(backlog).accept(backlog.checkpoint(5000), 5000, 60)} == {5000}


@pytest.mark.parametrize(
    "plaintext",
    [
        b"\x04\x00\x00\x01x",
        b"\x01\x00\x00\x00",
        b"\x01\xff\xff\xff",
        b"\x00\x00\x00\x01",
        b"\x00" * 100 + b"\x01",
    ],
)
def test_G9_items(plaintext):
    with refused("G9"):
        parse_chunk(plaintext.ljust(16_384, b"\0"))


def test_G9_chunks():
    backlog = run(Backlog(), 2)
    reader = LedgerReader(ORIGIN, Schedule([ONE]))
    with refused("G9"):
        reader.feed(1, backlog.chunks[1])
    with refused("G9"):
        reader.feed(0, backlog.chunks[0][:-1])
    dummies = [whole(None)] * 7
    with refused("G9"):
        reader.feed(0, forged([item(LAST, b"end"), *dummies]))
    with refused("G9"):
        reader.feed(0, forged([whole(None), *dummies]))
    with refused("G9"):
        reader.feed(0, forged([whole(b"no record"), *dummies]))
    with refused("G9"):
        reader.feed(0, forged([whole(TickRecord(5, 1000, None, 0).encode()), *dummies]))
    with refused("G9"):
        reader.feed(0, forged([item(PART, b"x"), *dummies, RECORD]))
    reader.feed(0, backlog.chunks[0])
    with refused("G9"):
        reader.feed(0, backlog.chunks[0])


def test_G9_an_opening_that_never_ends():
    segment = Segment(0, b"k" * 32, 2, 1 << 23)
    flood = item(PART, b"x" * 4_200_000)
    with refused("G9"):
        LedgerReader(ORIGIN, Schedule([segment])).feed(
            0, forged([RECORD, whole(None), flood], segment=segment)
        )


@pytest.mark.parametrize(
    ("leaves", "batch"), [(1, 16_384), (8, 1_000), (129, 16_384), (8, (1 << 23) + 1), (0, 16_384)]
)
def test_G10_a_cadence_that_cannot_work(leaves, batch):
    with refused("G10"):
        Schedule([Segment(0, b"k" * 32, leaves, batch)])


def test_G10_a_statement_that_is_too_long():
    with refused("G10"):
        check_statement(bytes((4 << 20) + 1))


def test_G11_another_chunk_before():
    one, other = run(Backlog(), 2), run(Backlog(), 1, rng=seeded(7))
    reader = LedgerReader(ORIGIN, Schedule([ONE]))
    reader.feed(0, other.chunks[0])
    with refused("G11"):
        reader.feed(1, one.chunks[1])


def test_G12_a_statement_under_way_that_has_gone():
    backlog = run(Backlog(b"x" * 40_000), 1)
    with refused("G12"):
        write_tick(ORIGIN, Schedule([ONE]), backlog.state, [], 2000, 0, seeded())


def test_a_leaf_is_the_hash_of_salt_and_statement():
    opening = Opening(b"s" * 32, b"statement")
    assert (
        opening.leaf()
        == hashlib.sha256(encode(["counterseal/v1/leaf", b"s" * 32, b"statement"])).digest()
    )
    assert decode_opening(opening.encode()) == opening
