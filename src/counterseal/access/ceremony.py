"""Charters and keysets from draft to log: gather cards, draft, sign in turn, publish. Each step is
a function of files and homes.

Who signs a charter is shown it in words first (`words.charter`); signing version 1 pins it in the
signer's home.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from counterseal.protocol.calendars import Calendar
from counterseal.protocol.charter import (
    Body,
    Caps,
    Charter,
    Custodians,
    Disclosure,
    Ground,
    Issuer,
    Ledger,
    Log,
    Member,
    Notices,
    Opener,
    Reader,
    ReceivedCharter,
    Urgent,
    VerifiedCharter,
    VkeyPair,
    Witness,
    Witnesses,
)
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import BadInput, CountersealError, NotFound, Refused, Unavailable
from counterseal.protocol.keyset import Keyset, ReceivedKeyset
from counterseal.protocol.record import convert

from . import charter_file, keysets, signing
from .charter_file import CharterFile, seconds
from .home import Card, Home, read_card
from .http import Service, Source, get_array
from .rules import Rules

YEAR = 366 * 86_400


class Identity(msgspec.Struct, frozen=True):
    """What a service says of itself before there is a charter: its domain, and the two logs'
    origins and verifier keys.
    """

    domain: str
    log: Log
    ledger_origin: str
    ledger_vkeys: VkeyPair


def identity(source: Source) -> Identity:
    """The service's identity. Nothing vouches for it but the address it was asked at: the signers
    compare it.
    """
    match get_array(source, "/v1/identity"):
        case (
            str(domain),
            str(log),
            (str(log_a), str(log_b)),
            str(ledger),
            (str(ledger_a), str(ledger_b)),
        ):
            return Identity(
                domain, Log(log, VkeyPair(log_a, log_b)), ledger, VkeyPair(ledger_a, ledger_b)
            )
    raise Refused("E6", "The answer of /v1/identity is not [domain, origin, keys, origin, keys].")


def gather(places: Iterable[Path]) -> list[Card]:
    """The cards in files (`*.card` inside a directory), in homes, and in directories of either.
    Raises `BadInput` or `Refused`.
    """
    cards: dict[bytes, Card] = {}
    for place in places:
        if place.is_dir() and not (place / "card").exists():
            found = sorted(
                inner
                for inner in place.iterdir()
                if inner.suffix == ".card" or (inner / "card").exists()
            )
        else:
            found = [place]
        for file in found:
            card = read_card(file)
            cards[card.institution.kid] = card
    if not cards:
        raise BadInput("No card was found; name the homes, or the directories with the card files.")
    return list(cards.values())


def published(source: Source) -> VerifiedCharter | None:
    """The newest charter that a service shows, its chain verified (C1 to C19) and its first one
    taken as shown; None before that.

    For whoever drafts and publishes: a holder or an app compares the first one with its pin instead
    (`rules.Rules`).
    """
    newest: VerifiedCharter | None = None
    for row in get_array(source, "/v1/charters"):
        match row:
            case (bytes(statement), int()):
                newest = ReceivedCharter.decode(statement).check(newest)
            case _:
                raise Refused("E6", "An answer of /v1/charters is not [[charter, index], ...].")
    return newest


def draft(
    file: CharterFile,
    cards: Sequence[Card],
    service: Identity,
    now: int | None = None,
    previous: VerifiedCharter | None = None,
) -> Charter:
    """The charter that file, cards and service make together, checked (C1 to C16): the first, or
    the successor of `previous`.
    """
    of = {
        kind: [card for card in cards if card.kind == kind]
        for kind in ("custodian", "witness", "issuer", "opener")
    }
    start = int(time.time()) // 86_400 * 86_400 if now is None else now
    valid_from = start if file.valid_from is None else file.valid_from
    charter = Charter(
        domain=file.domain or service.domain,
        version=previous.charter.version + 1 if previous else 1,
        previous=previous.digest if previous else None,
        demonstration=file.demonstration,
        custodians=_custodians(file, of["custodian"]),
        witnesses=_witnesses(file, of["witness"]),
        issuers=tuple(_issuer(issuer, of["issuer"]) for issuer in file.issuer),
        authorisation="double-lock",
        grounds=tuple(Ground(ground.name, ground.urgent, ground.words) for ground in file.ground),
        caps=Caps(
            file.caps.units_30_days, file.caps.accounts_per_warrant, file.caps.days_per_warrant
        ),
        urgent=Urgent(
            seconds(file.urgent.max_period),
            seconds(file.urgent.ratify_within),
            file.urgent.calendar,
        ),
        calendars=tuple(
            Calendar(c.name, c.utc_offset_minutes, c.weekdays_off, c.dates_off)
            for c in file.calendar
        ),
        notices=_notices(file),
        retention=seconds(file.retention),
        period_length=seconds(file.period),
        disclosure=tuple(convert([rule.field, rule.when], Disclosure) for rule in file.disclosure),
        log=service.log,
        ledger=_ledger(file, service),
        activation_delay=seconds(file.activation_delay),
        openers=tuple(Opener(card.name, card.institution, card.reader) for card in of["opener"]),
        readers=_readers(cards),
        valid_from=valid_from,
        valid_until=valid_from + YEAR if file.valid_until is None else file.valid_until,
    )
    return charter.check()


def _custodians(file: CharterFile, cards: Sequence[Card]) -> Custodians:
    members: dict[str, list[Card]] = defaultdict(list)
    for card in sorted(cards, key=lambda card: (card.body, card.name)):
        members[card.body].append(card)
    listed = file.custodians.body or tuple(charter_file.Body(name) for name in members)
    bodies: list[Body] = []
    for body in listed:
        there = {
            card.name: Member(card.name, card.institution) for card in members.get(body.name, [])
        }
        wanted = there if body.members is None else body.members
        missing = [name for name in wanted if name not in there]
        if missing or not there:
            raise BadInput(
                f"There is no card of {', '.join(missing) or 'any member'} of the custodian body {body.name!r}."
            )
        chosen = tuple(there[name] for name in wanted)
        bodies.append(
            Body(
                body.name,
                len(chosen) // 2 + 1 if body.threshold is None else body.threshold,
                chosen,
            )
        )
    needed = len(bodies) // 2 + 1 if file.custodians.needed is None else file.custodians.needed
    return Custodians(needed, tuple(bodies))


def _witnesses(file: CharterFile, cards: Sequence[Card]) -> Witnesses:
    there = {card.name: card for card in sorted(cards, key=lambda card: card.name)}
    order = tuple(there) if file.witnesses.order is None else file.witnesses.order
    if missing := [name for name in order if name not in there]:
        raise BadInput(f"There is no card of the witness {missing[0]!r}.")
    members = []
    for card in (there[name] for name in order):
        ed25519, mldsa44 = card.cosigner or ("", "")  # Card.check admits no witness without
        members.append(
            Witness(card.name, card.institution, VkeyPair(ed25519, mldsa44), card.url or "")
        )
    count = len(members)
    w = count // 2 + 1 if file.witnesses.shares is None else file.witnesses.shares
    c = -(-(count + w) // 2) if file.witnesses.cosignatures is None else file.witnesses.cosignatures
    return Witnesses(w, c, tuple(members))


def _issuer(issuer: charter_file.Issuer, cards: Sequence[Card]) -> Issuer:
    for card in cards:
        if card.name == issuer.name:
            return Issuer(card.name, card.body, issuer.roles, card.institution)
    raise BadInput(f"There is no card of the issuer {issuer.name!r}.")


def _notices(file: CharterFile) -> Notices:
    rule = file.notices
    substitute = None if rule.substitute is None else bytes.fromhex(rule.substitute)
    return Notices(
        seconds(rule.delay),
        seconds(rule.extension),
        rule.extensions_max,
        seconds(rule.cadence),
        rule.per_cadence,
        substitute,
    )


def _ledger(file: CharterFile, service: Identity) -> Ledger:
    rule = file.ledger
    times = (seconds(rule.fresh_online), seconds(rule.fresh_offline))
    return Ledger(
        service.ledger_origin,
        service.ledger_vkeys,
        seconds(rule.tick),
        rule.leaves,
        rule.batch,
        *times,
    )


def _readers(cards: Sequence[Card]) -> tuple[Reader, ...]:
    """Everybody with a card reads the ledger: holders, issuers, openers, auditors."""
    taken: list[Reader] = []
    for card in sorted(cards, key=lambda card: (card.kind, card.body, card.name)):
        name = card.name if card.body == card.name else f"{card.name} ({card.body})"
        taken.append(Reader(name[:128], card.reader))
    return tuple(taken)


def charter_in(data: bytes) -> tuple[Charter, bytes]:
    """The charter in a file, signed or not, right in form and fitting, and its digest. Raises
    `Refused` C1 to C16.
    """
    payload = signing.payload_of(data, Charter.limit)
    return Charter.decode(payload).check(), hashlib.sha256(payload).digest()


def sign_charter(home: Home, data: bytes, service_url: str | None = None) -> bytes:
    """The file with this home's signatures. Version 1 is pinned: from now on this home trusts it
    and its successors alone.

    A successor is signed by the holders of the charter before it (C18). Raises `BadInput` for a
    home that is none of those, `Conflict` for a home that pinned another, `NotFound` for one that
    has not read the charter before.
    """
    charter, _ = charter_in(data)
    judge = (
        charter
        if charter.previous is None
        else charter_in(home.charter_statement(charter.previous))[0]
    )
    if home.signer.kid not in {holder.key.kid for holder in judge.holders}:
        which = "this charter" if charter.previous is None else "the charter before this one"
        raise BadInput(
            f"{home.card.name} is no holder of {which}, so its signature would count for nothing."
        )
    signed = signing.add(data, home.signer, Charter.limit)
    accept_charter(home, signed, service_url)
    return signed


def accept_charter(home: Home, data: bytes, service_url: str | None = None) -> bytes:
    """Pins version 1 without signing it, for a home whose signature is not needed. Gives the
    digest.
    """
    charter, digest = charter_in(data)
    if charter.version == 1:
        home.pin(digest)
        home.keep_charter(digest, data)
    if service_url is not None:
        home.remember_service(service_url, charter.domain)
    return digest


def publish_charter(
    service: Service, data: bytes, previous: VerifiedCharter | None = None
) -> tuple[bytes, int]:
    """Publishes a fully signed charter: (digest, index in the log). Raises `Refused` C1 to C19
    before anything is sent.
    """
    verified = ReceivedCharter.decode(data).check(previous)
    match service.post("/v1/charters", (data,)):
        case (bytes(digest), int(index)) if digest == verified.digest:
            _wait_for_log(service, data)
            return digest, index
    raise Refused(
        "C19", "The service answered with another charter's digest than the one that was sent."
    )


def _wait_for_log(service: Service, statement: bytes, patience: float = 60.0) -> None:
    """Returns when a cosigned checkpoint covers the statement. Raises `NotFound` if that takes too
    long: the witnesses are down.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            service.get(f"/v1/log/proof/{entry_hash(statement).hex()}")
            return
        except (NotFound, Unavailable):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def assemble_keyset(service: Service, rules: Rules, quarter: int, patience: float = 30.0) -> bytes:
    """The quarter's draft, signed by each witness that admits it. Waits up to `patience` seconds
    for c of them.

    Asking a witness also makes it draw and deliver its own key, so the draft is read again until it
    has settled.
    """
    charter = rules.latest
    deadline = time.monotonic() + patience
    reasons: dict[str, str] = {}
    while True:
        signed = [
            data
            for witness in charter.charter.witnesses.members
            if (data := _ask(witness, charter, quarter, reasons))
        ]
        groups: dict[bytes, list[bytes]] = defaultdict(list)
        for data in signed:
            groups[signing.payload_of(data, Keyset.limit)].append(data)
        best = max(groups.values(), key=len, default=[])
        if len(best) >= charter.charter.witnesses.c:
            return signing.merge(best, Keyset.limit)
        if time.monotonic() > deadline:
            said = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items()))
            raise Unavailable(
                f"{len(best)} of {charter.charter.witnesses.c} witnesses signed the keyset. {said}"
            )
        time.sleep(0.2)


def _ask(
    witness: Witness, charter: VerifiedCharter, quarter: int, reasons: dict[str, str]
) -> bytes | None:
    reasons.pop(witness.name, None)
    try:
        match get_array(
            Service(witness.url, timeout=20.0), f"/keysets/{charter.digest.hex()}/{quarter}"
        ):
            case (bytes(statement),):
                return statement
    except CountersealError as error:
        reasons[witness.name] = f"{error.code}: {error.message}"
    return None


def sign_keyset(home: Home, rules: Rules, data: bytes, quarter: int) -> bytes:
    """The keyset's file with this home's signatures, after the checks that everybody makes. Raises
    `Refused` K1 to K8.
    """
    keysets.check_draft(home, rules, signing.payload_of(data, Keyset.limit), quarter)
    return signing.add(data, home.signer, Keyset.limit)


def publish_keyset(service: Service, rules: Rules, data: bytes) -> tuple[bytes, int]:
    """Publishes a fully signed keyset: (digest, index in the log). Raises `Refused` K1 to K8 before
    anything is sent.
    """
    received = ReceivedKeyset.decode(data)
    previous = next(reversed(rules.keysets.values()), None)
    verified = received.check(rules.charter(received.keyset.charter_digest), previous)
    match service.post("/v1/keysets", (data,)):
        case (bytes(digest), int(index)) if digest == verified.digest:
            _wait_for_log(service, data)
            return digest, index
    raise Refused(
        "K1", "The service answered with another keyset's digest than the one that was sent."
    )
