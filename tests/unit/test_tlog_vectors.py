"""Frozen vectors of the log, the ledger, period roots and the directory: data with an `expect`,
"ok" or the rule that refuses.
"""

import base64
import json
from pathlib import Path

import pytest

from counterseal.protocol.errors import Refused
from counterseal.tlog.add_checkpoint import parse_request
from counterseal.tlog.checkpoint import (
    Checkpoint,
    CosignedCheckpoint,
    cosignature_message,
    log_keys,
    parse_checkpoint,
    subtree_message,
    verify_cosigned,
    witness_keys,
)
from counterseal.tlog.cosigner import decide, known_log
from counterseal.tlog.directory import decode_lookup
from counterseal.tlog.frame_proof import decode_frame_proof
from counterseal.tlog.ledger import Schedule, Segment, check_key
from counterseal.tlog.ledger_reader import LedgerReader
from counterseal.tlog.note import parse_note
from counterseal.tlog.periods import decode_period_root
from counterseal.tlog.proof import verify_consistency, verify_inclusion
from counterseal.tlog.witness_state import WitnessState

VECTORS = Path(__file__).parent.parent / "vectors"


def load(name):
    return json.loads((VECTORS / f"tlog_{name}.json").read_text())


def cases(name):
    return [
        pytest.param(case, id=f"{i} {case.get('why', '')}")
        for i, case in enumerate(load(name)["cases"])
    ]


def outcome(call, *args):
    """What the call gives, and "ok" or the rule."""
    try:
        return call(*args), "ok"
    except Refused as error:
        return None, error.rule


def unhex(values):
    return [bytes.fromhex(value) for value in values]


@pytest.mark.parametrize("case", cases("proofs"))
def test_proofs(case):
    path = unhex(case["path"])
    if case["kind"] == "inclusion":
        leaf, root = unhex([case["leaf"], case["root"]])
        result = outcome(verify_inclusion, leaf, case["index"], case["size"], root, path)
    else:
        old, new = unhex([case["old_root"], case["new_root"]])
        result = outcome(verify_consistency, case["old_size"], old, case["new_size"], new, path)
    assert result[1] == case["expect"]


@pytest.mark.parametrize("case", cases("checkpoints"))
def test_checkpoints(case):
    vectors = load("checkpoints")
    log, witnesses = log_keys(vectors["log"]), [witness_keys(w) for w in vectors["witnesses"]]
    cosigned, got = outcome(verify_cosigned, case["note"].encode(), log, witnesses, case["needed"])
    assert got == case["expect"]
    assert cosigned is None or cosigned.time == case["time"]


def test_what_is_signed():
    vectors = load("checkpoints")
    checkpoint = parse_checkpoint(parse_note(vectors["cases"][0]["note"].encode()).text)
    ed25519, subtree = vectors["cosignature_message"], vectors["subtree_message"]
    assert cosignature_message(checkpoint, ed25519["time"]).decode() == ed25519["expect"]
    fields = (
        subtree["cosigner"],
        subtree["time"],
        subtree["origin"],
        subtree["start"],
        subtree["end"],
    )
    assert subtree_message(*fields, checkpoint.root).hex() == subtree["expect"]


@pytest.mark.parametrize("case", cases("witness"))
def test_witness(case):
    vectors = load("witness")
    log = log_keys(vectors["log"])
    root = bytes.fromhex(vectors["roots"][str(case["state"])])
    state = WitnessState(log.name, case["state"], root, 1, b"") if case["state"] else None

    def answer():
        request = parse_request(case["body"].encode())
        return decide(request, known_log(request, {log.name: log}), state)

    assert outcome(answer)[1] == (case["rule"] or "ok")


@pytest.mark.parametrize("case", cases("ledger"))
def test_ledger(case):
    vectors = load("ledger")
    segments = [
        Segment(s["first_chunk"], bytes.fromhex(s["key"]), s["leaves"], s["batch"])
        for s in vectors["segments"]
    ]
    for segment, commitment in zip(segments, unhex(vectors["commitments"]), strict=True):
        check_key(segment.key, commitment)
    reader = LedgerReader(vectors["origin"], Schedule(segments))
    checkpoint = Checkpoint(vectors["origin"], case["size"], bytes.fromhex(case["root"]))

    def read():
        for number, chunk in enumerate(case["chunks"]):
            reader.feed(number, base64.b64decode(chunk))
        return reader.accept(
            CosignedCheckpoint(checkpoint, case["time"], (), b""), case["now"], case["fresh"]
        )

    entries, got = outcome(read)
    assert got == case["expect"]
    if entries is not None:
        assert len(entries) == len(vectors["leaves"])
        found = {
            (e.index, e.tick, base64.b64encode(e.statement).decode())
            for e in entries
            if e.statement is not None
        }
        assert found == {(s["index"], s["tick"], s["statement"]) for s in vectors["statements"]}


@pytest.mark.parametrize("case", cases("periods"))
def test_periods(case):
    vectors = load("periods")
    period = decode_period_root(base64.b64decode(vectors["record"]))
    assert base64.b64encode(period.encode()).decode() == vectors["record"]

    def verify():
        proof = decode_frame_proof(base64.b64decode(case["proof"]))
        return proof.verify(
            period, bytes.fromhex(case["window_id"]), case["seq"], base64.b64decode(case["message"])
        )

    assert outcome(verify)[1] == case["expect"]


@pytest.mark.parametrize("case", cases("directory"))
def test_directory(case):
    def verify():
        return decode_lookup(base64.b64decode(case["proof"])).verify(
            bytes.fromhex(case["root"]), case["handle"]
        )

    lookup, got = outcome(verify)
    assert got == case["expect"]
    if lookup is not None:
        entry = lookup.entry and [lookup.entry.account_id.hex(), lookup.entry.head.hex()]
        assert entry == case["entry"]
