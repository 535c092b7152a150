"""The frozen counterseals and frames, through the compiled floor and through the reference in
`protocol`.
"""

import json
from pathlib import Path

import pytest

from counterseal.core import (
    derive_prk,
    join_shares,
    open_windows,
    parse_private,
    seal_counterseal,
    split_shares,
)
from counterseal.protocol import counterseal, frame, sharing, window, window_checks, window_key
from counterseal.protocol.errors import Refused
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.tree import Tree

VECTORS = Path(__file__).parent.parent / "vectors"
SEALS = json.loads((VECTORS / "counterseal.json").read_text())
FRAMES = json.loads((VECTORS / "frame.json").read_text())
LABEL = window.Label.decode(bytes.fromhex(SEALS["label"]))
PRK = bytes.fromhex(SEALS["prk"])
TREE = bytes.fromhex(SEALS["tree"])


def named(file):
    return [pytest.param(case, id=case["name"]) for case in file["cases"]]


def keyset(case):
    keys = [SealingKey(bytes.fromhex(seed)).public for seed in SEALS["sealing_seeds"]]
    assert [key.hex() for key in keys] == SEALS["sealing_keys"]
    return [None if i in case["absent"] else key for i, key in enumerate(keys)]


def test_windows():
    window.check_roster(LABEL, window.Roster.decode(bytes.fromhex(SEALS["roster"])))
    assert LABEL.window_id.hex() == SEALS["window_id"]
    key = bytes.fromhex(SEALS["key"])
    assert derive_prk(LABEL.encode(), key) == window_key.derive_prk(LABEL, key) == PRK
    assert window_key.key_commitment(PRK) == LABEL.key_commitment


def test_shares():
    shares = [bytes.fromhex(share) for share in SEALS["shares"]]
    assert split_shares(TREE, PRK) == shares == list(sharing.split(Tree.decode(TREE), PRK))
    assert join_shares(TREE, list(enumerate(shares))) == PRK


@pytest.mark.parametrize("case", named(SEALS))
def test_counterseals(case):
    data = bytes.fromhex(case["bytes"])
    remade = seal_counterseal(PRK, LABEL.window_id, LABEL.charter_digest, TREE, keyset(case))
    try:
        window_checks.check_positions(counterseal.Counterseal.decode(data), keyset(case))
        rule = "valid" if data == remade else "S2"
    except Refused as error:
        rule = error.rule
    assert rule == case["expect"]


@pytest.mark.parametrize("case", named(FRAMES))
def test_frames(case):
    message, label = bytes.fromhex(case["message"]), bytes.fromhex(FRAMES["label"])
    seal_digest, prk = bytes.fromhex(FRAMES["seal_digest"]), bytes.fromhex(FRAMES["prk"])
    ((opened,),) = open_windows([(label, seal_digest, prk, [message])], 1)
    assert opened.message_digest.hex() == case["message_digest"]
    assert parse_private(message)[2].hex() == case["bytes"]
    assert (opened.error or "valid") == case["expect"]
    if opened.content is not None:
        assert opened.content.hex() == case["content"]


@pytest.mark.parametrize(
    "case", [p for p in named(FRAMES) if p.values[0]["expect"] not in ("F4", "F5")]
)
def test_the_reference_agrees_on_frames(case):
    label = window.Label.decode(bytes.fromhex(FRAMES["label"]))
    try:
        authenticated = frame.received_part(frame.Authenticated, bytes.fromhex(case["bytes"]))
        frame.check_prev(authenticated, None)
        signed = frame.open_frame(bytes.fromhex(FRAMES["prk"]), authenticated)
        content = frame.verify_content(signed, authenticated, label.device_key)
        frame.check_sent_at(content, label)
        rule = "valid"
        assert content.encode().hex() == case["content"]
    except Refused as error:
        rule = error.rule
    assert rule == case["expect"]
