"""The charter: the published rules of access of a domain (section 6).

This is the record. What it has to be is in `charter_checks.py`; the form in which it judges
anything, with its signatures verified, in `verified_charter.py`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from .calendars import Calendar
from .keys import InstitutionKey
from .record import Bytes32, Domain, Name, Part, Record, Uint, Words, XWingKey
from .tree import BodyNode, CustodiansNode, Tree, WitnessesNode

REQUESTER, APPROVER = "requester", "approver"
DISCLOSABLE = (
    "requested",
    "approved",
    "released",
    "opened",
    "ground",
    "urgency",
    "requester",
    "approver",
    "units",
    "accounts",
    "windows",
    "period",
    "direction",
    "reference",
)
"""Fields of an access that a disclosure rule may speak of."""
READERS_MAX = 512
"""Readers of the ledger, at most."""


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
    """When and how often notices are published (seconds), and the account that is told in place of
    one that is gone.
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
    readers: Annotated[tuple[Reader, ...], Meta(max_length=READERS_MAX)]
    valid_from: Uint
    valid_until: Uint

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
