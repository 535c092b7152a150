"""Writes the frozen vectors of the records in docs/protocol.md: `python -m tests.vectors.make` from
the project's root.

Seeds are fixed, but ML-DSA signs with fresh randomness: a file that is there stays as it is. Delete
one to have it made anew, and only when the specification has changed.
"""

import json
from pathlib import Path

import msgspec
from tests.support import world as w
from tests.vectors.make_ledger import write_ledger_stream

from counterseal.protocol import (
    account_chain,
    approval,
    charter,
    cose,
    keyset,
    notice,
    release,
    report,
    sharing,
    sign1,
    verified_charter,
    window_key,
)
from counterseal.protocol.cbor import encode, tag
from counterseal.protocol.ledger_key import make_ledger_key
from counterseal.protocol.ledger_leaf import Opening, TickRecord
from counterseal.protocol.record import Record

HERE = Path(__file__).parent
replace = msgspec.structs.replace
ENCODING = ("E1", "E2", "E3", "E7")


def case(name: str, data: bytes, expect: str = "valid", **more: object) -> dict[str, object]:
    level = "encoding" if expect in ENCODING else "record"
    return {"name": name, "bytes": data.hex(), "expect": expect, "level": level, **more}


def good(name: str, record: Record, data: bytes | None = None) -> dict[str, object]:
    return case(name, record.encode() if data is None else data, digest=record.digest().hex())


def write(
    name: str, reader: str, description: str, cases: list[dict[str, object]], **context: object
) -> None:
    path = HERE / f"{name}.json"
    if not path.exists():
        vector = {
            "description": description,
            "source": "tests/vectors/make.py",
            "reader": reader,
            **context,
            "cases": cases,
        }
        path.write_text(json.dumps(vector, indent=1) + "\n")


def unchecked(record: Record, **changes: object) -> list[object]:
    """The record's array with elements changed by field name, whether or not they are allowed."""
    array = list(record.plain())
    for field, value in changes.items():
        array[1 + record.__struct_fields__.index(field)] = value
    return array


def form_cases(record: Record, wrap=lambda payload: payload) -> list[dict[str, object]]:
    """The ways in which any record's form is refused. `wrap` puts a payload into a statement."""
    data, array = wrap(record.encode()), list(record.plain())
    head = data[0]
    return [
        case("ends early", data[:-1], "E1"),
        case("goes on", data + b"\x00", "E1"),
        case("empty", b"", "E1"),
        case("a longer head than needed", bytes((head & 0xE0 | 24, head & 0x1F)) + data[1:], "E2"),
        case("of indefinite length", bytes((head & 0xE0 | 31,)) + data[1:] + b"\xff", "E2"),
        case("a tagged array", b"\xd8\x62" + data, "E3"),
        case("another version", wrap(encode([array[0].replace("/v1/", "/v2/"), *array[1:]])), "E5"),
        case("another record", wrap(encode(["counterseal/v1/other", *array[1:]])), "E5"),
        case("an element too few", wrap(encode(array[:-1])), "E6"),
        case("an element too many", wrap(encode([*array, 0])), "E6"),
        case("a boolean for an element", wrap(encode([array[0], True, *array[2:]])), "E6"),
    ]


def write_cbor() -> None:
    hexes = {
        "valid": [
            "00",
            "17",
            "1818",
            "18ff",
            "190100",
            "1a00010000",
            "1b0000000100000000",
            "1bffffffffffffffff",
            "20",
            "3818",
            "3bffffffffffffffff",
            "40",
            "43010203",
            "60",
            "63e4b8ad",
            "80",
            "83010203",
            "a0",
            "f4",
            "f5",
            "f6",
            "81" * 15 + "80",
        ],
        "E1": [
            "",
            "18",
            "1900",
            "42",
            "4201",
            "62",
            "6261",
            "81",
            "8201",
            "9affffffff",
            "5bffffffffffffffff",
            "0000",
            "f6f6",
        ],
        "E2": [
            "1800",
            "1817",
            "1900ff",
            "1a0000ffff",
            "1b00000000ffffffff",
            "3817",
            "580100",
            "780161",
            "980101",
            "b800",
            "1f",
            "5f4100ff",
            "7f6161ff",
            "9f01ff",
            "bfff",
        ],
        "E3": [
            "1c",
            "1e",
            "5d",
            "a10102",
            "c001",
            "d86201",
            "e0",
            "f7",
            "f800",
            "f90000",
            "fa00000000",
            "fb0000000000000000",
            "ff",
            "61ff",
            "62c3",
            "63eda080",
            "64f4908080",
            "62c080",
            "81" * 16 + "80",
        ],
    }
    hexes["E3"].remove("62c3")  # ends early
    cases = [
        case(f"{expect} {n}", bytes.fromhex(text), expect)
        for expect, texts in hexes.items()
        for n, text in enumerate(texts)
    ]
    cases.append(case("longer than the limit", b"\x59\xff\xff" + bytes(65_535), "E4"))
    about = "Any value, with a limit of 65,536 bytes. E7 has no case: rules E1 to E3 leave none."
    write("cbor", "cbor", about, cases)


def write_cose() -> None:
    payload = encode(["counterseal/v1/example", 1])
    one = sign1.sign1(w.ed25519("Alice"), payload, b"outside")
    protected, signature = b"\xa1\x01\x32", sign1.ReceivedSign1.decode(one, 1_000).signature
    empty: dict[str, object] = {}
    write(
        "sign1",
        "sign1",
        "COSE_Sign1 by `key`, with `external` as its external_aad.",
        [
            case("signed", one),
            case("EdDSA's old number", encode([b"\xa1\x01\x27", empty, payload, signature]), "X1"),
            case("no algorithm", encode([b"", empty, payload, signature]), "X1"),
            case("a short signature", encode([protected, empty, payload, signature[:63]]), "E6"),
            case("another payload", encode([protected, empty, payload + b"x", signature]), "X2"),
            case("another external_aad", sign1.sign1(w.ed25519("Alice"), payload), "X2"),
            case("a header outside", one[:5] + b"\xa1\x01\x32" + one[6:], "E3"),
        ],
        key=w.public("Alice").hex(),
        external=b"outside".hex(),
    )
    two = cose.ReceivedSign.decode(cose.sign([w.signer("Amaro"), w.signer("Bolt")], payload), 1_000)
    (kid, ed, ml), (other, ed2, ml2) = two.pairs
    ed_head, ml_head = bytes.fromhex("a20132045820"), bytes.fromhex("a2013830045820")

    def of(*entries: object) -> bytes:
        return encode([b"", {}, payload, entries])

    e1, m1 = [ed_head + kid, {}, ed], [ml_head + kid, {}, ml]
    e2, m2 = [ed_head + other, {}, ed2], [ml_head + other, {}, ml2]
    write(
        "sign",
        "sign",
        "COSE_Sign by institutions, of whom `keys` may sign.",
        [
            case("two signers", two.encode()),
            case("one signer", of(e1, m1)),
            case("nobody", of(), "X1"),
            case("not in order", of(e2, m2, e1, m1), "X1"),
            case("another algorithm", of([b"\xa2\x01\x26" + ed_head[3:] + kid, {}, ed], m1), "X1"),
            case("Ed25519 alone", of(e1), "X3"),
            case("ML-DSA-65 alone", of(m1), "X3"),
            case("halves of two signers", of(e1, m2), "X3"),
            case("the same signer twice", of(e1, m1, e1, m1), "X4"),
            case("a signer who may not", cose.sign([w.signer("Chen")], payload), "X4"),
            case("a false Ed25519 half", of([e1[0], {}, bytes(64)], m1), "X2"),
            case("a false ML-DSA-65 half", of(e1, [m1[0], {}, bytes(3309)]), "X2"),
        ],
        keys=[encode(w.signer(name).public.plain()).hex() for name in ("Amaro", "Bolt")],
    )


def write_windows() -> None:
    label = w.make_label(w.seed("charter"), w.seed("keyset"))
    prk = window_key.derive_prk(label, w.WINDOW_KEY)
    write(
        "label",
        "label",
        "A label; where a case has `key`, `prk` comes from it and the label.",
        [
            {**good("a window", label), "key": w.WINDOW_KEY.hex(), "prk": prk.hex()},
            *form_cases(label),
            case("a short digest", encode(unchecked(label, charter_digest=bytes(31))), "E6"),
            case("a long domain", encode(unchecked(label, domain="d" * 254)), "E6"),
            case("a negative serial", encode(unchecked(label, serial=-1)), "E6"),
        ],
    )
    pair = [list(entry) for entry in w.ROSTER.plain()[1]]
    write(
        "roster",
        "roster",
        "A roster.",
        [
            good("two devices", w.ROSTER),
            *form_cases(w.ROSTER),
            case("not sorted", encode(unchecked(w.ROSTER, entries=pair[::-1])), "L3"),
            case("a device twice", encode(unchecked(w.ROSTER, entries=[pair[0], pair[0]])), "L3"),
            case("nobody", encode(unchecked(w.ROSTER, entries=[])), "E6"),
        ],
    )
    tree = w.CHARTER.tree
    shares = [share.hex() for share in sharing.split(tree, prk)]
    write(
        "tree",
        "tree",
        "The holders' tree, and the shares of `prk` by position.",
        [
            case(
                "bodies of 3, 2 and 1, three witnesses", tree.encode(), prk=prk.hex(), shares=shares
            ),
            case("more members needed than there are", encode([[1, [[2, 1]]], [1, 1]]), "S4"),
            case("more witnesses needed than there are", encode([[1, [[1, 1]]], [2, 1]]), "S4"),
            case("no threshold", encode([[1, [[0, 1]]], [1, 1]]), "E6"),
            case("no bodies", encode([[1, []], [1, 1]]), "E6"),
        ],
    )


def small_charter() -> charter.Charter:
    """One custodian, one witness: a charter whose vector is not too long."""
    body = replace(
        w.CHARTER.custodians.bodies[1], members=w.CHARTER.custodians.bodies[1].members[:1]
    )
    return replace(
        w.CHARTER,
        custodians=charter.Custodians(1, (body,)),
        witnesses=charter.Witnesses(1, 1, w.CHARTER.witnesses.members[:1]),
        issuers=(w.CHARTER.issuers[0], w.CHARTER.issuers[2]),
        readers=w.CHARTER.readers[:1],
    )


def write_charter(small: charter.Charter, statement: bytes) -> None:
    def changed(name: str, expect: str, **changes: object) -> dict[str, object]:
        return case(name, w.statement(replace(small, **changes), "Dede", "University"), expect)

    write(
        "charter",
        "charter",
        "A first charter, as a statement.",
        [
            good("one custodian, one witness", small, statement),
            case("ends early", statement[:-1], "E1"),
            case(
                "another record", w.statement(w.make_warrant(bytes(32)), "Dede", "University"), "E5"
            ),
            case("the witness has not signed", w.statement(small, "Dede"), "C18"),
            case("somebody else has signed", w.statement(small, "Dede", "Judge"), "X4"),
            changed("a predecessor", "C1", previous=bytes(32)),
            changed("seven-thousand-second periods", "C3", period_length=7_000),
            changed(
                "one body",
                "C8",
                issuers=(small.issuers[0], replace(small.issuers[1], body="Prosecution")),
            ),
            changed("no units", "C10", caps=replace(small.caps, units_30_days=0)),
            changed("the second of its kind", "C19", version=2, previous=bytes(32)),
        ],
    )


def write_keyset(judge: verified_charter.VerifiedCharter) -> None:
    def key(name: str, position: int, seed: str, **changes: object) -> bytes:
        made = keyset.HolderKey(w.DOMAIN, judge.digest, w.QUARTER, position, w.sealing(seed).public)
        return w.statement(replace(made, **changes), name)

    held = (key("Dede", 0, "quarter's Dede"), key("University", 1, "quarter's University"))
    ledger_key = make_ledger_key(w.seed("ledger key"), judge, w.QUARTER, 0, None)
    made = keyset.Keyset(w.DOMAIN, judge.digest, w.QUARTER, None, held, ledger_key)

    def changed(name: str, expect: str, *names: str, **changes: object) -> dict[str, object]:
        return case(
            name, w.statement(replace(made, **changes), *(names or ("Dede", "University"))), expect
        )

    bad = key("University", 1, "x", xwing=b"\xff" * 1216)
    write(
        "keyset",
        "keyset",
        "A first keyset, as a statement, under `charter`.",
        [
            good("two keys", made, w.statement(made, "Dede", "University")),
            changed("another charter", "K1", charter_digest=bytes(32)),
            changed("a position too few... and one too many", "K2", holder_keys=(*held, None)),
            changed("the holders' keys swapped", "K3", holder_keys=held[::-1]),
            changed(
                "last quarter's key",
                "K3",
                holder_keys=(key("Dede", 0, "x", quarter=w.QUARTER - 1), held[1]),
            ),
            changed(
                "a key twice", "K4", holder_keys=(held[0], key("University", 1, "quarter's Dede"))
            ),
            changed("an absent key", "K6", holder_keys=(held[0], None)),
            changed("a bad key, so an absent one", "K6", holder_keys=(held[0], bad)),
            changed("the witness has not signed", "K7", "Dede"),
            changed(
                "no reader has the ledger key", "K8", ledger_key=replace(ledger_key, sealed=())
            ),
        ],
        charter=judge.statement.hex(),
    )


def write_account() -> None:
    first = sign1.sign1(w.ed25519("Alice"), w.ALICE_FIRST.encode())
    chain = account_chain.VerifiedChain.start(first, w.DOMAIN)

    def link(
        kind, name: str, signer: str = "Alice", possession: str | None = None, head=chain, number=1
    ) -> bytes:
        record = kind(chain.account_id, head.head, number, w.public(name), w.T0)
        return account_chain.sign_link(
            w.ed25519(signer), record, w.ed25519(possession) if possession else None
        )

    phone = link(account_chain.Device, "phone", possession="phone")
    after = chain.extend(phone)
    revoked = link(account_chain.DeviceRevoked, "phone", head=after, number=2)
    new_key = link(account_chain.AccountKey, "Alice 2", possession="Alice 2", head=after, number=2)
    write(
        "account",
        "account",
        "An account's chain: each case is an array of its statements as byte strings.",
        [
            case("an account", encode([first]), digest=chain.account_id.hex()),
            case("a device", encode([first, phone]), digest=after.head.hex()),
            case(
                "a device revoked",
                encode([first, phone, revoked]),
                digest=after.extend(revoked).head.hex(),
            ),
            case(
                "a new account key",
                encode([first, phone, new_key]),
                digest=after.extend(new_key).head.hex(),
            ),
            case("nothing", encode([]), "A1"),
            case(
                "signed by another",
                encode([sign1.sign1(w.ed25519("Eve"), w.ALICE_FIRST.encode())]),
                "A1",
            ),
            case("the same device again", encode([first, phone, phone]), "A2"),
            case(
                "added by another",
                encode([first, link(account_chain.Device, "x", "Eve", "x")]),
                "A3",
            ),
            case(
                "not possessed",
                encode([first, link(account_chain.Device, "x", "Alice", "Eve")]),
                "A4",
            ),
            case(
                "the account's key as a device",
                encode([first, link(account_chain.Device, "Alice", "Alice", "Alice")]),
                "A5",
            ),
            case(
                "an unknown device revoked",
                encode([first, link(account_chain.DeviceRevoked, "x")]),
                "A6",
            ),
            case("no possession", encode([first, link(account_chain.Device, "x")]), "E6"),
        ],
    )


def write_statements(judge: verified_charter.VerifiedCharter) -> None:
    digest = judge.digest
    warrant = w.make_warrant(digest)
    listing = release.Listing(
        w.DOMAIN, warrant.digest(), 0, 2, tuple(sorted((w.seed("one"), w.seed("two"))))
    )
    about = (w.DOMAIN, digest, warrant.digest())
    both = ("Prosecutor", "Judge")
    told = notice.make_notice(warrant, w.ALICE, 1, w.T0 + w.DAY, w.CHARTER, both)
    fault = report.Fault(listing.windows[0], "F6")
    signed: dict[str, list[tuple[str, Record, tuple[str, ...]]]] = {
        "warrant": [
            ("of what is sent", warrant, both[:1]),
            (
                "urgent, of two conversations",
                replace(
                    warrant,
                    urgency="urgent",
                    ground="threat",
                    direction="conversation",
                    conversations=(bytes(16), w.CONVERSATION),
                ),
                both[:1],
            ),
        ],
        "approval": [
            ("approval", approval.Approval(*about, w.T0), both[1:]),
            ("ratification", approval.Ratification(*about, w.T0), both[1:]),
            ("cancellation", approval.Cancellation(*about, "the case is closed", w.T0), both[:1]),
            ("replacement", approval.Replacement(*about, w.seed("successor"), w.T0), both),
            ("extension", approval.Extension(*about, 1, w.T0), both),
            (
                "reinstatement",
                approval.Reinstatement(w.DOMAIN, digest, w.signer("Prosecutor").kid, w.T0),
                both[1:],
            ),
            (
                "revocation",
                approval.Revocation(w.DOMAIN, digest, w.signer("Judge").kid, w.T0, w.T0),
                ("Dede",),
            ),
        ],
        "release": [
            ("by a custodian", w.make_release(warrant, listing.digest(), "Amaro"), ("Amaro",)),
            ("standing", w.make_release(warrant, None, "Amaro"), ("Amaro",)),
            (
                "by a witness",
                w.make_release(warrant, listing.digest(), "University"),
                ("University",),
            ),
            (
                "shares, one a mismatch",
                release.Shares(
                    w.DOMAIN,
                    warrant.digest(),
                    listing.digest(),
                    0,
                    (
                        release.WindowShare(listing.windows[0], w.seed("share")),
                        release.WindowShare(listing.windows[1], None),
                    ),
                ),
                ("Amaro",),
            ),
        ],
        "notice": [("a notice", told, ("University",))],
        "report": [
            ("nothing wrong", w.make_report(warrant, listing), ("Opener",)),
            ("a fault", w.make_report(warrant, listing, faults=(fault,)), ("Opener",)),
            ("destruction", report.Destruction(*about, w.T0), ("Opener",)),
        ],
    }
    for name, records in signed.items():
        first, names = records[0][1], records[0][2]
        cases = [good(what, record, w.statement(record, *who)) for what, record, who in records]
        cases += form_cases(
            first, lambda payload, names=names: cose.sign([w.signer(one) for one in names], payload)
        )
        cases.append(case("not signed", first.encode(), "E5"))
        people = sorted({one for _, _, who in records for one in who})
        keys = [encode(w.signer(one).public.plain()).hex() for one in people]
        write(
            name,
            "statement",
            f"Statements of the family of `{name}`, signed by `keys`.",
            cases,
            keys=keys,
        )
    sealed = notice.seal_notice(w.signer("University"), told, w.sealing("Alice").public)
    plain: dict[str, Record] = {
        "listing": listing,
        "period-root": w.PERIOD,
        "sealed-notice": sealed,
    }
    for name, record in plain.items():
        write(
            name,
            "statement",
            f"A `{name}`, which nobody signs.",
            [good(name, record), *form_cases(record)],
            keys=[],
        )
    leaf = w.logged(w.make_label(digest)).frames
    cases = [
        good("a window", leaf),
        *form_cases(leaf),
        case("no frames", encode(unchecked(leaf, count=0)), "E6"),
    ]
    write("window-frames", "window-frames", "A leaf of a period root's tree.", cases)


def write_ledger() -> None:
    """What the ledger's leaves commit to, with the leaf."""
    salt = bytes(range(32))
    tick = TickRecord(7, 1_700_000_000, bytes(32), 40).encode()
    openings = {"a dummy": None, "a statement": b"\x83abc", "a tick's record": tick}
    cases = [
        case(name, Opening(salt, statement).encode(), leaf=Opening(salt, statement).leaf().hex())
        for name, statement in openings.items()
    ]
    wrong = {
        "a short salt": [tag("opening"), salt[:31], None],
        "another tag": [tag("leaf"), salt, None],
        "a statement as text": [tag("opening"), salt, "x"],
        "one element too many": [tag("opening"), salt, None, None],
    }
    cases += [case(name, encode(value), "G1") for name, value in wrong.items()]
    write(
        "ledger-leaf",
        "opening",
        "What a leaf of the ledger opens to; `leaf` is the ledger's entry.",
        cases,
    )


def main() -> None:
    small = small_charter()
    path = HERE / "charter.json"
    if not path.exists():
        write_charter(small, w.statement(small, "Dede", "University"))
    # the keyset is of the frozen charter
    statement = bytes.fromhex(json.loads(path.read_text())["cases"][0]["bytes"])
    judge = verified_charter.ReceivedCharter.decode(statement).check(None)
    write_cbor()
    write_cose()
    write_windows()
    write_keyset(judge)
    write_account()
    write_statements(judge)
    write_ledger()
    write_ledger_stream()


if __name__ == "__main__":
    main()
