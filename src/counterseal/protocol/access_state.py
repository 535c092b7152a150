"""The ledger as a fold: every warrant's life, from the statements in order and their ticks' times
(section 8).

A statement that a rule refuses has no effect; the rule is kept as the reason. Nothing here reads a
clock: time is what the ledger says, and it only moves on. Decisions about an access are in
`decision.py`.

| rule | refuses |
| --- | --- |
| W2 | a warrant that is not signed by exactly one issuer in role requester |
| W6 | an approval or ratification that is not signed by exactly one issuer in role approver; a warrant without it |
| W7 | an approver of the requester's own body |
| W8 | units beyond the charter's cap on 30 days |
| W11 | anything under a warrant that is cancelled or replaced |
| W13 | an urgent warrant while another is not ratified, or by a requester who is barred |
| W14 | a ratification after its time; anything under an urgent warrant that lapsed |
| W15 | a statement out of order: no request before it, or the same step twice |
| W16 | a replacement by a warrant that differs in more than key, reference and dates |
| W17 | an extension that is not the next, one too many, or not signed by the requester and an approver |
| W18 | a cancellation, reinstatement or revocation by somebody who may not |
| R7 | a listing that is not the warrant's next, is unsorted, or repeats a window |
| R8 | units beyond the warrant's |
| R9 | a release that its holder did not sign, or gave already |
| R10 | a release out of order: of no listing, or a witness's before the custodians' quorum |
| R12 | a release to another key than the warrant's opener |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from .approval import Approval, Cancellation, Extension, Ratification, Reinstatement, Replacement
from .calendars import DAY
from .charter import APPROVER, REQUESTER, Issuer
from .errors import BadInput, FatalError, Refused
from .ledger_statement import LedgerStatement
from .record import Record
from .release import Listing, Release, opener_key_hash
from .report import Destruction, OpeningReport, check_report
from .trusted_rules import Rulebook
from .verified_charter import VerifiedCharter
from .warrant import Warrant, check_not_expired, check_warrant

CAP_SPAN = 30 * DAY
"""Seconds over which the cap on units is counted."""

R = TypeVar("R", bound=Record)


class LoggedRelease(msgspec.Struct, frozen=True):
    """A release that counts, and when the ledger took it."""

    release: Release
    time: int


class Access(msgspec.Struct, frozen=True):
    """One warrant's life so far. Times are the ledger's, None for what has not happened; signers
    are kids.
    """

    warrant: Warrant
    digest: bytes
    requester: bytes
    requested_at: int
    ratify_by: int | None = None
    approver: bytes | None = None
    approved_at: int | None = None
    counted_at: int | None = None
    inherited: int = 0
    cancelled_at: int | None = None
    lapsed_at: int | None = None
    replaced_by: bytes | None = None
    extended_at: tuple[int, ...] = ()
    listings: tuple[tuple[bytes, Listing], ...] = ()
    releases: tuple[LoggedRelease, ...] = ()
    reports: tuple[OpeningReport, ...] = ()
    destroyed_at: int | None = None

    @property
    def ended_at(self) -> int | None:
        """When it was cancelled, replaced or lapsed; expiry needs no statement."""
        return self.cancelled_at if self.lapsed_at is None else self.lapsed_at

    @property
    def used(self) -> int:
        """Units of the listings that any holder has released, those of the warrant it replaced
        included.
        """
        released = {logged.release.listing_digest for logged in self.releases}
        standing = None in released
        return self.inherited + max(
            (one.units for digest, one in self.listings if standing or digest in released),
            default=0,
        )

    def listing(self, digest: bytes) -> Listing:
        """The warrant's listing with this digest. Raises `Refused` R10."""
        for known, listing in self.listings:
            if known == digest:
                return listing
        raise Refused(
            "R10",
            "The ledger has no such listing of this warrant; a listing is logged before it is released.",
        )

    def released_by(self, listing_digest: bytes) -> tuple[int, ...]:
        """Positions whose release statements cover this listing, standing ones included."""
        covers = (None, listing_digest)
        return tuple(
            one.release.position for one in self.releases if one.release.listing_digest in covers
        )


class Outcome(msgspec.Struct, frozen=True):
    """What one statement did: nothing, for the `rule` named, or (None) what its kind says."""

    time: int
    kind: str
    digest: bytes
    rule: str | None
    message: str


class AccessState:
    """The fold. `apply` every statement of the ledger in order; then ask `decision.py`."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self.time = 0
        self.accesses: dict[bytes, Access] = {}
        self.barred: dict[bytes, int] = {}
        self.outcomes: list[Outcome] = []

    def apply(self, time: int, data: bytes) -> Outcome:
        """Takes in one statement at its tick's `time` (seconds). A statement that is refused has no
        effect and is an outcome, not an exception. Raises `BadInput` if time runs backwards."""
        self.advance(time)
        kind, digest, rule, message = "", b"", None, "taken"
        try:
            received = LedgerStatement.decode(data)
            kind, digest = received.record.tag(), received.record.digest()
            _HANDLERS[type(received.record)](self, time, received)
        except Refused as error:
            rule, message = error.rule, error.message
        outcome = Outcome(time, kind, digest, rule, message)
        self.outcomes.append(outcome)
        return outcome

    def advance(self, time: int) -> None:
        """Moves to `time` without a statement: urgent warrants whose time to be ratified is over
        lapse, requesters are barred. Raises `BadInput` if time runs backwards."""
        if time < self.time:
            raise BadInput(
                f"The ledger's time went back from {self.time} to {time}; read it from the start, in order."
            )
        self.time = time
        for access in self.accesses.values():
            unratified = (
                access.ratify_by is not None
                and access.approved_at is None
                and access.ended_at is None
            )
            if unratified and access.ratify_by is not None and time >= access.ratify_by:
                self._put(access, lapsed_at=access.ratify_by)
                self.barred[access.requester] = access.ratify_by

    def access(self, digest: bytes) -> Access:
        """The warrant with this digest, as requested in the ledger. Raises `Refused` W15."""
        access = self.accesses.get(digest)
        if access is None:
            raise Refused(
                "W15",
                "The ledger has no valid request of this warrant; it is requested there first.",
            )
        return access

    def committed(self, time: int) -> int:
        """Units that count against the cap at `time`: declared ones while a warrant runs, used ones
        after its end.
        """
        total = 0
        for access in self.accesses.values():
            if (
                access.counted_at is None
                or access.replaced_by is not None
                or access.counted_at <= time - CAP_SPAN
            ):
                continue
            over = access.ended_at is not None or time >= access.warrant.expires
            total += access.used if over else access.warrant.units
        return total

    def check_running(self, digest: bytes, time: int) -> Access:
        """The access, if shares may be released under it at `time`. Raises `Refused` W6, W10, W11,
        W12, W14 or W15.
        """
        access = self.access(digest)
        if access.cancelled_at is not None:
            raise Refused("W11", f"The warrant was cancelled or replaced at {access.cancelled_at}.")
        unratified = access.ratify_by is not None and access.approved_at is None
        if access.lapsed_at is not None or (
            unratified and access.ratify_by is not None and time >= access.ratify_by
        ):
            raise Refused(
                "W14",
                f"The urgent warrant lapsed at {access.ratify_by}: nobody ratified it in time.",
            )
        if access.approved_at is None and not unratified:
            raise Refused(
                "W6",
                "No approver has approved the warrant; the double lock needs one of another body.",
            )
        check_not_expired(access.warrant, time)
        self.rulebook.check_not_revoked(access.requester, access.requested_at)
        if access.approver is not None and access.approved_at is not None:
            self.rulebook.check_not_revoked(access.approver, access.approved_at)
        return access

    # How a statement changes the state: each method checks, then puts.

    def _put(self, access: Access, **changes: Any) -> None:
        self.accesses[access.digest] = msgspec.structs.replace(access, **changes)

    def _signers(self, received: LedgerStatement, time: int) -> list[tuple[bytes, Issuer]]:
        charter = self.rulebook.in_force(time)
        kids = received.signed.verify(charter.issuer_keys)
        return [(self.rulebook.check_not_revoked(kid, time), charter.issuers[kid]) for kid in kids]

    def _one(
        self, received: LedgerStatement, time: int, role: str, rule: str
    ) -> tuple[bytes, Issuer]:
        signers = self._signers(received, time)
        if len(signers) != 1 or role not in signers[0][1].roles:
            raise Refused(
                rule, f"This is signed by exactly one issuer in role {role}; here it is not."
            )
        return signers[0]

    def _check_named(self, record: Any) -> VerifiedCharter:
        if record.domain != self.rulebook.domain:
            raise Refused(
                "W1", f"The statement is of {record.domain!r}, not of {self.rulebook.domain!r}."
            )
        return self.rulebook.charter(record.charter_digest)

    def _of(self, record: Any) -> Access:
        """The access that a later statement names, under the same charter."""
        self._check_named(record)
        access = self.access(record.warrant_digest)
        if access.warrant.charter_digest != record.charter_digest:
            raise Refused("W1", "The statement names another charter than its warrant.")
        return access

    def _check_other_body(self, access: Access, approver: Issuer) -> None:
        requester = self.rulebook.issuer(access.requester, access.requested_at)
        if requester.body == approver.body:
            raise Refused(
                "W7",
                f"{approver.name!r} and {requester.name!r} are both of {approver.body!r}; another body approves.",
            )

    def _check_cap(self, warrant: Warrant, time: int) -> None:
        cap = self.rulebook.in_force(time).charter.caps.units_30_days
        if self.committed(time) + warrant.units > cap:
            raise Refused(
                "W8",
                f"{self.committed(time)} units of 30 days are committed; {warrant.units} more pass {cap}.",
            )

    def _request(self, time: int, received: LedgerStatement) -> None:
        warrant = _as(received.record, Warrant)
        period_length = self._check_named(warrant).charter.period_length
        kid, _ = self._one(received, time, REQUESTER, "W2")
        in_force = self.rulebook.in_force(time).charter
        check_not_expired(check_warrant(warrant, period_length, in_force), time)
        digest = warrant.digest()
        if digest in self.accesses:
            raise Refused("W15", "This warrant has been requested already.")
        access = Access(warrant, digest, kid, time)
        if warrant.urgent:
            access = self._start_urgent(access, time)
        self.accesses[digest] = access

    def _start_urgent(self, access: Access, time: int) -> Access:
        if access.requester in self.barred:
            raise Refused(
                "W13",
                "This requester's last urgent warrant lapsed; an approver reinstates before the next.",
            )
        waiting = [
            one
            for one in self.accesses.values()
            if one.ratify_by and not one.approved_at and not one.ended_at
        ]
        if waiting:
            raise Refused("W13", "An urgent warrant waits to be ratified; one at a time.")
        self._check_cap(access.warrant, time)
        charter = self.rulebook.in_force(time).charter
        calendar = next(one for one in charter.calendars if one.name == charter.urgent.calendar)
        deadline = calendar.deadline(time, charter.urgent.ratify_within)
        return msgspec.structs.replace(access, ratify_by=deadline, counted_at=time)

    def _approve(self, time: int, received: LedgerStatement) -> None:
        access = self._of(received.record)
        if access.warrant.urgent or access.approved_at is not None:
            raise Refused(
                "W15",
                "The warrant is approved already, or is urgent and waits for a ratification instead.",
            )
        kid = self._check_approver(access, time, received)
        self._check_cap(access.warrant, time)
        self._put(access, approver=kid, approved_at=time, counted_at=time)

    def _ratify(self, time: int, received: LedgerStatement) -> None:
        access = self._of(received.record)
        if access.lapsed_at is not None:
            raise Refused(
                "W14", f"The urgent warrant lapsed at {access.lapsed_at}; ratifying comes too late."
            )
        if not access.warrant.urgent or access.approved_at is not None:
            raise Refused(
                "W15",
                "The warrant is ratified already, or is not urgent and waits for an approval instead.",
            )
        self._put(access, approver=self._check_approver(access, time, received), approved_at=time)

    def _check_approver(self, access: Access, time: int, received: LedgerStatement) -> bytes:
        if access.cancelled_at is not None:
            raise Refused("W11", f"The warrant was cancelled at {access.cancelled_at}.")
        check_not_expired(access.warrant, time)
        self.rulebook.check_not_revoked(access.requester, access.requested_at)
        kid, approver = self._one(received, time, APPROVER, "W6")
        self._check_other_body(access, approver)
        return kid

    def _cancel(self, time: int, received: LedgerStatement) -> None:
        access = self._of(received.record)
        signers = self._signers(received, time)
        if len(signers) != 1 or not (
            signers[0][0] == access.requester or APPROVER in signers[0][1].roles
        ):
            raise Refused("W18", "A warrant is cancelled by its requester or by an approver.")
        if access.ended_at is not None:
            raise Refused("W15", "The warrant has ended already.")
        self._put(access, cancelled_at=time)

    def _check_both(self, access: Access, time: int, received: LedgerStatement, rule: str) -> bytes:
        """The approver's kid, of a statement that the warrant's requester and an approver of
        another body signed.
        """
        signers = self._signers(received, time)
        approvers = [(kid, issuer) for kid, issuer in signers if kid != access.requester]
        if len(signers) != 2 or len(approvers) != 1 or APPROVER not in approvers[0][1].roles:
            raise Refused(rule, "This is signed by the warrant's requester and by one approver.")
        self._check_other_body(access, approvers[0][1])
        return approvers[0][0]

    def _replace(self, time: int, received: LedgerStatement) -> None:
        record = _as(received.record, Replacement)
        old, new = self._of(record), self.access(record.successor_digest)
        approver = self._check_both(old, time, received, "W16")
        self.check_running(old.digest, time)
        if old.approved_at is None:
            raise Refused("W16", "An urgent warrant is ratified before it is replaced.")
        if (
            new.approved_at is not None
            or new.warrant.urgent
            or new.requester != old.requester
            or new.ended_at is not None
        ):
            raise Refused(
                "W16",
                "A warrant is replaced by a normal one of its requester that is requested, and no more.",
            )
        check_not_expired(new.warrant, time)
        if _kept(old.warrant) != _kept(new.warrant) or new.warrant.expires > old.warrant.expires:
            raise Refused(
                "W16",
                "The warrant that replaces another differs in key, reference and earlier end alone.",
            )
        self._put(old, cancelled_at=time, replaced_by=new.digest)
        self._put(
            new, approver=approver, approved_at=time, counted_at=old.counted_at, inherited=old.used
        )

    def _extend(self, time: int, received: LedgerStatement) -> None:
        record = _as(received.record, Extension)
        access = self._of(record)
        self._check_both(access, time, received, "W17")
        if access.lapsed_at is not None:
            raise Refused("W14", "The urgent warrant lapsed; its notices are not delayed.")
        most = self.rulebook.in_force(time).charter.notices.extensions_max
        if record.number != len(access.extended_at) + 1 or record.number > most:
            raise Refused("W17", f"Extension {record.number} is not the next of at most {most}.")
        self._put(access, extended_at=(*access.extended_at, time))

    def _reinstate(self, time: int, received: LedgerStatement) -> None:
        record = _as(received.record, Reinstatement)
        self._check_named(record)
        _, approver = self._one(received, time, APPROVER, "W18")
        requester = self.rulebook.in_force(time).issuers.get(record.requester)
        if requester is not None and requester.body == approver.body:
            raise Refused("W7", "A requester is reinstated by an approver of another body.")
        if record.requester not in self.barred:
            raise Refused("W15", "That requester is not barred.")
        del self.barred[record.requester]

    def _list(self, time: int, received: LedgerStatement) -> None:
        listing = _as(received.record, Listing)
        access = self.check_running(listing.warrant_digest, time)
        if listing.domain != self.rulebook.domain:
            raise Refused("W1", "The listing is of another domain.")
        if listing.number != len(access.listings) or list(listing.windows) != sorted(
            set(listing.windows)
        ):
            raise Refused(
                "R7",
                f"Listing {len(access.listings)} comes next, its windows sorted and each once.",
            )
        before = {window for _, earlier in access.listings for window in earlier.windows}
        if not before.isdisjoint(listing.windows):
            raise Refused("R7", "The listing repeats a window of an earlier one.")
        floor = access.listings[-1][1].units if access.listings else 1
        if not floor <= listing.units <= access.warrant.units - access.inherited:
            raise Refused(
                "R8",
                f"The listing brings the units to {listing.units}; {floor} to the warrant's units may be.",
            )
        self._put(access, listings=(*access.listings, (listing.digest(), listing)))

    def _release(self, time: int, received: LedgerStatement) -> None:
        release = _as(received.record, Release)
        charter = self._check_named(release)
        access = self._of(release)
        self.check_running(access.digest, time)
        holder = charter.check_holder(release.position)
        if received.signed.verify({holder.kid: holder}) != (holder.kid,):
            raise Refused("R9", "A release is signed by its holder alone.")
        check_release(access, release, charter)
        self._put(access, releases=(*access.releases, LoggedRelease(release, time)))

    def _report(self, time: int, received: LedgerStatement) -> None:
        report = _as(received.record, OpeningReport)
        access = self._of(report)
        self._check_opener(access, received)
        charter = self.rulebook.charter(access.warrant.charter_digest)
        released = {
            digest: one for digest, one in access.listings if _released(access, digest, charter)
        }
        check_report(report, released)
        self._put(access, reports=(*access.reports, report))

    def _destroy(self, time: int, received: LedgerStatement) -> None:
        access = self._of(received.record)
        self._check_opener(access, received)
        if access.destroyed_at is not None:
            raise Refused("W15", "The destruction has been logged already.")
        self._put(access, destroyed_at=time)

    def _check_opener(self, access: Access, received: LedgerStatement) -> None:
        opener = self.rulebook.in_force(access.requested_at).openers.get(access.warrant.opener_key)
        if opener is None:
            raise Refused(
                "W9", "The charter that the warrant was judged by has no opener with its key."
            )
        try:
            received.signed.verify({opener.key.kid: opener.key})
        except Refused as error:
            raise Refused(
                "O1", f"This is signed by the warrant's opener, {opener.name!r}. {error.message}"
            ) from error


def check_release(access: Access, release: Release, charter: VerifiedCharter) -> Release:
    """The release again, if this holder's turn has come. Signature and warrant are checked already.
    Raises `Refused` N1, R9, R10 or R12."""
    if release.opener_key_hash != opener_key_hash(access.warrant.opener_key):
        raise Refused("R12", "The release is to another key than the warrant's opener's.")
    witness = release.position in charter.tree.witness_positions()
    digest = release.listing_digest
    if digest is None and witness:
        raise Refused(
            "R10", "A witness releases listing by listing; only custodians give a standing release."
        )
    if digest is not None:
        access.listing(digest)
    mine = [
        one.release.listing_digest
        for one in access.releases
        if one.release.position == release.position
    ]
    if digest in mine or None in mine:
        raise Refused("R9", f"Position {release.position} has released this already.")
    if witness and digest is not None:
        try:
            charter.tree.custodian_quorum(access.released_by(digest))
        except Refused as error:
            raise Refused(
                "R10", f"Witnesses release after the custodians' quorum. {error.message}"
            ) from error
    if witness != bool(release.notices):
        raise Refused(
            "N1", "A witness commits to a notice with each release, and nobody else does."
        )
    return release


def check_released(access: Access, listing_digest: bytes, charter: VerifiedCharter) -> Listing:
    """The listing, if both quorums' releases of it are in the ledger. Raises `Refused` R10."""
    listing = access.listing(listing_digest)
    if not _released(access, listing_digest, charter):
        raise Refused("R10", "Both quorums have not released this listing yet.")
    return listing


def _released(access: Access, listing_digest: bytes, charter: VerifiedCharter) -> bool:
    positions = access.released_by(listing_digest)
    try:
        charter.tree.custodian_quorum(positions)
        charter.tree.witness_quorum(positions)
    except Refused:
        return False
    return True


def _kept(warrant: Warrant) -> Warrant:
    """The warrant without what its replacement may change."""
    return msgspec.structs.replace(
        warrant, opener_key=b"", expires=0, reference="", issued=0, urgency="normal"
    )


def _as(record: Record, kind: type[R]) -> R:
    if not isinstance(record, kind):  # the table below sends each kind to its own method
        raise FatalError(
            f"A {record.tag()} came where a {kind.tag()} is handled; this is a bug of ours."
        )
    return record


_HANDLERS: dict[type[Record], Callable[[AccessState, int, LedgerStatement], None]] = {
    Warrant: AccessState._request,
    Approval: AccessState._approve,
    Ratification: AccessState._ratify,
    Cancellation: AccessState._cancel,
    Replacement: AccessState._replace,
    Extension: AccessState._extend,
    Reinstatement: AccessState._reinstate,
    Listing: AccessState._list,
    Release: AccessState._release,
    OpeningReport: AccessState._report,
    Destruction: AccessState._destroy,
}
