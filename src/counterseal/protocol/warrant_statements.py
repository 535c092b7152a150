"""What the statements about a warrant do, from its request to its end (section 8).

Each function checks a statement against the fold, then changes it; what is refused changes nothing.

| rule | refuses |
| --- | --- |
| W2 | a warrant that is not signed by exactly one issuer in role requester |
| W16 | a replacement by a warrant that differs in more than opener's key, reference, dates of |
|     | issue and (earlier) expiry |
| W17 | an extension that is not the next, is one too many, or is not signed by the warrant's |
|     | requester and an approver |
"""

from __future__ import annotations

import msgspec

from .access import Access
from .access_fold import AccessFold, as_kind
from .approval import Extension, Reinstatement, Replacement
from .charter import APPROVER, REQUESTER
from .errors import Refused
from .ledger_statement import LedgerStatement
from .warrant import Warrant, check_not_expired, check_warrant


def take_request(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """A warrant is asked for. Raises `Refused` W1 to W5, W8 to W10, W12, W13, W15, W19, W20, X2,
    X4.
    """
    warrant = as_kind(received.record, Warrant)
    named = fold.check_named(warrant).charter
    kid, _ = fold.one_signer(received, time, REQUESTER, "W2")
    in_force = fold.rulebook.in_force(time).charter
    check_warrant(warrant, named, in_force, time)
    digest = warrant.digest()
    if digest in fold.accesses:
        raise Refused("W15", "This warrant has been requested already.")
    access = Access(warrant, digest, kid, time)
    if warrant.urgent:
        access = _start_urgent(fold, access, time)
    fold.accesses[digest] = access


def _start_urgent(fold: AccessFold, access: Access, time: int) -> Access:
    if access.requester in fold.barred:
        raise Refused("W13", "This requester's last urgent warrant lapsed; reinstate first.")

    others = fold.accesses.values()
    if any(one.ratify_until is not None and one.ended_at is None for one in others):
        raise Refused("W13", "An urgent warrant waits to be ratified; one at a time.")

    fold.check_cap(access.warrant, time)
    charter = fold.rulebook.in_force(time).charter
    calendar = next(one for one in charter.calendars if one.name == charter.urgent.calendar)
    deadline = calendar.deadline(time, charter.urgent.ratify_within)
    return msgspec.structs.replace(access, ratify_by=deadline, counted_at=time)


def take_approval(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """An approver agrees to a warrant. Raises `Refused` W1, W6 to W8, W10 to W12, W15, X2, X4."""
    access = fold.of(received.record)
    if access.warrant.urgent or access.approved_at is not None:
        raise Refused("W15", "The warrant is approved already, or is urgent: then ratify it.")
    kid = _check_approver(fold, access, time, received)
    fold.check_cap(access.warrant, time)
    fold.put(access, approver=kid, approved_at=time, counted_at=time)


def take_ratification(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """An approver agrees to an urgent one. Raises `Refused` W1, W6, W7, W10 to W12, W14, W15, X2,
    X4.
    """
    access = fold.of(received.record)
    if access.lapsed_at is not None:
        raise Refused("W14", f"The urgent warrant lapsed at {access.lapsed_at}.")
    if not access.warrant.urgent or access.approved_at is not None:
        raise Refused("W15", "The warrant is ratified already, or is not urgent: then approve it.")
    fold.put(access, approver=_check_approver(fold, access, time, received), approved_at=time)


def _check_approver(
    fold: AccessFold, access: Access, time: int, received: LedgerStatement
) -> bytes:
    if access.cancelled_at is not None:
        raise Refused("W11", f"The warrant was cancelled at {access.cancelled_at}.")
    check_not_expired(access.warrant, time)
    fold.rulebook.check_not_revoked(access.requester, access.requested_at)
    kid, approver = fold.one_signer(received, time, APPROVER, "W6")
    fold.check_other_body(access, approver)
    return kid


def take_cancellation(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """A warrant ends. Raises `Refused` W1, W12, W15, W18, X2, X4."""
    access = fold.of(received.record)
    signers = fold.signers(received, time)
    if len(signers) != 1 or not (
        signers[0][0] == access.requester or APPROVER in signers[0][1].roles
    ):
        raise Refused("W18", "A warrant is cancelled by its requester or by an approver.")
    if access.ended_at is not None:
        raise Refused("W15", "The warrant has ended already.")
    fold.put(access, cancelled_at=time)


def _check_both(
    fold: AccessFold, access: Access, time: int, received: LedgerStatement, rule: str
) -> bytes:
    """The approver's kid, of a statement that the warrant's requester and an approver of
    another body signed.
    """
    signers = fold.signers(received, time)
    approvers = [(kid, issuer) for kid, issuer in signers if kid != access.requester]
    if len(signers) != 2 or len(approvers) != 1 or APPROVER not in approvers[0][1].roles:
        raise Refused(rule, "This is signed by the warrant's requester and by one approver.")
    fold.check_other_body(access, approvers[0][1])
    return approvers[0][0]


def take_replacement(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """Another warrant goes on in a warrant's place. Raises `Refused` W1, W6, W7, W10 to W12, W14 to
    W16.
    """
    record = as_kind(received.record, Replacement)
    old, new = fold.of(record), fold.access(record.successor_digest)
    approver = _check_both(fold, old, time, received, "W16")
    fold.check_running(old.digest, time)
    if old.approved_at is None:
        raise Refused("W16", "An urgent warrant is ratified before it is replaced.")
    untouched = new.approved_at is None and new.ended_at is None
    if not untouched or new.warrant.urgent or new.requester != old.requester:
        raise Refused("W16", "A normal warrant of its requester, just requested, replaces one.")

    check_not_expired(new.warrant, time)
    if _kept(old.warrant) != _kept(new.warrant) or new.warrant.expires > old.warrant.expires:
        raise Refused("W16", "A replacement differs in key, reference and earlier end alone.")

    fold.put(old, cancelled_at=time, replaced_by=new.digest)
    fold.put(
        new, approver=approver, approved_at=time, counted_at=old.counted_at, inherited=old.used
    )


def take_extension(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """A warrant's notices are delayed once more. Raises `Refused` W1, W7, W12, W14, W15, W17, X2,
    X4.
    """
    record = as_kind(received.record, Extension)
    access = fold.of(record)
    _check_both(fold, access, time, received, "W17")
    if access.lapsed_at is not None:
        raise Refused("W14", "The urgent warrant lapsed; its notices are not delayed.")
    most = fold.rulebook.in_force(time).charter.notices.extensions_max
    if record.number != len(access.extended_at) + 1 or record.number > most:
        raise Refused("W17", f"Extension {record.number} is not the next of at most {most}.")
    fold.put(access, extended_at=(*access.extended_at, time))


def take_reinstatement(fold: AccessFold, time: int, received: LedgerStatement) -> None:
    """A requester may start urgent warrants again. Raises `Refused` W1, W7, W12, W15,
    W18, X2, X4.
    """
    record = as_kind(received.record, Reinstatement)
    fold.check_named(record)
    _, approver = fold.one_signer(received, time, APPROVER, "W18")
    requester = fold.rulebook.in_force(time).issuers.get(record.requester)
    if requester is not None and requester.body == approver.body:
        raise Refused("W7", "A requester is reinstated by an approver of another body.")
    if record.requester not in fold.barred:
        raise Refused("W15", "That requester is not barred.")
    del fold.barred[record.requester]


def _kept(warrant: Warrant) -> Warrant:
    """The warrant without what its replacement may change."""
    return msgspec.structs.replace(
        warrant, opener_key=b"", expires=0, reference="", issued=0, urgency="normal"
    )
