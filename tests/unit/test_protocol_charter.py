"""The charter: what it has to be, who has to sign it, what follows it (rules C1 to C20)."""

import msgspec
import pytest
from tests.support import world as w
from tests.support.refusals import refused

from counterseal.protocol import charter_checks
from counterseal.protocol.calendars import Calendar
from counterseal.protocol.charter import Charter
from counterseal.protocol.charter_checks import check_charter
from counterseal.protocol.charter_use import check_ordinary, check_valid
from counterseal.protocol.tree import BodyNode
from counterseal.protocol.verified_charter import ReceivedCharter

replace = msgspec.structs.replace
C = w.CHARTER
WEAK = bytes([1]) + bytes(31)


def with_urgent(**changes) -> Charter:
    return replace(C, urgent=replace(C.urgent, **changes))


def with_witness(**changes) -> Charter:
    members = C.witnesses.members
    return replace(
        C, witnesses=replace(C.witnesses, members=(replace(members[0], **changes), *members[1:]))
    )


def with_body(**changes) -> Charter:
    bodies = C.custodians.bodies
    return replace(
        C, custodians=replace(C.custodians, bodies=(replace(bodies[0], **changes), *bodies[1:]))
    )


def with_calendar(**changes) -> Charter:
    return replace(C, calendars=(replace(C.calendars[0], **changes),))


BAD = [
    ("C1", replace(C, version=0)),
    ("C1", replace(C, previous=bytes(32))),
    ("C2", replace(C, domain="Chat.example.org")),
    ("C2", replace(C, domain="chat.example.org\n")),
    ("C2", with_body(name="Court\u202e")),
    ("C2", with_body(name="Bar")),
    ("C3", replace(C, period_length=0)),
    ("C3", replace(C, period_length=7_000)),
    ("C4", replace(C, custodians=replace(C.custodians, needed=4))),
    ("C4", replace(C, custodians=replace(C.custodians, needed=0, bodies=()))),
    ("C4", with_body(threshold=4)),
    ("C5", replace(C, witnesses=replace(C.witnesses, w=0))),
    ("C5", replace(C, witnesses=replace(C.witnesses, c=4))),
    ("C5", replace(C, witnesses=replace(C.witnesses, c=2))),
    (
        "C6",
        with_body(
            members=(
                *C.custodians.bodies[0].members[:2],
                replace(C.custodians.bodies[1].members[0], name="D."),
            )
        ),
    ),
    ("C6", with_witness(key=C.issuers[0].key)),
    ("C6", with_witness(name="Court")),
    ("C6", with_witness(vkeys=C.witnesses.members[1].vkeys)),
    ("C7", with_witness(key=replace(C.witnesses.members[0].key, ed25519=WEAK))),
    ("C7", with_witness(vkeys=C.log.vkeys)),
    ("C7", with_witness(vkeys=replace(C.witnesses.members[0].vkeys, mldsa44=C.log.vkeys.mldsa44))),
    ("C7", with_witness(url="gopher://gazette.example")),
    ("C8", replace(C, issuers=C.issuers[:2])),
    ("C8", replace(C, issuers=(replace(C.issuers[0], roles=("reader",)), *C.issuers[1:]))),
    ("C9", replace(C, grounds=())),
    ("C9", replace(C, grounds=(C.grounds[0], C.grounds[0]))),
    ("C10", replace(C, caps=replace(C.caps, units_30_days=0))),
    ("C11", with_urgent(max_period=w.HOUR + 1)),
    ("C11", with_urgent(ratify_within=0)),
    ("C11", with_urgent(calendar="moon days")),
    ("C11", with_calendar(weekdays=tuple(range(7)))),
    ("C11", with_calendar(weekdays=(7,))),
    ("C11", with_calendar(dates=("2027-02-30",))),
    ("C11", with_calendar(dates=("2027-W01-1",))),
    ("C11", with_calendar(dates=("2027-01-02", "2027-01-01"))),
    ("C11", with_calendar(utc_offset_minutes=15 * 60)),
    ("C12", replace(C, notices=replace(C.notices, cadence=0))),
    ("C12", replace(C, notices=replace(C.notices, extensions_max=17))),
    ("C13", replace(C, disclosure=(replace(C.disclosure[0], field="frames"),))),
    ("C13", replace(C, disclosure=(C.disclosure[0], C.disclosure[0]))),
    ("C14", replace(C, log=replace(C.log, origin="chat.example.net/log"))),
    ("C14", replace(C, ledger=replace(C.ledger, tick=0))),
    ("C14", replace(C, ledger=replace(C.ledger, fresh_offline=1))),
    ("C15", replace(C, valid_until=C.valid_from)),
    ("C15", replace(C, retention=1)),
    ("C16", replace(C, openers=())),
    ("C16", replace(C, readers=(C.readers[0], replace(C.readers[1], xwing=C.readers[0].xwing)))),
    ("C16", replace(C, readers=(replace(C.readers[0], xwing=b"\xff" * 1216),))),
]


@pytest.mark.parametrize(
    ("rule", "record"), BAD, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(BAD)]
)
def test_check_refuses(rule, record):
    with refused(rule):
        check_charter(Charter.decode(record.encode()))


def test_a_good_charter_passes_and_gives_its_tree():
    verified = w.verified()
    assert check_charter(verified.charter) is verified.charter
    assert verified.tree.custodians.bodies == (BodyNode(2, 3), BodyNode(1, 2), BodyNode(1, 1))
    assert verified.holder_name(6) == "University"
    assert [verified.positions[key.kid] for key in verified.holder_keys] == list(range(9))
    assert len(verified.custodian_keys) == 6


@pytest.mark.parametrize(
    "names",
    [
        ("Amaro", "Dede", "University", "Gazette"),
        ("Dede", "Fahim", "University"),
        ("University", "Gazette", "Auditor"),
    ],
    ids=["half a body", "one witness", "no custodians"],
)
def test_c18_quorums_of_signatures(names):
    with refused("C18"):
        w.verified(names=names)


def test_c18_unknown_position():
    with refused("C18"):
        w.verified().check_holder(9)


def test_x4_a_signer_that_is_no_holder():
    with refused("X4"):
        w.verified(names=(*w.QUORUM, "Judge"))


def successor(first, **changes) -> Charter:
    return replace(C, version=2, previous=first.digest, **changes)


def test_succession_is_signed_by_the_quorums_before():
    first = w.verified()
    second = successor(
        first, witnesses=replace(C.witnesses, members=tuple(reversed(C.witnesses.members)))
    )
    assert w.verified(second, first).charter.version == 2


@pytest.mark.parametrize(
    "change", [{"version": 3}, {"previous": bytes(32)}, {"demonstration": True}]
)
def test_c19_only_the_next_charter_follows(change):
    first = w.verified()
    with refused("C19"):
        w.verified(replace(successor(first), **change), first)
    with refused("C19"):
        w.verified(successor(first), None)


def test_c17_and_c20():
    verified = w.verified(replace(C, demonstration=True))
    with refused("C17"):
        check_ordinary(verified)
    assert check_valid(verified, w.T0) is verified
    for outside in (C.valid_from - 1, C.valid_until):
        with refused("C20"):
            check_valid(verified, outside)


def test_a_statement_of_another_record_is_no_charter():
    statement = w.statement(w.make_warrant(bytes(32)), "Prosecutor")
    with refused("E5"):
        ReceivedCharter.decode(statement)


def test_deadline_counts_only_days_that_count():
    calendar = Calendar("court days", 60, (5, 6), ("2027-01-18",))
    # T0 is Friday 09:00 local. 15 h are left of it; Saturday, Sunday and Monday the 18th do not
    # count.
    assert calendar.deadline(w.T0, 15 * w.HOUR) == w.T0 + 15 * w.HOUR
    tuesday = w.T0 + 15 * w.HOUR + 3 * w.DAY
    assert calendar.deadline(w.T0, 16 * w.HOUR) == tuesday + w.HOUR
    assert calendar.deadline(w.T0 + w.DAY, 10) == tuesday + 10


def test_vkeys():
    log = charter_checks.vkey_pair(C.log.vkeys)
    assert [key.kind for key in log] == [1, 6]
    with refused("C7"):
        charter_checks.vkey_pair(replace(C.log.vkeys, ed25519="chat.example.org/log+00000000+AQ=="))
    for text in ("x", "a+b+c", "a+00+%%%", C.log.vkeys.ed25519.replace("+", "+0", 1)):
        with refused("C7"):
            charter_checks.vkey_pair(replace(C.log.vkeys, ed25519=text))
