import pytest
from tests.support.refusals import refused

from counterseal.access.authorities import ceremony, charter_draft, charter_file
from counterseal.access.authorities.charter_file import parse, seconds
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.new_home import create_home
from counterseal.describe.charter import describe_charter
from counterseal.protocol.errors import BadInput
from counterseal.protocol.vkey import LOG_ED25519, MLDSA44, make_vkey
from counterseal.wire.domain import ServiceIdentity

RULES = {
    "issuer": [{"name": "asks", "roles": ["requester"]}, {"name": "agrees", "roles": ["approver"]}],
    "ground": [{"name": "homicide", "words": "s. 211"}],
}


@pytest.mark.parametrize(
    ("value", "wrong", "near"),
    [
        ({"witneses": {}}, "'witneses'", "'witnesses'"),
        ({"ledger": {"tik": 1}}, "'ledger.tik'", "'ledger.tick'"),
        ({"ground": [{"nam": "x"}]}, "'ground.nam'", "'ground.name'"),
        ({"custodians": {"body": [{"name": "x", "treshold": 2}]}}, "treshold", "threshold"),
    ],
)
def test_a_wrong_key_names_the_nearest_right_one(value, wrong, near):
    with pytest.raises(BadInput) as refused:
        parse(value)
    assert wrong in refused.value.message and near in refused.value.message


def test_a_wrong_type_says_where():
    with pytest.raises(BadInput) as refused:
        parse({"caps": {"units_30_days": "many"}})
    assert "caps.units_30_days" in refused.value.message


def test_a_file_that_is_no_toml(tmp_path):
    (tmp_path / "c.toml").write_text("domain = ")
    with pytest.raises(BadInput):
        charter_file.read(tmp_path / "c.toml")


@pytest.mark.parametrize(
    ("text", "value"),
    [("90 d", 7_776_000), ("8h", 28_800), ("30 min", 1_800), ("1 s", 1), (60, 60)],
)
def test_lengths_of_time(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["90 days", "d", "-1 d", "1.5 h", "1 d 2 h", ""])
def test_what_is_no_length_of_time(text):
    with pytest.raises(BadInput):
        seconds(text)


@pytest.fixture
def cards(tmp_path):
    for body, members in {
        "court": ("ann", "bob", "cec"),
        "bar": ("eve",),
        "ombud": ("dan",),
    }.items():
        for member in members:
            create_home(tmp_path / member, "custodian", member, body)
    for name in ("gazette", "harbour", "ivy"):
        create_home(tmp_path / name, "witness", name, url=f"http://{name}.example")
    create_home(tmp_path / "asks", "issuer", "asks", "prosecution")
    create_home(tmp_path / "agrees", "issuer", "agrees", "judiciary")
    create_home(tmp_path / "opener", "opener", "opener")
    return charter_draft.gather([tmp_path])


@pytest.fixture
def service():
    def keys(name, seed):
        one, two = make_vkey(name, LOG_ED25519, seed * 32), make_vkey(name, MLDSA44, seed * 1312)
        return one.text(), two.text()

    log, ledger = "chat.example.org/log", "chat.example.org/ledger"
    return ServiceIdentity(
        "chat.example.org", log, keys(log, b"\x05"), ledger, keys(ledger, b"\x06")
    )


def test_the_defaults_make_a_charter_that_fits(cards, service):
    charter = charter_draft.draft(parse(RULES), cards, service)
    assert [(body.name, body.threshold) for body in charter.custodians.bodies] == [
        ("bar", 1),
        ("court", 2),
        ("ombud", 1),
    ]
    assert charter.custodians.needed == 2
    assert (charter.witnesses.w, charter.witnesses.c) == (2, 3)
    assert 2 * charter.witnesses.c >= len(charter.witnesses.members) + charter.witnesses.w
    assert len(charter.readers) == len(cards)


def test_the_rules_can_say_otherwise(cards, service):
    rules = {
        **RULES,
        "custodians": {"needed": 1, "body": [{"name": "court", "threshold": 3}]},
        "period": "30 min",
    }
    charter = charter_draft.draft(parse(rules), cards, service)
    assert [(body.name, body.threshold) for body in charter.custodians.bodies] == [("court", 3)]
    assert charter.period_length == 1_800


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"period": "7 h"}, "C3"),
        ({"custodians": {"needed": 4}}, "C4"),
        ({"witnesses": {"shares": 2, "cosignatures": 2}}, "C5"),
        ({"issuer": [{"name": "asks", "roles": ["requester", "approver"]}]}, "C8"),
        ({"ground": []}, "C9"),
        ({"caps": {"units_30_days": 0}}, "C10"),
        ({"urgent": {"calendar": "none"}}, "C11"),
    ],
)
def test_rules_that_do_not_fit_are_refused_with_their_number(cards, service, changes, rule):
    with refused(rule):
        charter_draft.draft(parse({**RULES, **changes}), cards, service)


@pytest.mark.parametrize(
    "changes",
    [
        {"custodians": {"body": [{"name": "senate"}]}},
        {"custodians": {"body": [{"name": "court", "members": ["zoe"]}]}},
        {"witnesses": {"order": ["nobody"]}},
        {"issuer": [{"name": "nobody", "roles": ["requester"]}]},
    ],
)
def test_a_missing_card_is_named(cards, service, changes):
    with pytest.raises(BadInput) as missing:
        charter_draft.draft(parse({**RULES, **changes}), cards, service)
    assert "no card" in missing.value.message


def test_a_charter_in_words_says_who_together_could_open_silently(cards, service):
    charter = charter_draft.draft(parse(RULES), cards, service)
    said = "\n".join(describe_charter(charter, charter.digest()))
    assert "could open messages silently" in said
    for name in ("bar", "court", "ombud", "gazette", "harbour", "ivy"):
        assert name in said
    assert "court: 2 of its 3 members" in said


def test_who_signs_has_to_be_a_holder(cards, service, tmp_path):
    charter = charter_draft.draft(parse(RULES), cards, service)
    with pytest.raises(BadInput):
        ceremony.sign_charter(InstitutionHome.open(tmp_path / "asks"), charter.encode())
    signed = ceremony.sign_charter(InstitutionHome.open(tmp_path / "ann"), charter.encode())
    assert ceremony.sign_charter(InstitutionHome.open(tmp_path / "ann"), signed) == signed
    assert InstitutionHome.open(tmp_path / "ann").pinned() == charter.digest()
