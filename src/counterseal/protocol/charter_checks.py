"""What a charter has to be before anybody signs it or goes by it (section 6): numbers, names and
keys that fit one another.

| rule | refuses |
| --- | --- |
| C1 | a first charter that names a predecessor, or a later one that names none |
| C2 | a domain that is no lower-case host name; a name that cannot be printed, or that occurs |
|    | twice in its list |
| C3 | a period length that does not divide a day |
| C4 | custodians of whom more are needed than there are, or none |
| C5 | witnesses of whom more are needed than there are, or none; `2c < W + w` |
| C6 | a key in two places, or a body that is both custodian and witness |
| C7 | a key that is no good key (X6), a verifier key that does not parse, a witness's address |
|    | that is neither empty nor an http(s) URL |
| C8 | issuers without a requester and an approver of another body; an unknown role |
| C9 | grounds that are none, or that occur twice |
| C10 | a cap of zero |
| C11 | an urgent rule (whole periods, ratified within a second to a year, a calendar of the |
|     | charter) or a calendar that cannot be applied |
| C12 | a notice rule without cadence, with over 16 extensions, or with over 20 years of delay in |
|     | all |
| C13 | a disclosure rule for a field that is unknown or occurs twice |
| C14 | a log or ledger of another origin than `DOMAIN/log`, `DOMAIN/ledger`; ledger numbers of |
|     | zero, over 1,024 leaves a tick |
| C15 | a charter that ends before it begins, keeps less than a period, or whose activation delay |
|     | is over a year |
| C16 | no opener; an opener's or reader's sealing key that is bad (K5) or occurs twice |
"""

from __future__ import annotations

import re

from .calendars import DAY
from .charter import APPROVER, DISCLOSABLE, REQUESTER, Charter, Opener, Reader, VkeyPair
from .errors import Refused, refuse_as
from .keys import check_ed25519, check_xwing
from .ledger_leaf import BATCH_MAX, LEAVES_MAX, least_batch
from .vkey import LOG_ED25519, MLDSA44, WITNESS_ED25519, VerifierKey, parse_vkey

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


def check_charter(charter: Charter) -> Charter:
    """The charter again, if its numbers, names and keys fit one another. Raises `Refused` C1 to
    C16.
    """
    _check_version(charter)
    _check_names(charter)
    _check_period(charter)
    _check_quorums(charter)
    _check_separation(charter)
    _check_keys(charter)
    _check_issuers(charter)
    _check_caps(charter)
    _check_urgent(charter)
    _check_notices(charter)
    _check_disclosure(charter)
    _check_logs(charter)
    _check_validity(charter)
    _check_sealing_keys(charter)

    return charter


def _check_version(charter: Charter) -> None:
    if charter.version < 1 or (charter.version == 1) != (charter.previous is None):
        raise Refused("C1", "Charter 1 names no predecessor, and every later one names its own.")


def _check_names(charter: Charter) -> None:
    if not _DOMAIN.fullmatch(charter.domain):
        raise Refused("C2", f"{charter.domain!r} is no lower-case host name.")

    grounds = [ground.name for ground in charter.grounds]
    lists: list[list[str]] = [
        [holder.name for holder in charter.holders],
        [body.name for body in charter.custodians.bodies],
        [issuer.name for issuer in charter.issuers],
        grounds,
        [calendar.name for calendar in charter.calendars],
        [opener.name for opener in charter.openers],
        [reader.name for reader in charter.readers],
    ]
    for names in lists:
        for name in names:
            if not name.isprintable() or name != name.strip():
                raise Refused("C2", f"The name {name!r} holds what a page cannot show.")
            # a ground that occurs twice is C9's to refuse
            if names.count(name) > 1 and names is not grounds:
                raise Refused("C2", f"The name {name!r} is in one list twice.")


def _check_period(charter: Charter) -> None:
    if not charter.period_length or DAY % charter.period_length:
        raise Refused("C3", f"{charter.period_length} s do not divide a day; 3600 do.")


def _check_quorums(charter: Charter) -> None:
    bodies = charter.custodians.bodies
    if not 1 <= charter.custodians.needed <= len(bodies):
        raise Refused("C4", f"Of {len(bodies)} custodian bodies, 1 to all can be needed.")

    for body in bodies:
        if not 1 <= body.threshold <= len(body.members):
            raise Refused("C4", f"Of the members of {body.name!r}, 1 to all can be needed.")

    w, c, count = charter.witnesses.w, charter.witnesses.c, len(charter.witnesses.members)
    if not 1 <= w <= count or not 1 <= c <= count:
        raise Refused("C5", f"Of {count} witnesses, 1 to all give shares, and cosign.")
    if 2 * c < count + w:
        raise Refused("C5", f"With {c} of {count} cosignatures a fork could satisfy {w} witnesses.")


def _check_separation(charter: Charter) -> None:
    signers = [*charter.holders, *charter.issuers, *charter.openers]
    for keys in (
        [signer.key.ed25519 for signer in signers],
        [signer.key.mldsa65 for signer in signers],
    ):
        if len(set(keys)) != len(keys):
            raise Refused("C6", "A key is in two places; each signer has its own.")

    witnesses = {witness.name for witness in charter.witnesses.members}
    if both := witnesses.intersection(body.name for body in charter.custodians.bodies):
        raise Refused("C6", f"{min(both)!r} is custodian and witness at once.")


def _check_keys(charter: Charter) -> None:
    for signer in (*charter.holders, *charter.issuers, *charter.openers):
        with refuse_as("C7", f"The key of {signer.name!r} is no good:"):
            check_ed25519(signer.key.ed25519)

    seen: set[bytes] = set()
    for witness in charter.witnesses.members:
        for key in vkey_pair(witness.vkeys, WITNESS_ED25519):
            if key.key in seen:
                raise Refused("C6", f"The witness {witness.name!r} cosigns with a key of another.")
            seen.add(key.key)
        if witness.url and not re.match(r"https?://[^\s]+\Z", witness.url):
            raise Refused("C7", f"The address of {witness.name!r} is neither empty nor http(s).")


def vkey_pair(pair: VkeyPair, classical: int = LOG_ED25519) -> tuple[VerifierKey, VerifierKey]:
    """The two parsed keys, of one name. `classical` is the Ed25519 key's type byte: 0x01 log, 0x04
    witness. C7.
    """
    keys = parse_vkey(pair.ed25519, (classical,)), parse_vkey(pair.mldsa44, (MLDSA44,))
    if keys[0].name != keys[1].name:
        raise Refused("C7", f"The keys of {keys[0].name!r} and {keys[1].name!r} are no pair.")
    return keys


def _check_issuers(charter: Charter) -> None:
    for issuer in charter.issuers:
        roles = set(issuer.roles)
        if not roles or len(roles) < len(issuer.roles) or roles - {REQUESTER, APPROVER}:
            raise Refused("C8", f"{issuer.name!r} has no role, one twice, or an unknown one.")

    requesters = {issuer.body for issuer in charter.issuers if REQUESTER in issuer.roles}
    approvers = {issuer.body for issuer in charter.issuers if APPROVER in issuer.roles}
    if not any(body != other for body in requesters for other in approvers):
        raise Refused("C8", "The double lock needs a requester, and an approver of another body.")

    grounds = [ground.name for ground in charter.grounds]
    if not grounds or len(set(grounds)) != len(grounds):
        raise Refused("C9", "A charter lists at least one ground, and each once.")


def _check_caps(charter: Charter) -> None:
    caps = charter.caps
    if min(caps.units_30_days, caps.accounts_per_warrant, caps.days_per_warrant) < 1:
        raise Refused("C10", "Each cap is at least 1.")


def _check_urgent(charter: Charter) -> None:
    for calendar in charter.calendars:
        calendar.check()

    urgent = charter.urgent
    if urgent.max_period < charter.period_length or urgent.max_period % charter.period_length:
        raise Refused("C11", "The urgent rule's longest span is one or more whole periods.")
    if not 1 <= urgent.ratify_within <= 366 * DAY:
        raise Refused("C11", "An urgent warrant is ratified within a second to a year.")
    if urgent.calendar not in [calendar.name for calendar in charter.calendars]:
        raise Refused("C11", f"The urgent rule's calendar {urgent.calendar!r} is not there.")


def _check_notices(charter: Charter) -> None:
    notices = charter.notices
    if notices.cadence < 1 or notices.per_cadence < 1:
        raise Refused("C12", "Notices go out every second at most, and one at a time at least.")
    longest = notices.delay + notices.extensions_max * notices.extension
    if notices.extensions_max > 16 or longest > 20 * 366 * DAY:
        raise Refused("C12", "A notice is delayed 16 times and 20 years at most in all.")


def _check_disclosure(charter: Charter) -> None:
    fields = [rule.field for rule in charter.disclosure]
    if len(set(fields)) != len(fields) or set(fields) - set(DISCLOSABLE):
        raise Refused("C13", "The disclosure rule has a field twice, or an unknown one.")


def _check_logs(charter: Charter) -> None:
    for log, name in ((charter.log, "log"), (charter.ledger, "ledger")):
        origin = f"{charter.domain}/{name}"
        keys = vkey_pair(log.vkeys)
        if log.origin != origin or keys[0].name != origin:
            raise Refused("C14", f"The {name}'s origin, and its keys' name, is {origin!r}.")

    if charter.log.vkeys.ed25519.split("+")[2] == charter.ledger.vkeys.ed25519.split("+")[2]:
        raise Refused("C6", "Log and ledger sign with one key; each has its own.")

    ledger = charter.ledger
    if min(ledger.tick, ledger.fresh_online) < 1 or not 2 <= ledger.leaves <= LEAVES_MAX:
        raise Refused("C14", f"Tick and freshness are at least 1, and leaves 2 to {LEAVES_MAX:,}.")

    least = least_batch(ledger.leaves)
    if not least <= ledger.batch <= BATCH_MAX:
        raise Refused("C14", f"{ledger.leaves} leaves take a batch of {least} bytes to 8 MiB.")
    if ledger.fresh_offline < ledger.fresh_online:
        raise Refused("C14", "A checkpoint stays fresh offline at least as long as online.")


def _check_validity(charter: Charter) -> None:
    if charter.valid_from >= charter.valid_until:
        raise Refused("C15", "The charter ends before it begins.")
    if charter.retention < charter.period_length or charter.activation_delay > 366 * DAY:
        raise Refused("C15", "Retention is at least a period, the activation delay at most a year.")


def _check_sealing_keys(charter: Charter) -> None:
    if not charter.openers:
        raise Refused("C16", "A charter names at least one opener.")

    lists: tuple[tuple[Opener | Reader, ...], ...] = (charter.openers, charter.readers)
    for people in lists:
        keys = [person.xwing for person in people]
        if len(set(keys)) != len(keys):
            raise Refused("C16", "Two openers, or two readers, have the same sealing key.")

    for person in (*lists[0], *lists[1]):
        with refuse_as("C16", f"The sealing key of {person.name!r} is no good:"):
            check_xwing(person.xwing)
