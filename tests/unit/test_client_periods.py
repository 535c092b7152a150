"""F11: a frame of a period that is over is shown when the logged period contains it."""

import msgspec
import pytest
from tests.support.refusals import refused

from counterseal.client.periods import check_frame, pack_pending, unpack_pending
from counterseal.protocol import cbor
from counterseal.protocol.errors import Refused
from counterseal.protocol.stamp import Stamp, message_digest
from counterseal.tlog.errors import PeriodError
from counterseal.tlog.period_tree import PeriodTree
from counterseal.wire.periods import FrameInclusion, TreePlace

DOMAIN, OPENS, CLOSES = "chat.example.org", 3600, 7200
WINDOW, OTHER = b"w" * 32, b"v" * 32
MESSAGES = [b"frame 0", b"frame 1", b"frame 2"]
STAMPS = [Stamp(message_digest(m), n, OPENS + n) for n, m in enumerate(MESSAGES, 1)]
TREE = PeriodTree(DOMAIN, OPENS, CLOSES, {WINDOW: STAMPS, OTHER: STAMPS[:1]}, None)


def inclusion(seq, **changes):
    proof = TREE.prove_frame(WINDOW, seq)
    answer = FrameInclusion(
        stamp=STAMPS[seq].encode(),
        frame_path=proof.path,
        frame=TreePlace(seq, len(STAMPS)),
        window_path=proof.window.path,
        window=TreePlace(proof.window.index, TREE.record.windows),
        root=TREE.record.encode(),
        log_index=9,
    )
    return msgspec.structs.replace(answer, **changes)


def check(answer, seq=1, window=WINDOW, opens=OPENS, domain=DOMAIN):
    return check_frame(domain, window, seq, opens, MESSAGES[seq], answer)


@pytest.mark.parametrize("seq", range(3))
def test_a_frame_is_proved(seq):
    assert check(inclusion(seq), seq) == TREE.record


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        (["P4"], {"stamp": STAMPS[0].encode()}),
        (["P6"], {"frame": TreePlace(0, 3)}),
        (["P3"], {"frame": TreePlace(1, 4)}),
        (["P4"], {"frame_path": ()}),
        (["P3"], {"frame_path": (bytes(32),) * 2}),
        (["P3"], {"window_path": (bytes(32),)}),
        (["P6"], {"window": TreePlace(0, 3)}),
        (["P3"], {"stamp": Stamp(message_digest(MESSAGES[1]), 7, OPENS).encode()}),
    ],
)
def test_what_is_altered_proves_nothing(rules, changes):
    with refused(*rules, kind=PeriodError):
        check(inclusion(1, **changes))


def test_of_another_domain_period_window_or_place():
    for other in ({"domain": "evil.example"}, {"opens": OPENS + 3600}, {"seq": 2}):
        with pytest.raises(PeriodError):
            check(inclusion(1), **other)
    with refused("P3", "P6", kind=PeriodError):
        check(inclusion(1), window=OTHER)


def test_what_a_pending_row_keeps():
    assert unpack_pending(pack_pending(b"message", OPENS)) == (b"message", OPENS)
    with pytest.raises(Refused, match="not as it was written"):
        unpack_pending(cbor.encode([b"message"]))
