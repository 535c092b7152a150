"""From a warrant to shares with the opener, by the programs that people run: standing and urgent
orders, extension, and restarts.
"""

import json
import subprocess
import time

import pytest
from tests.support.full_domain import running
from tests.support.processes import program
from tests.support.refusals import refused
from tests.support.waiting import until

from counterseal.access.authorities import issuer
from counterseal.access.common.sources import ask
from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.opened_shares import open_shares
from counterseal.protocol.sharing import join
from counterseal.protocol.window import Label
from counterseal.wire.material import MATERIAL, SHARES

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(
        tmp_path_factory.mktemp("flow"),
        urgent={"ratify_within": 4, "max_period": "1 d"},
        notices={"delay": 2, "cadence": 1, "extension": 30},
    )


@pytest.fixture(scope="module")
def conversation(rig):
    return rig.talk(rig.keyset_digest, ["hello"])


def custodians(rig, *bodies):
    return [home for home in rig.custodians if home.card.body in bodies]


def cli(*arguments, code=0):
    done = subprocess.run(program(*arguments), capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def office(rig):
    return issuer.IssuerLedger(rig.prosecutor, rig.service_for(rig.prosecutor))


def test_a_standing_release_covers_listings_to_come(rig, conversation):
    alice, _, talk = conversation
    digest = rig.warrant(alice.account, reference="standing")
    for home in custodians(rig, "bar", "ombudsman"):
        rig.release(home, digest, standing=True)
    until(lambda: rig.status(digest).state == "released")
    before = rig.status(digest).listings
    rig.write(alice, talk, ["later"], serial=2)
    until(lambda: rig.status(digest).listings > before)
    until(lambda: rig.status(digest).witnesses[0] == 3)
    for home in custodians(rig, "bar", "ombudsman"):
        cli("custodian", "follow", "--home", home.path)
    listing = office(rig).sync().state.access(digest).listings[-1][0]
    wanted = {
        rig.charter.positions[home.signer.kid]
        for home in (*custodians(rig, "bar", "ombudsman"), *rig.witnesses)
    }
    until(
        lambda: (
            {one.position for one in shares(rig, digest) if one.listing_digest == listing} >= wanted
        )
    )


def shares(rig, digest):
    from counterseal.protocol.release import SealedShares

    shown = ask(rig.service_for(rig.opener), SHARES, warrant=digest)
    return [SealedShares.decode(sealed) for sealed in shown.sealed]


def test_what_the_holders_hand_over_joins_to_the_windows_key(rig, conversation):
    digest = rig.warrant(conversation[0].account, reference="joined")
    rig.listed(rig.custodians[0], digest)
    for home in custodians(rig, "bar", "ombudsman"):
        rig.release(home, digest)
    until(lambda: len(shares(rig, digest)) == 5)
    listing = office(rig).sync().state.access(digest).listings[0][1]
    rows = ask(rig.service_for(rig.opener), MATERIAL, warrant=digest, listing=0).rows
    opened = {
        one.position: open_shares(
            rig.opener.reader,
            one,
            rig.charter.check_holder(one.position),
            "chat.example.org",
            listing.windows,
        )
        for one in shares(rig, digest)
    }
    for place, row in enumerate(rows):
        label = Label.decode(row.label)
        assert Counterseal.decode(row.counterseal).seal_digest
        assert (
            len(
                join(
                    rig.charter.tree,
                    label,
                    {i: one.shares.shares[place].share for i, one in opened.items()},
                )
            )
            == 32
        )


def test_an_urgent_warrant_that_nobody_ratifies_lapses(rig, conversation):
    view = office(rig)
    start = rig.charter.charter.valid_from
    made = issuer.draft(
        rig.charter, [conversation[0].account], start, start + 3_600, "rescue", urgent=True
    ).warrant
    issuer.submit(view.service, issuer.sign_warrant(rig.prosecutor, made))
    until(lambda: view.sync().state.access(made.digest()))
    assert view.status(made.digest()).state in {"urgent", "listed"}
    until(lambda: view.status(made.digest()).state == "lapsed")
    desk = rig.desk(rig.custodians[0])
    with refused("W14"):
        desk.case(desk.sync(), made.digest())
    again = issuer.draft(
        rig.charter,
        [conversation[0].account],
        start,
        start + 3_600,
        "rescue",
        urgent=True,
        reference="2",
    ).warrant
    issuer.submit(view.service, issuer.sign_warrant(rig.prosecutor, again))
    until(lambda: issuer.why_void(view.sync().state, issuer.sign_warrant(rig.prosecutor, again)))
    assert (
        issuer.why_void(view.sync().state, issuer.sign_warrant(rig.prosecutor, again)) or ""
    ).startswith("W13")
    cli("warrant", "reinstate", "prosecutor", "--home", rig.judge.path)
    until(lambda: not view.sync().state.barred)


def test_an_urgent_warrant_that_is_ratified_goes_on(rig, conversation):
    view = office(rig)
    start = rig.charter.charter.valid_from
    made = issuer.draft(
        rig.charter,
        [conversation[0].account],
        start,
        start + 3_600,
        "rescue",
        urgent=True,
        reference="r",
    ).warrant
    issuer.submit(
        view.service, issuer.sign_warrant(rig.prosecutor, made), issuer.approve(rig.judge, made)
    )
    until(lambda: view.status(made.digest()).approved)
    desk = rig.desk(rig.custodians[0])
    assert desk.case(desk.sync(), made.digest()).warrant.approver


def test_an_extension_needs_both_issuers_and_delays_the_notice(rig, conversation, tmp_path):
    digest = rig.warrant(conversation[0].account, reference="extended")
    out = tmp_path / "extension"
    cli("warrant", "extend", digest.hex()[:12], "--home", rig.prosecutor.path, "--out", out)
    cli("warrant", "submit", out, "--home", rig.prosecutor.path)
    view = office(rig)
    until(lambda: (issuer.why_void(view.sync().state, out.read_bytes()) or "").startswith("W17"))
    cli("warrant", "countersign", out, "--home", rig.judge.path)
    cli("warrant", "submit", out, "--home", rig.judge.path)
    until(lambda: view.sync().state.access(digest).extended_at)


def test_the_command_line_says_what_it_will_release_and_asks(rig, conversation):
    digest = rig.warrant(conversation[0].account, reference="asked")
    rig.listed(rig.custodians[0], digest)
    [eve] = custodians(rig, "bar")
    told = json.loads(cli("custodian", "review", "--home", eve.path, "--json"))
    [mine] = [one for one in told if one["warrant"] == digest.hex()]
    assert mine["units"] >= 1 and not mine["refused"]
    asked = cli("custodian", "release", "--home", eve.path, "--warrant", digest.hex()[:16], code=2)
    assert "Requested by prosecutor of prosecution" in asked
    assert "no terminal to answer on" in asked
    assert "are with the opener" in cli(
        "custodian", "release", "--home", eve.path, "--warrant", digest.hex()[:16], "--yes"
    )
    assert (
        "released"
        in cli(
            "custodian", "release", "--home", eve.path, "--warrant", digest.hex()[:16], "--yes"
        ).lower()
    )


def test_a_witness_killed_between_release_and_shares_goes_on(rig, conversation):
    digest = rig.warrant(conversation[0].account, reference="killed")
    rig.listed(rig.custodians[0], digest)
    for home in custodians(rig, "bar", "ombudsman"):
        rig.release(home, digest)
    until(lambda: rig.status(digest).witnesses[0] >= 1)
    for home in rig.witnesses:
        rig.kill_witness(home.card.name)
        rig.run_witness(home)
    positions = set(rig.charter.tree.witness_positions())
    until(lambda: positions <= {one.position for one in shares(rig, digest)}, 40)
    access = office(rig).sync().state.access(digest)
    mine = [one.release.position for one in access.releases]
    assert len(mine) == len(set(mine))


def test_the_service_killed_on_the_way_loses_no_statement(rig, conversation):
    view = office(rig)
    start = rig.charter.charter.valid_from
    made = issuer.draft(
        rig.charter,
        [conversation[0].account],
        start,
        start + 3_600,
        "homicide",
        reference="power cut",
    ).warrant
    issuer.submit(
        view.service, issuer.sign_warrant(rig.prosecutor, made), issuer.approve(rig.judge, made)
    )
    rig.kill()
    time.sleep(0.5)
    rig.restart()
    until(lambda: view.sync().state.access(made.digest()).approved_at, 40)
