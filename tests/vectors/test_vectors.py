"""Runs every frozen vector. A file's `reader` says how its cases are read; files that another room
writes have their own shape.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.protocol import (
    cbor,
    counterseal,
    frame,
    keyset,
    sharing,
    stamp,
    verified_charter,
    window,
    window_checks,
    window_key,
)
from counterseal.protocol.account_chain import VerifiedChain
from counterseal.protocol.cose import ReceivedSign
from counterseal.protocol.errors import Refused
from counterseal.protocol.keys import InstitutionKey, SealingKey
from counterseal.protocol.period import WindowFrames
from counterseal.protocol.record import convert
from counterseal.protocol.sign1 import ReceivedSign1
from counterseal.protocol.statement import ReceivedStatement
from counterseal.protocol.tree import Tree
from counterseal.tlog.ledger import decode_opening

HERE = Path(__file__).parent
FILES = {path.stem: json.loads(path.read_text()) for path in sorted(HERE.glob("*.json"))}
OURS = {
    name: vector
    for name, vector in FILES.items()
    if vector.get("source") == "tests/vectors/make.py"
}
PAIRS = [(vector, case) for vector in OURS.values() for case in vector["cases"]]
CASES = [
    pytest.param(vector, case, id=f"{name}-{case['name']}")
    for name, vector in OURS.items()
    for case in vector["cases"]
]


def institution_keys(vector):
    keys = [
        convert(cbor.decode(bytes.fromhex(text), 4_096), InstitutionKey) for text in vector["keys"]
    ]
    return {key.kid: key for key in keys}


def read_statement(data, vector):
    received = ReceivedStatement.decode(data)
    if received.cose is not None:
        received.signed.verify(institution_keys(vector))
    return received.record


def read_keyset(data, vector):
    judge = verified_charter.ReceivedCharter.decode(bytes.fromhex(vector["charter"])).check(None)
    return keyset.ReceivedKeyset.decode(data).check(judge, None).keyset


def read_account(data, vector):
    statements: Any = cbor.decode(data, 65_536)
    return VerifiedChain.replay(statements, w.DOMAIN)


READERS = {
    "cbor": lambda data, vector: cbor.decode(data, 65_536),
    "sign1": lambda data, vector: ReceivedSign1.decode(data, 1_000).verify(
        bytes.fromhex(vector["key"]), bytes.fromhex(vector["external"])
    ),
    "sign": lambda data, vector: ReceivedSign.decode(data, 1_000).verify(institution_keys(vector)),
    "label": lambda data, vector: window.Label.decode(data),
    "roster": lambda data, vector: window.Roster.decode(data).check(),
    "tree": lambda data, vector: Tree.decode(data),
    "charter": lambda data, vector: (
        verified_charter.ReceivedCharter.decode(data).check(None).charter
    ),
    "keyset": read_keyset,
    "account": read_account,
    "statement": read_statement,
    "opening": lambda data, vector: decode_opening(data),
    "window-frames": lambda data, vector: WindowFrames.decode(data),
}


@pytest.mark.parametrize(("vector", "case"), CASES)
def test_case(vector, case):
    data = bytes.fromhex(case["bytes"])
    try:
        record = READERS[vector["reader"]](data, vector)
    except Refused as refusal:
        assert refusal.rule == case["expect"], refusal.message
        return
    assert case["expect"] == "valid"
    if "digest" in case:
        assert (
            record.head if isinstance(record, VerifiedChain) else record.digest()
        ).hex() == case["digest"]
    if "leaf" in case:
        assert record.leaf().hex() == case["leaf"]
    if "shares" in case:
        assert [share.hex() for share in sharing.split(record, bytes.fromhex(case["prk"]))] == case[
            "shares"
        ]
    if "key" in case:
        prk = window_key.derive_prk(record, bytes.fromhex(case["key"]))
        assert prk.hex() == case["prk"]
        assert window_key.key_commitment(prk) == record.key_commitment


@pytest.mark.parametrize(("vector", "case"), CASES)
def test_the_level_says_whether_the_encoding_alone_is_refused(vector, case):
    data = bytes.fromhex(case["bytes"])
    if case["level"] == "encoding":
        with refused(case["expect"]):
            cbor.decode(data, 1 << 20)
    else:
        cbor.decode(data, 1 << 20)


def test_every_encoding_rule_has_a_case():
    assert {case["expect"] for _, case in PAIRS} >= {"valid", "E1", "E2", "E3", "E4", "E5", "E6"}


def floor(name):
    """A file that the compiled floor writes; here the same bytes must give the same digests, shares
    and rules.
    """
    return FILES[name]


def test_the_compiled_floors_counterseals():
    vector = floor("counterseal")
    label = window.Label.decode(bytes.fromhex(vector["label"]))
    tree = Tree.decode(bytes.fromhex(vector["tree"]))
    prk = bytes.fromhex(vector["prk"])
    assert label.window_id.hex() == vector["window_id"]
    assert (
        window_key.derive_prk(label, bytes.fromhex(vector["key"]))
        == sharing.check_prk(label, prk)
        == prk
    )
    assert [share.hex() for share in sharing.split(tree, prk)] == vector["shares"]
    holders = [SealingKey(bytes.fromhex(text)) for text in vector["sealing_seeds"]]
    assert [holder.public.hex() for holder in holders] == vector["sealing_keys"]
    rules = [read_counterseal(case, label, tree, holders) for case in vector["cases"]]
    # Only the compiled floor remakes a counterseal (S2); holders and openers meet the same fault as
    # X5, S3 or S5.
    expected = [
        {"S2": ("X5", "S3", "S5")}.get(case["expect"], (case["expect"],))
        for case in vector["cases"]
    ]
    assert all(rule in allowed for rule, allowed in zip(rules, expected, strict=True)), rules


def read_counterseal(case, label, tree, holders):
    try:
        received = counterseal.Counterseal.decode(bytes.fromhex(case["bytes"]))
        keys = [None if i in case["absent"] else holder.public for i, holder in enumerate(holders)]
        window_checks.check_positions(received, keys)
        assert received.seal_digest.hex() == case["seal_digest"]
        shares = {
            i: counterseal.open_share(holders[i], label, i, sealed)
            for i, sealed in enumerate(received.sealed)
            if sealed
        }
        sharing.join(tree, label, shares)
    except Refused as refusal:
        return refusal.rule
    return "valid"


def test_the_compiled_floors_frames():
    vector = floor("frame")
    label = window.Label.decode(bytes.fromhex(vector["label"]))
    for case in vector["cases"]:
        assert read_frame(case, label, vector) == case["expect"], case["name"]


def read_frame(case, label, vector):
    assert stamp.message_digest(bytes.fromhex(case["message"])).hex() == case["message_digest"]
    prk = bytes.fromhex(vector["prk"])
    try:
        received = frame.received_part(frame.Authenticated, bytes.fromhex(case["bytes"]))
        if received.window_id != label.window_id:
            return "F4"
        if received.seal_digest.hex() != vector["seal_digest"]:
            return "F5"
        content = frame.verify_content(frame.open_frame(prk, received), received, label.device_key)
        frame.check_sent_at(content, label)
    except Refused as refusal:
        return refusal.rule
    assert content.encode().hex() == case["content"]
    return "valid"
