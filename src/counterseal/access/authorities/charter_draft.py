"""A charter's draft: made from `charter.toml`, the institutions' cards and the service's
identity.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from counterseal.access.authorities import charter_file
from counterseal.access.authorities.charter_file import CharterFile, seconds
from counterseal.access.common.card import Card, read_card
from counterseal.access.common.sources import Source, ask
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
    Urgent,
    VkeyPair,
    Witness,
    Witnesses,
)
from counterseal.protocol.charter_checks import check_charter
from counterseal.protocol.errors import BadInput
from counterseal.protocol.record import convert
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.wire.domain import IDENTITY, ServiceIdentity

YEAR = 366 * 86_400


def identity(source: Source) -> ServiceIdentity:
    """The service's identity. Nothing vouches for it but the address it was asked at: the signers
    compare it.
    """
    return ask(source, IDENTITY)


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


def draft(
    file: CharterFile,
    cards: Sequence[Card],
    service: ServiceIdentity,
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
        log=Log(service.log_origin, VkeyPair(*service.log_vkeys)),
        ledger=_ledger(file, service),
        activation_delay=seconds(file.activation_delay),
        openers=tuple(Opener(card.name, card.institution, card.reader) for card in of["opener"]),
        readers=_readers(cards),
        valid_from=valid_from,
        valid_until=valid_from + YEAR if file.valid_until is None else file.valid_until,
    )
    return check_charter(charter)


def _custodians(file: CharterFile, cards: Sequence[Card]) -> Custodians:
    members: dict[str, list[Card]] = defaultdict(list)
    for card in sorted(cards, key=lambda card: (card.body, card.name)):
        members[card.body].append(card)
    listed = file.custodians.body or tuple(charter_file.BodyEntry(name) for name in members)
    bodies: list[Body] = []
    for body in listed:
        there = {
            card.name: Member(card.name, card.institution) for card in members.get(body.name, [])
        }
        wanted = there if body.members is None else body.members
        missing = [name for name in wanted if name not in there]
        if missing or not there:
            raise BadInput(
                f"There is no card of {', '.join(missing) or 'any member'} of the custodian body "
                f"{body.name!r}."
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


def _issuer(issuer: charter_file.IssuerEntry, cards: Sequence[Card]) -> Issuer:
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


def _ledger(file: CharterFile, service: ServiceIdentity) -> Ledger:
    rule = file.ledger
    times = (seconds(rule.fresh_online), seconds(rule.fresh_offline))
    return Ledger(
        service.ledger_origin,
        VkeyPair(*service.ledger_vkeys),
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
