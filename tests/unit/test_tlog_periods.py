"""Period roots and the proofs under them (rules P1 to P6)."""

import msgspec
from tests.support.refusals import refused

from counterseal.protocol.cbor import encode
from counterseal.protocol.period import LoggedWindow, PeriodRoot
from counterseal.protocol.stamp import Stamp, message_digest
from counterseal.tlog.frame_proof import decode_frame_proof, window_root_from
from counterseal.tlog.period_chain import check_period_root
from counterseal.tlog.period_tree import PeriodTree
from counterseal.tlog.periods import decode_period_root, decode_window_proof, verify_window

DOMAIN = "chat.example.org"
OPENS, CLOSES = 3600 * 100, 3600 * 101


def frames(window, count):
    return [b"%s %d" % (window, i) for i in range(count)]


SIZES = {bytes([i]) * 32: i for i in (9, 1, 5, 2)}
WINDOWS = {
    w: [Stamp(message_digest(m), 10 + i, OPENS + i) for i, m in enumerate(frames(w, n))]
    for w, n in SIZES.items()
}
TREE = PeriodTree(DOMAIN, OPENS, CLOSES, WINDOWS, None)


def test_every_frame_is_proved():
    period = check_period_root(decode_period_root(TREE.record.encode()), DOMAIN, 3600, None)
    assert period.windows == 4
    for window, count in SIZES.items():
        assert (
            decode_window_proof(TREE.prove_window(window).encode()).verify(period, window).count
            == count
        )
        for seq, message in enumerate(frames(window, count)):
            proof = decode_frame_proof(TREE.prove_frame(window, seq).encode())
            verified = proof.verify(period, window, seq, message)
            assert (verified.stamp.time, verified.count) == (OPENS + seq, count)


def test_P1_no_period_root():
    with refused("P1"):
        decode_period_root(b"")
    with refused("P1"):
        decode_period_root(
            encode(["counterseal/v1/period-root", DOMAIN, OPENS, CLOSES, 0, bytes(32), None])
        )
    for opens, closes in ((OPENS + 1, CLOSES + 1), (OPENS, CLOSES + 3600)):
        with refused("P1"):
            check_period_root(
                msgspec.structs.replace(TREE.record, opens=opens, closes=closes), DOMAIN, 3600, None
            )


def test_P2_stamps_and_windows():
    window = bytes(32)
    for stamps in (
        [],
        [Stamp(bytes(32), 1, OPENS - 1)],
        [Stamp(bytes(32), 1, CLOSES + 300)],
        [Stamp(bytes(31), 1, OPENS)],
    ):
        with refused("P2"):
            PeriodTree(DOMAIN, OPENS, CLOSES, {window: stamps}, None)
    with refused("P2"):
        PeriodTree(DOMAIN, OPENS, CLOSES, {}, None)
    assert (
        PeriodTree(
            DOMAIN, OPENS, CLOSES, {window: [Stamp(bytes(32), 1, CLOSES + 299)]}, None
        ).record.windows
        == 1
    )
    proof = msgspec.structs.replace(TREE.prove_frame(bytes([5]) * 32, 0), time=CLOSES + 300)
    with refused("P2"):
        proof.verify(TREE.record, bytes([5]) * 32, 0, b"")


def test_P3_a_window_that_is_not_in_the_period():
    window = bytes([5]) * 32
    with refused("P3"):
        TREE.prove_window(bytes(32))
    with refused("P3"):
        decode_window_proof(b"")
    proof = TREE.prove_window(window)
    more = msgspec.structs.replace(proof, frames=msgspec.structs.replace(proof.frames, count=6))
    for wrong in (
        more,
        msgspec.structs.replace(proof, index=0),
        msgspec.structs.replace(proof, path=()),
    ):
        with refused("P3"):
            wrong.verify(TREE.record, window)
    with refused("P3"):
        proof.verify(msgspec.structs.replace(TREE.record, root=bytes(32)), window)


def test_P4_a_frame_that_is_not_in_the_window():
    window = bytes([5]) * 32
    proof = TREE.prove_frame(window, 2)
    with refused("P4"):
        proof.verify(TREE.record, window, 2, b"another message")
    with refused("P4"):
        msgspec.structs.replace(proof, time=proof.time + 1).verify(
            TREE.record, window, 2, frames(window, 5)[2]
        )
    with refused("P4"):
        msgspec.structs.replace(proof, n=proof.n + 1).verify(
            TREE.record, window, 2, frames(window, 5)[2]
        )
    with refused("P4"):
        msgspec.structs.replace(proof, seq=3).verify(TREE.record, window, 3, frames(window, 5)[2])
    with refused("P4"):
        TREE.prove_frame(window, 5)
    with refused("P4"):
        decode_frame_proof(b"")


def test_a_window_that_is_proved_is_logged():
    window = bytes([5]) * 32
    proof = TREE.prove_window(window)
    verified = verify_window(TREE.record, proof.frames, proof.index, 4, proof.path)
    assert verified == LoggedWindow(proof.frames, TREE.record)
    with refused("P3"):
        verify_window(TREE.record, proof.frames, proof.index + 1, 4, proof.path)
    with refused("R6"):
        verify_window(TREE.record, proof.frames, proof.index, 5, proof.path)


def test_P4_the_root_that_a_frames_path_leads_to():
    window = bytes([5]) * 32
    stamps, proof = WINDOWS[window], TREE.prove_frame(window, 2)
    root = proof.window.frames.root
    assert window_root_from(stamps[2], 2, 5, proof.path) == root
    assert window_root_from(stamps[1], 2, 5, proof.path) != root
    with refused("P4"):
        window_root_from(stamps[2], 2, 5, proof.path[:-1])
    with refused("P4"):
        window_root_from(stamps[2], 2, 5, (*proof.path, bytes(32)))
    with refused("P4"):
        window_root_from(stamps[2], 5, 5, proof.path)


def test_P5_roots_follow_one_another():
    window = {bytes(32): [Stamp(bytes(32), 1, CLOSES)]}
    after = PeriodTree(DOMAIN, CLOSES, CLOSES + 3600, window, TREE.record.digest()).record
    assert check_period_root(after, DOMAIN, 3600, TREE.record) is after
    with refused("P5"):
        check_period_root(after, DOMAIN, 3600, None)
    other = msgspec.structs.replace(after, previous=bytes(32))
    with refused("P5"):
        check_period_root(other, DOMAIN, 3600, TREE.record)
    back = PeriodTree(DOMAIN, OPENS, CLOSES, WINDOWS, TREE.record.digest()).record
    with refused("P5"):
        check_period_root(back, DOMAIN, 3600, TREE.record)


def test_P6_another_domain_window_or_frame():
    window, other = bytes([5]) * 32, bytes([9]) * 32
    with refused("P6"):
        check_period_root(TREE.record, "else.example", 3600, None)
    with refused("P6"):
        TREE.prove_window(window).verify(TREE.record, other)
    with refused("P6"):
        TREE.prove_frame(window, 1).verify(TREE.record, window, 2, frames(window, 5)[2])


def test_windows_are_ordered_by_id_whatever_order_they_come_in():
    assert (
        PeriodTree(DOMAIN, OPENS, CLOSES, dict(reversed(WINDOWS.items())), None).record
        == TREE.record
    )
    assert isinstance(TREE.record, PeriodRoot)
