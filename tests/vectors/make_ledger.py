"""Writes tlog_ledger.json: chunks of a ledger under two keys, and what a reader makes of them."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

from counterseal.protocol.keyset import ledger_key_commitment
from counterseal.protocol.ledger_leaf import Opening, TickRecord
from counterseal.tlog.ledger import (
    LAST,
    WHOLE,
    Schedule,
    Segment,
    chunk_digest,
    decode_opening,
    item,
    open_chunk,
    parse_chunk,
)
from counterseal.tlog.ledger_writer import (
    Waiting,
    WriterState,
    build_chunk,
    seal_chunk,
    write_tick,
)
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.tree import leaf_hash

HERE = Path(__file__).parent
ORIGIN = "chat.example.org/ledger"
SEGMENTS = (Segment(0, b"k" * 32, 4, 2_048), Segment(3, b"n" * 32, 6, 2_048))
SCHEDULE = Schedule(SEGMENTS)
STATEMENTS = (b"a warrant", b"an approval", random.Random(3).randbytes(3_500))
TICKS, TIME = 6, 1_310


def write_ledger_stream() -> None:
    """The file, if it is missing."""
    path = HERE / "tlog_ledger.json"
    if not path.exists():
        path.write_text(json.dumps(_vectors(), indent=1) + "\n")


def _vectors() -> dict[str, object]:
    rng, state = random.Random(5).randbytes, WriterState()
    queue = [Waiting(number, data) for number, data in enumerate(STATEMENTS)]
    chunks: list[bytes] = []
    leaves: list[bytes] = []
    placed: dict[int, tuple[int, int]] = {}
    for number in range(TICKS):
        tick = write_tick(ORIGIN, SCHEDULE, state, queue, 1_010 + 60 * number, 40 + number, rng)
        for one, index in tick.placed:
            placed[one] = index, number
        queue = [one for one in queue if one.number not in placed]
        chunks.append(tick.chunk)
        leaves += tick.leaves
        state = tick.state
    assert not queue
    return {
        "what": "Chunks of a ledger under two keys, up to a checkpoint",
        "origin": ORIGIN,
        "segments": [
            {
                "first_chunk": one.first_chunk,
                "key": one.key.hex(),
                "leaves": one.leaves,
                "batch": one.batch,
            }
            for one in SEGMENTS
        ],
        "commitments": [ledger_key_commitment(one.key).hex() for one in SEGMENTS],
        "leaves": [leaf.hex() for leaf in leaves],
        "statements": [
            {
                "index": index,
                "tick": tick_number,
                "statement": base64.b64encode(STATEMENTS[number]).decode(),
            }
            for number, (index, tick_number) in sorted(placed.items())
        ],
        "cases": _cases(chunks, leaves),
    }


def _cases(chunks: list[bytes], leaves: list[bytes]) -> list[dict[str, object]]:
    root = MemoryTree(leaf_hash(leaf) for leaf in leaves).root()

    def case(
        why: str, expect: str, given: list[bytes] = chunks, **changes: object
    ) -> dict[str, object]:
        return {
            "why": why,
            "chunks": [base64.b64encode(chunk).decode() for chunk in given],
            "size": len(leaves),
            "root": root.hex(),
            "time": TIME,
            "now": TIME,
            "fresh": 3_600,
            "expect": expect,
            **changes,
        }

    altered = bytes([chunks[2][0] ^ 1]) + chunks[2][1:]
    record, dummy = _record(chunks[0]), item(WHOLE, Opening(bytes(32), None).encode())
    digest = chunk_digest(chunks[0])
    shorter = TickRecord(1, 1_070, digest, 39)
    return [
        case("three statements, one over several ticks, and a change of key", "ok"),
        case("a chunk is missing at the end", "G1", chunks[:-1]),
        case("the root is over other leaves", "G1", root=MemoryTree().root().hex()),
        case("a chunk was altered", "G1", [*chunks[:2], altered, *chunks[3:]]),
        case("a leaf too few in a tick", "G2", [_sealed(0, [record, dummy, dummy])]),
        case("a checkpoint inside a tick", "G2", size=7),
        case("stale", "G4", now=TIME + 3_601),
        case("the tick is later than its checkpoint allows", "G8", time=900, now=900),
        case("no record of the tick", "G9", [_sealed(0, [dummy] * 4)]),
        case("a last part of nothing", "G9", [_sealed(0, [record, item(LAST, b"end")])]),
        case(
            "a tick that names another chunk before it",
            "G11",
            [chunks[0], _tick(1, TickRecord(1, 1_070, bytes(32), 41), dummy)],
        ),
        case("a size of the log that falls", "G13", [chunks[0], _tick(1, shorter, dummy)]),
    ]


def _record(chunk: bytes) -> bytes:
    """The item of a chunk's own tick record."""
    kind, data = parse_chunk(open_chunk(SEGMENTS[0], ORIGIN, 0, chunk))[0]
    assert decode_opening(data).statement
    return item(kind, data)


def _tick(number: int, record: TickRecord, dummy: bytes) -> bytes:
    return _sealed(
        number, [item(WHOLE, Opening(bytes(32), record.encode()).encode()), *[dummy] * 3]
    )


def _sealed(number: int, items: list[bytes]) -> bytes:
    segment = SEGMENTS[0]
    return seal_chunk(segment, ORIGIN, number, build_chunk(items, segment.batch))
