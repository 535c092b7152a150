"""A small domain with fixed keys: what the vectors are made from and what the unit tests of
`protocol` play with.

Three custodian bodies (two needed; the court's needs two of its three), three witnesses (two give
shares, three cosign), a prosecutor and an inspector who request, two judges of another body who
approve, one opener. Every key comes from its owner's name.
"""

import functools
import hashlib

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from counterseal.protocol import (
    account,
    charter,
    cose,
    keys,
    keyset,
    quarters,
    release,
    report,
    verified_charter,
    vkey,
    warrant,
    window,
    window_key,
)
from counterseal.protocol.calendars import Calendar
from counterseal.protocol.ledger_key import make_ledger_key
from counterseal.protocol.period import LoggedWindow, PeriodRoot, WindowFrames
from counterseal.protocol.trusted_rules import Rulebook

DOMAIN = "chat.example.org"
HOUR = 3_600
DAY = 24 * HOUR
T0 = 1_800_000_000
"""A Friday in January 2027, 08:00 UTC: the beginning of a period."""
QUARTER = quarters.quarter_of(T0)
BODIES = (
    ("Court", 2, ("Amaro", "Bolt", "Chen")),
    ("Bar", 1, ("Dede", "Eriksen")),
    ("Ombudsman", 1, ("Fahim",)),
)
WITNESSES = ("University", "Gazette", "Auditor")
REASON = "public safety act, section 4"


def seed(name: str, size: int = 32) -> bytes:
    """Bytes that belong to a name, always the same."""
    return hashlib.shake_256(b"counterseal test seed: " + name.encode()).digest(size)


@functools.cache
def signer(name: str) -> keys.InstitutionSigner:
    return keys.InstitutionSigner(seed("sign " + name, 64))


@functools.cache
def sealing(name: str) -> keys.SealingKey:
    return keys.SealingKey(seed("seal " + name))


@functools.cache
def ed25519(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed("ed25519 " + name))


def public(name: str) -> bytes:
    return ed25519(name).public_key().public_bytes_raw()


def vkeys(name: str, kind: int) -> charter.VkeyPair:
    mldsa44 = (
        MLDSA44PrivateKey.from_seed_bytes(seed("mldsa44 " + name)).public_key().public_bytes_raw()
    )
    return charter.VkeyPair(
        vkey.make_vkey(name, kind, public(name)).text(),
        vkey.make_vkey(name, vkey.MLDSA44, mldsa44).text(),
    )


def issuer(name: str, body: str, *roles: str) -> charter.Issuer:
    return charter.Issuer(name, body, roles, signer(name).public)


def make_charter() -> charter.Charter:
    """Charter 1 of the domain, in force from `T0` minus a year on."""
    bodies = tuple(
        charter.Body(
            body, threshold, tuple(charter.Member(name, signer(name).public) for name in members)
        )
        for body, threshold, members in BODIES
    )
    witnesses = tuple(
        charter.Witness(
            name, signer(name).public, vkeys(f"{name.lower()}.example", vkey.WITNESS_ED25519), ""
        )
        for name in WITNESSES
    )
    return charter.Charter(
        domain=DOMAIN,
        version=1,
        previous=None,
        demonstration=False,
        custodians=charter.Custodians(2, bodies),
        witnesses=charter.Witnesses(2, 3, witnesses),
        issuers=(
            issuer("Prosecutor", "Prosecution", "requester"),
            issuer("Inspector", "Prosecution", "requester", "approver"),
            issuer("Judge", "High Court", "approver"),
            issuer("Second Judge", "High Court", "approver", "requester"),
        ),
        authorisation="double-lock",
        grounds=(
            charter.Ground("fraud", False, "fraud act, section 2"),
            charter.Ground("threat", True, REASON),
        ),
        caps=charter.Caps(100, 3, 30),
        urgent=charter.Urgent(6 * HOUR, 48 * HOUR, "court days"),
        calendars=(Calendar("court days", 60, (5, 6), ("2027-01-18",)),),
        notices=charter.Notices(90 * DAY, 90 * DAY, 2, HOUR, 4, None),
        retention=180 * DAY,
        period_length=HOUR,
        disclosure=(
            charter.Disclosure("units", "yearly"),
            charter.Disclosure("ground", "after notice"),
        ),
        log=charter.Log(f"{DOMAIN}/log", vkeys(f"{DOMAIN}/log", vkey.LOG_ED25519)),
        ledger=charter.Ledger(
            f"{DOMAIN}/ledger",
            vkeys(f"{DOMAIN}/ledger", vkey.LOG_ED25519),
            60,
            4,
            16_384,
            HOUR,
            24 * HOUR,
        ),
        activation_delay=DAY,
        openers=(charter.Opener("Opener", signer("Opener").public, sealing("Opener").public),),
        readers=tuple(
            charter.Reader(name, sealing("reader " + name).public)
            for name in ("Amaro", "University")
        ),
        valid_from=T0 - 365 * DAY,
        valid_until=T0 + 365 * DAY,
    )


CHARTER = make_charter()
ALL_HOLDERS = tuple(holder.name for holder in CHARTER.holders)
CUSTODIANS = range(len(ALL_HOLDERS) - len(WITNESSES))
"""The custodians' positions; the witnesses' follow."""
QUORUM = ("Amaro", "Chen", "Dede", "University", "Gazette")
"""Enough people for a charter: the court's two, the bar's one, two witnesses."""


def statement(record, *names: str) -> bytes:
    """The record signed by these institutions."""
    return statement_of(record.encode(), *names)


def statement_of(payload: bytes, *names: str) -> bytes:
    """A record's bytes signed by these institutions."""
    return cose.sign([signer(name) for name in names], payload)


def verified(record=CHARTER, previous=None, names=QUORUM) -> verified_charter.VerifiedCharter:
    return verified_charter.ReceivedCharter.decode(statement(record, *names)).check(previous)


def make_keyset(
    judge: verified_charter.VerifiedCharter, absent=(), quarter=QUARTER, previous=None, **changes
) -> keyset.Keyset:
    held = tuple(
        None
        if name in absent
        else statement(
            keyset.HolderKey(
                DOMAIN, judge.digest, quarter, position, sealing(f"{name} {quarter}").public
            ),
            name,
        )
        for position, name in enumerate(ALL_HOLDERS)
    )
    record = keyset.Keyset(
        domain=DOMAIN,
        charter_digest=judge.digest,
        quarter=quarter,
        previous=previous.digest if previous else None,
        holder_keys=held,
        ledger_key=make_ledger_key(seed(f"ledger {quarter}"), judge, quarter, 0, None),
    )
    return msgspec.structs.replace(record, **changes)


KEYSET_SIGNERS = (*QUORUM, "Auditor")


def verified_keyset(judge: verified_charter.VerifiedCharter, **changes) -> keyset.VerifiedKeyset:
    signed = statement(make_keyset(judge, **changes), *KEYSET_SIGNERS)
    return keyset.ReceivedKeyset.decode(signed).check(judge, changes.get("previous"))


def rulebook(judge: verified_charter.VerifiedCharter, *revocations) -> Rulebook:
    return Rulebook(((0, judge),), tuple(revocations))


# An account, a conversation, a window

ALICE_FIRST = account.Account(
    DOMAIN, public("Alice"), sealing("Alice").public, seed("nonce")[:16], T0 - DAY
)
ALICE, BOB, EVE = ALICE_FIRST.digest(), seed("Bob"), seed("Eve")
CONVERSATION = seed("conversation", 16)
ROSTER = window.Roster.of([(ALICE, public("Alice's phone")), (BOB, public("Bob's phone"))])
WINDOW_KEY = seed("K")


def make_label(charter_digest: bytes, keyset_digest: bytes = bytes(32), **changes) -> window.Label:
    """Alice's window in the hour from T0, its commitment computed from `WINDOW_KEY` unless
    given.
    """
    label = window.Label(
        domain=DOMAIN,
        charter_digest=charter_digest,
        keyset_digest=keyset_digest,
        conversation_id=CONVERSATION,
        account_id=ALICE,
        device_key=public("Alice's phone"),
        roster_epoch=3,
        opens=T0,
        closes=T0 + HOUR,
        serial=1,
        roster_digest=ROSTER.digest(),
        key_commitment=bytes(32),
    )
    label = msgspec.structs.replace(label, **changes)
    if "key_commitment" not in changes:
        commitment = window_key.key_commitment(window_key.derive_prk(label, WINDOW_KEY))
        label = msgspec.structs.replace(label, key_commitment=commitment)
    return label


def logged(label: window.Label) -> LoggedWindow:
    """As if its inclusion had been proved."""
    return LoggedWindow(
        WindowFrames(label.window_id, 2, seed("frames root")),
        PeriodRoot(label.domain, label.opens, label.closes, 1, seed("root"), None),
    )


PERIOD = PeriodRoot(DOMAIN, T0, T0 + HOUR, 1, seed("root"), None)


# A warrant and what follows it


def make_warrant(charter_digest: bytes, **changes) -> warrant.Warrant:
    record = warrant.Warrant(
        domain=DOMAIN,
        charter_digest=charter_digest,
        account_ids=(ALICE,),
        start=T0,
        until=T0 + DAY,
        direction="sent",
        conversations=None,
        ground="fraud",
        urgency="normal",
        units=10,
        opener_key=sealing("Opener").public,
        expires=T0 + 7 * DAY,
        reference="HC 17/2027",
        issued=T0,
    )
    return msgspec.structs.replace(record, **changes)


def make_release(
    record: warrant.Warrant, listing: bytes | None, name: str, **changes
) -> release.Release:
    position = ALL_HOLDERS.index(name)
    made = release.Release(
        domain=DOMAIN,
        charter_digest=record.charter_digest,
        warrant_digest=record.digest(),
        listing_digest=listing,
        position=position,
        opener_key_hash=release.opener_key_hash(record.opener_key),
        notices=(seed("notice " + name),) if name in WITNESSES else (),
    )
    return msgspec.structs.replace(made, **changes)


def make_report(
    record: warrant.Warrant, listing: release.Listing, **changes
) -> report.OpeningReport:
    made = report.OpeningReport(
        domain=DOMAIN,
        charter_digest=record.charter_digest,
        warrant_digest=record.digest(),
        listings=(listing.digest(),),
        windows=len(listing.windows),
        frames=2,
        faults=(),
        evidence_digest=seed("evidence"),
        time=T0 + DAY,
    )
    return msgspec.structs.replace(made, **changes)
