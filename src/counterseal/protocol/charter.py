"""The charter: the published rules of access of a domain (section 6).

`ReceivedCharter.decode` reads a statement, `check` gives a `VerifiedCharter`, the only form in
which a charter judges anything.

| rule | refuses |
| --- | --- |
| C1 | a first charter that names a predecessor, or a later one that names none |
| C2 | a domain that is no lower-case host name; a name that cannot be printed, or that stands twice in its list |
| C3 | a period length that does not divide a day |
| C4 | custodians of whom more are needed than there are, or none |
| C5 | witnesses of whom more are needed than there are, or none; `2c < W + w` |
| C6 | a key in two places, or a person or body that is both custodian and witness |
| C7 | a key that is no good key, a verifier key that does not parse, a witness's address that is no URL |
| C8 | issuers without a requester and an approver of another body; an unknown role |
| C9 | grounds that are none, or that stand twice |
| C10 | a cap of zero |
| C11 | an urgent rule or a calendar that cannot be applied |
| C12 | a notice rule that cannot be applied |
| C13 | a disclosure rule for a field that is unknown or stands twice |
| C14 | a log or ledger of another origin than `DOMAIN/log`, `DOMAIN/ledger`; ledger numbers that cannot be applied |
| C15 | a validity, a retention or an activation delay that cannot be applied |
| C16 | openers that are none; an opener's or reader's sealing key that is bad or stands twice |
| C17 | a demonstration's charter where an ordinary one is required |
| C18 | a charter without the signatures of both quorums |
| C19 | a charter that is not the next one after the charter in force |
| C20 | a time at which the charter is not in force |
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from .calendars import DAY, Calendar
from .cose import ReceivedSign
from .errors import Refused
from .keys import InstitutionKey, check_ed25519, check_xwing
from .record import Bytes32, Domain, Name, Part, Record, Uint, Words, XWingKey
from .tree import BodyNode, CustodiansNode, Tree, WitnessesNode
from .vkey import LOG_ED25519, MLDSA44, WITNESS_ED25519, VerifierKey, parse_vkey

REQUESTER, APPROVER = "requester", "approver"
DISCLOSABLE = (
    "requested", "approved", "released", "opened", "ground", "urgency", "requester", "approver", "units", "accounts",
    "windows", "period", "direction", "reference",
)  # fmt: skip
"""Fields of an access that a disclosure rule may speak of."""

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


class Member(Part, frozen=True):
    """A person of a custodian body, and the key this person signs with."""

    name: Name
    key: InstitutionKey


class Body(Part, frozen=True):
    """A custodian body: `threshold` of its members decide for it."""

    name: Name
    threshold: Uint
    members: Annotated[tuple[Member, ...], Meta(max_length=255)]


class Custodians(Part, frozen=True):
    """The custodians' quorum: `needed` of the bodies."""

    needed: Uint
    bodies: Annotated[tuple[Body, ...], Meta(max_length=255)]


class VkeyPair(Part, frozen=True):
    """Two verifier keys (C2SP signed-note text) of one signer: Ed25519 and ML-DSA-44."""

    ed25519: Words
    mldsa44: Annotated[str, Meta(max_length=2_400)]


class Witness(Part, frozen=True):
    """A witness: its holder's key, the keys it cosigns with, and where it answers (an empty text:
    by files).
    """

    name: Name
    key: InstitutionKey
    vkeys: VkeyPair
    url: Words


class Witnesses(Part, frozen=True):
    """The witnesses' quorum: shares from `w`, cosignatures from `c`."""

    w: Uint
    c: Uint
    members: Annotated[tuple[Witness, ...], Meta(max_length=255)]


class Issuer(Part, frozen=True):
    """A legal authority that may sign warrants, in the roles given."""

    name: Name
    body: Name
    roles: Annotated[tuple[str, ...], Meta(max_length=2)]
    key: InstitutionKey


class Ground(Part, frozen=True):
    """A permitted ground: its short name, whether it is urgent, and the law's words."""

    name: Name
    urgent: bool
    words: Words


class Caps(Part, frozen=True):
    """Arithmetic against mass access."""

    units_30_days: Uint
    accounts_per_warrant: Uint
    days_per_warrant: Uint


class Urgent(Part, frozen=True):
    """The urgent rule: longest span of periods (seconds), time to ratify (seconds of counting
    days), whose calendar.
    """

    max_period: Uint
    ratify_within: Uint
    calendar: Name


class Notices(Part, frozen=True):
    """When and how often notices are published (seconds), and the account that stands in for one
    that is gone.
    """

    delay: Uint
    extension: Uint
    extensions_max: Uint
    cadence: Uint
    per_cadence: Uint
    substitute: Bytes32 | None


class Disclosure(Part, frozen=True):
    """When a field of an access becomes public; a field without a rule never does."""

    field: Name
    when: Literal["at once", "yearly", "after notice"]


class Log(Part, frozen=True):
    """The log's origin and keys."""

    origin: Name
    vkeys: VkeyPair


class Ledger(Part, frozen=True):
    """The ledger's origin and keys; seconds a tick, leaves a tick, bytes of openings a tick, and
    how old (seconds) a checkpoint may be for a holder online and for one without a network."""

    origin: Name
    vkeys: VkeyPair
    tick: Uint
    leaves: Uint
    batch: Uint
    fresh_online: Uint
    fresh_offline: Uint


class Opener(Part, frozen=True):
    """Who may open what a warrant releases: signing key and sealing key."""

    name: Name
    key: InstitutionKey
    xwing: XWingKey


class Reader(Part, frozen=True):
    """Who reads the ledger: every holder, issuer and auditor has an entry."""

    name: Name
    xwing: XWingKey


class Charter(Record, frozen=True, tag="counterseal/v1/charter"):
    """Everything that decides who may read what, and when. All times and spans are seconds."""

    limit: ClassVar[int] = 1 << 20
    domain: Domain
    version: Uint
    previous: Bytes32 | None
    demonstration: bool
    custodians: Custodians
    witnesses: Witnesses
    issuers: Annotated[tuple[Issuer, ...], Meta(max_length=255)]
    authorisation: Literal["double-lock"]
    grounds: Annotated[tuple[Ground, ...], Meta(max_length=255)]
    caps: Caps
    urgent: Urgent
    calendars: Annotated[tuple[Calendar, ...], Meta(max_length=32)]
    notices: Notices
    retention: Uint
    period_length: Uint
    disclosure: Annotated[tuple[Disclosure, ...], Meta(max_length=32)]
    log: Log
    ledger: Ledger
    activation_delay: Uint
    openers: Annotated[tuple[Opener, ...], Meta(max_length=64)]
    readers: Annotated[tuple[Reader, ...], Meta(max_length=512)]
    valid_from: Uint
    valid_until: Uint

    def check(self) -> Charter:
        """The charter again, if its numbers, names and keys fit one another. Raises `Refused` C1 to
        C16.
        """
        for part in (
            _check_version,
            _check_names,
            _check_period,
            _check_quorums,
            _check_separation,
            _check_keys,
        ):
            part(self)
        for part in (_check_issuers, _check_caps, _check_urgent, _check_notices, _check_disclosure):
            part(self)
        for part in (_check_logs, _check_validity, _check_sealing_keys):
            part(self)
        return self

    @property
    def tree(self) -> Tree:
        """The holders' tree (section 2)."""
        bodies = tuple(
            BodyNode(body.threshold, len(body.members)) for body in self.custodians.bodies
        )
        witnesses = WitnessesNode(self.witnesses.w, len(self.witnesses.members))
        return Tree(CustodiansNode(self.custodians.needed, bodies), witnesses)

    @property
    def holders(self) -> tuple[Member | Witness, ...]:
        """Every holder by position: members of body 0, of body 1, ..., then the witnesses."""
        members = tuple(member for body in self.custodians.bodies for member in body.members)
        return members + self.witnesses.members


class VerifiedCharter(msgspec.Struct, frozen=True, dict=True):
    """A charter that fits (C1 to C16), follows its predecessor (C19) and has both quorums'
    signatures (C18).
    """

    charter: Charter
    digest: bytes
    statement: bytes
    signers: tuple[bytes, ...]

    @cached_property
    def tree(self) -> Tree:
        """The holders' tree."""
        return self.charter.tree

    @cached_property
    def holder_keys(self) -> tuple[InstitutionKey, ...]:
        """Each position's signing key."""
        return tuple(holder.key for holder in self.charter.holders)

    @cached_property
    def positions(self) -> Mapping[bytes, int]:
        """Holder's kid to position."""
        return {key.kid: position for position, key in enumerate(self.holder_keys)}

    @cached_property
    def keys_by_kid(self) -> Mapping[bytes, InstitutionKey]:
        """Every holder's signing key by kid."""
        return {key.kid: key for key in self.holder_keys}

    @cached_property
    def custodian_keys(self) -> Mapping[bytes, InstitutionKey]:
        """The custodians' signing keys by kid."""
        return {key.kid: key for key in self.holder_keys[: self.tree.custodian_count]}

    @cached_property
    def issuers(self) -> Mapping[bytes, Issuer]:
        """Issuers by kid."""
        return {issuer.key.kid: issuer for issuer in self.charter.issuers}

    @cached_property
    def issuer_keys(self) -> Mapping[bytes, InstitutionKey]:
        """The issuers' signing keys by kid."""
        return {kid: issuer.key for kid, issuer in self.issuers.items()}

    @cached_property
    def openers(self) -> Mapping[bytes, Opener]:
        """Openers by sealing key."""
        return {opener.xwing: opener for opener in self.charter.openers}

    def holder_name(self, position: int) -> str:
        """What people call the holder at a position."""
        return self.charter.holders[position].name

    def check_holder(self, position: int) -> InstitutionKey:
        """The signing key of the holder at `position`. Raises `Refused` C18 for a position that the
        charter does not have.
        """
        if not 0 <= position < len(self.holder_keys):
            raise Refused("C18", f"The charter has no holder at position {position}.")
        return self.holder_keys[position]

    def check_quorums(self, kids: Iterable[bytes], witnesses: int) -> tuple[int, ...]:
        """The signers' positions, if they are a custodians' quorum and `witnesses` witnesses.
        Raises `Refused` C18.
        """
        positions = tuple(sorted(self.positions[kid] for kid in kids if kid in self.positions))
        try:
            self.tree.custodian_quorum(positions)
            self.tree.witness_quorum(positions, witnesses)
        except Refused as error:
            raise Refused(
                "C18", f"Signatures are missing: {error.message} Pass it on to those who have not."
            ) from error
        return positions

    def check_valid(self, at: int) -> VerifiedCharter:
        """The charter again, if `at` (seconds, of the clock the domain goes by) is in its validity.
        Raises `Refused` C20.
        """
        if not self.charter.valid_from <= at < self.charter.valid_until:
            raise Refused(
                "C20",
                f"Charter {self.charter.version} is not valid at {at}; fetch the one in force.",
            )
        return self

    def check_ordinary(self) -> VerifiedCharter:
        """The charter again, if it is no demonstration's. Raises `Refused` C17."""
        if self.charter.demonstration:
            raise Refused(
                "C17",
                "This domain's charter is a demonstration's; an ordinary app does not join it.",
            )
        return self


class ReceivedCharter(msgspec.Struct, frozen=True):
    """A charter statement that is right in form, and nothing more."""

    charter: Charter
    cose: ReceivedSign
    statement: bytes

    @classmethod
    def decode(cls, statement: bytes) -> ReceivedCharter:
        """Raises `Refused` E1 to E7, X1, X3, X4."""
        cose = ReceivedSign.decode(statement, Charter.limit)
        return cls(Charter.decode(cose.payload), cose, statement)

    def check(self, previous: VerifiedCharter | None) -> VerifiedCharter:
        """The verified charter. `previous` is the charter before it, None for version 1, which its
        own quorums sign (and which an app pins). Raises `Refused` C1 to C16, C18, C19, X2, X4."""
        charter = self.charter.check()
        digest = hashlib.sha256(self.cose.payload).digest()
        own = VerifiedCharter(charter, digest, self.statement, self.cose.kids)
        check_succession(charter, previous)
        judge = previous or own
        self.cose.verify(judge.keys_by_kid)
        judge.check_quorums(self.cose.kids, judge.charter.witnesses.w)
        return own


def check_succession(charter: Charter, previous: VerifiedCharter | None) -> Charter:
    """The charter again, if it is the next after `previous` (None: the first). Raises `Refused`
    C19.
    """
    if previous is None:
        if charter.version != 1:
            raise Refused(
                "C19",
                f"Charter {charter.version} comes without its predecessor; fetch it from the log first.",
            )
        return charter
    before = previous.charter
    expected = (before.domain, before.version + 1, previous.digest, before.demonstration)
    if (charter.domain, charter.version, charter.previous, charter.demonstration) != expected:
        raise Refused(
            "C19", f"This is not the one successor of charter {before.version} of {before.domain}."
        )
    return charter


def active_from(logged_at: int, previous: VerifiedCharter | None) -> int:
    """When a charter logged at `logged_at` comes into force: the predecessor's activation delay
    later (seconds).
    """
    return logged_at + (previous.charter.activation_delay if previous else 0)


def _check_version(charter: Charter) -> None:
    if charter.version < 1 or (charter.version == 1) != (charter.previous is None):
        raise Refused("C1", "Charter 1 names no predecessor, and every later one names its own.")


def _check_names(charter: Charter) -> None:
    if not _DOMAIN.fullmatch(charter.domain):
        raise Refused(
            "C2",
            f"{charter.domain!r} is no domain; write a lower-case host name, with a port if need be.",
        )
    lists: list[list[str]] = [
        [holder.name for holder in charter.holders],
        [body.name for body in charter.custodians.bodies],
        [issuer.name for issuer in charter.issuers],
        [ground.name for ground in charter.grounds],
        [calendar.name for calendar in charter.calendars],
        [opener.name for opener in charter.openers],
        [reader.name for reader in charter.readers],
    ]
    for names in lists:
        for name in names:
            if not name.isprintable() or name != name.strip():
                raise Refused(
                    "C2", f"The name {name!r} holds what a page cannot show, or spaces around it."
                )
            if names.count(name) > 1 and names is not lists[3]:
                raise Refused(
                    "C2",
                    f"The name {name!r} stands twice in one list; nobody could tell the two apart.",
                )


def _check_period(charter: Charter) -> None:
    if not charter.period_length or DAY % charter.period_length:
        raise Refused(
            "C3", f"A period of {charter.period_length} s does not divide a day; 3600 does."
        )


def _check_quorums(charter: Charter) -> None:
    bodies = charter.custodians.bodies
    if not 1 <= charter.custodians.needed <= len(bodies):
        raise Refused(
            "C4",
            f"{charter.custodians.needed} of {len(bodies)} custodian bodies are needed; 1 to all can be.",
        )
    for body in bodies:
        if not 1 <= body.threshold <= len(body.members):
            raise Refused(
                "C4",
                f"{body.name!r} needs {body.threshold} of {len(body.members)} members; 1 to all can be.",
            )
    w, c, count = charter.witnesses.w, charter.witnesses.c, len(charter.witnesses.members)
    if not 1 <= w <= count or not 1 <= c <= count:
        raise Refused(
            "C5",
            f"Of {count} witnesses, {w} give shares and {c} cosign; each must be 1 to {count}.",
        )
    if 2 * c < count + w:
        raise Refused(
            "C5",
            f"2 * {c} cosignatures are fewer than {count} + {w}: a fork could satisfy {w} witnesses.",
        )


def _check_separation(charter: Charter) -> None:
    signers = [*charter.holders, *charter.issuers, *charter.openers]
    for keys in (
        [signer.key.ed25519 for signer in signers],
        [signer.key.mldsa65 for signer in signers],
    ):
        if len(set(keys)) != len(keys):
            raise Refused(
                "C6", "A key stands in two places; each holder, issuer and opener has its own."
            )
    witnesses = {witness.name for witness in charter.witnesses.members}
    if both := witnesses.intersection(body.name for body in charter.custodians.bodies):
        raise Refused(
            "C6", f"{min(both)!r} is custodian and witness at once; the quorums share nobody."
        )


def _check_keys(charter: Charter) -> None:
    for signer in (*charter.holders, *charter.issuers, *charter.openers):
        try:
            check_ed25519(signer.key.ed25519)
        except Refused as error:
            raise Refused(
                "C7", f"The key of {signer.name!r} is no good: {error.message}"
            ) from error
    seen: set[bytes] = set()
    for witness in charter.witnesses.members:
        for key in vkey_pair(witness.vkeys, WITNESS_ED25519):
            if key.key in seen:
                raise Refused("C6", f"The witness {witness.name!r} cosigns with a key of another.")
            seen.add(key.key)
        if witness.url and not re.match(r"https?://[^\s]+\Z", witness.url):
            raise Refused(
                "C7",
                f"The address of the witness {witness.name!r} is neither empty nor an http(s) URL.",
            )


def vkey_pair(pair: VkeyPair, classical: int = LOG_ED25519) -> tuple[VerifierKey, VerifierKey]:
    """The two parsed keys, of one name. `classical` is the Ed25519 key's type byte: 0x01 log, 0x04
    witness. C7.
    """
    keys = parse_vkey(pair.ed25519, (classical,)), parse_vkey(pair.mldsa44, (MLDSA44,))
    if keys[0].name != keys[1].name:
        raise Refused(
            "C7",
            f"The verifier keys {keys[0].name!r} and {keys[1].name!r} are a pair, so have one name.",
        )
    return keys


def _check_issuers(charter: Charter) -> None:
    for issuer in charter.issuers:
        if (
            not issuer.roles
            or len(set(issuer.roles)) < len(issuer.roles)
            or set(issuer.roles) - {REQUESTER, APPROVER}
        ):
            raise Refused(
                "C8",
                f"The issuer {issuer.name!r} has no role, or one that is not requester or approver.",
            )
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
        raise Refused(
            "C11", "The urgent rule's longest span is whole periods of the charter, at least one."
        )
    if not 1 <= urgent.ratify_within <= 366 * DAY:
        raise Refused("C11", "An urgent warrant is ratified within a second to a year.")
    if urgent.calendar not in [calendar.name for calendar in charter.calendars]:
        raise Refused(
            "C11",
            f"The urgent rule goes by the calendar {urgent.calendar!r}, which the charter does not have.",
        )


def _check_notices(charter: Charter) -> None:
    notices = charter.notices
    if notices.cadence < 1 or notices.per_cadence < 1:
        raise Refused(
            "C12",
            "Notices are published at a cadence of at least a second, at least one at a time.",
        )
    if (
        notices.extensions_max > 16
        or notices.delay + notices.extensions_max * notices.extension > 20 * 366 * DAY
    ):
        raise Refused(
            "C12",
            "A notice's delay is extended at most 16 times, and by no more than 20 years in all.",
        )


def _check_disclosure(charter: Charter) -> None:
    fields = [rule.field for rule in charter.disclosure]
    if len(set(fields)) != len(fields) or set(fields) - set(DISCLOSABLE):
        raise Refused(
            "C13",
            f"The disclosure rule speaks of a field twice, or of none of {', '.join(DISCLOSABLE)}.",
        )


_TICK_RECORD, _DUMMY = 137, 63
"""Bytes that a tick's record and a dummy take in the ledger's stream (docs/tlog.md): together at
most half of a batch.
"""


def _check_logs(charter: Charter) -> None:
    for log, name in ((charter.log, "log"), (charter.ledger, "ledger")):
        origin = f"{charter.domain}/{name}"
        keys = vkey_pair(log.vkeys)
        if log.origin != origin or keys[0].name != origin:
            raise Refused(
                "C14",
                f"The {name}'s origin and its keys' name are {origin!r}; this charter has others.",
            )
    if charter.log.vkeys.ed25519.split("+")[2] == charter.ledger.vkeys.ed25519.split("+")[2]:
        raise Refused("C6", "Log and ledger sign with one key; each has its own.")
    ledger = charter.ledger
    if (
        min(ledger.tick, ledger.leaves, ledger.batch, ledger.fresh_online) < 1
        or ledger.leaves > 1_024
    ):
        raise Refused(
            "C14", "The ledger's tick, leaves (up to 1,024), batch and freshness are at least 1."
        )
    least = 2 * (_TICK_RECORD + (ledger.leaves - 1) * _DUMMY)
    if ledger.leaves < 2 or not least <= ledger.batch <= 8 << 20:
        raise Refused(
            "C14",
            f"A tick has at least 2 leaves, and {ledger.leaves} of them take a batch of {least} bytes to 8 MiB.",
        )
    if ledger.fresh_offline < ledger.fresh_online:
        raise Refused("C14", "A checkpoint stays fresh offline at least as long as online.")


def _check_validity(charter: Charter) -> None:
    if charter.valid_from >= charter.valid_until:
        raise Refused("C15", "The charter ends before it begins.")
    if charter.retention < charter.period_length or charter.activation_delay > 366 * DAY:
        raise Refused(
            "C15", "Retention is at least a period, and the activation delay at most a year."
        )


def _check_sealing_keys(charter: Charter) -> None:
    if not charter.openers:
        raise Refused("C16", "A charter names at least one opener.")
    lists: tuple[tuple[Opener | Reader, ...], ...] = (charter.openers, charter.readers)
    for people in lists:
        keys = [person.xwing for person in people]
        if len(set(keys)) != len(keys):
            raise Refused("C16", "Two openers, or two readers, have the same sealing key.")
    for person in (*lists[0], *lists[1]):
        try:
            check_xwing(person.xwing)
        except Refused as error:
            raise Refused(
                "C16", f"The sealing key of {person.name!r} is no good: {error.message}"
            ) from error
