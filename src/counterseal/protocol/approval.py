"""What is signed about a warrant after it: approval, ratification, cancellation, replacement,
extension; and about the people who sign: reinstatement, revocation (section 8).

What they do is in `warrant_statements.py`; who may revoke, in `trusted_rules.py`.
"""

from __future__ import annotations

from typing import ClassVar

from .record import Bytes32, Domain, Record, Time, Uint, Words


class Approval(Record, frozen=True, tag="counterseal/v1/approval"):
    """An approver of another body agrees to a warrant. COSE_Sign by that approver."""

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    time: Time


class Ratification(Record, frozen=True, tag="counterseal/v1/ratification"):
    """An approver of another body agrees to an urgent warrant that has started. COSE_Sign by that
    approver.
    """

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    time: Time


class Cancellation(Record, frozen=True, tag="counterseal/v1/cancellation"):
    """The warrant's requester or an approver ends it."""

    limit: ClassVar[int] = 8_192
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    reason: Words
    time: Time


class Replacement(Record, frozen=True, tag="counterseal/v1/replacement"):
    """The same warrant goes on with another opener's key: `warrant_digest` ends, `successor_digest`
    (requested before, alike but for key, reference and dates) inherits its units. COSE_Sign by the
    requester and an approver."""

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    successor_digest: Bytes32
    time: Time


class Extension(Record, frozen=True, tag="counterseal/v1/extension"):
    """The notices of a warrant are delayed once more; `number` counts from 1. COSE_Sign by the
    requester and an approver.
    """

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    number: Uint
    time: Time


class Reinstatement(Record, frozen=True, tag="counterseal/v1/reinstatement"):
    """An approver lets a requester start urgent warrants again whose last one lapsed."""

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    requester: Bytes32
    time: Time


class Revocation(Record, frozen=True, tag="counterseal/v1/revocation"):
    """What the issuer with key `issuer` (kid) signs from `start` on is void. By the custodians'
    quorum, in the log.
    """

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    issuer: Bytes32
    start: Time
    time: Time
