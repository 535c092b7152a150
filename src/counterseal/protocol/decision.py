"""The decisions that every holder makes alike, custodian and witness: is this warrant good, is this
window in its scope?

Pure functions over what was verified before: the ledger folded up to a fresh cosigned checkpoint
(`access_state.py`), the charters and revocations of the log (`trusted_rules.py`), labels, rosters,
and proofs of inclusion. An honest holder gives no share beyond what they return. In order:

1. `decide`: the warrant runs (W1 to W15, by the ledger).
2. `window_in_scope`: each window of the listing (R1 to R6, L1 to L3).
3. `check_units`: the listings so far stay within the warrant's units (R8).
4. `check_release` of `access.py`: it is this holder's turn (R9, R10, R12, N1).

| rule | refuses |
| --- | --- |
| R1 | a window under another charter than the warrant's |
| R2 | a window whose sender (`sent`), or of whose roster nobody (`conversation`), is an account |
|    | that the warrant names |
| R3 | a window outside the warrant's span |
| R4 | a window of a conversation that the warrant does not list |
| R5 | a window for which the checkpoint's time is not past `closes + 300`, except under a |
|    | demonstration's charter |
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .access import Access
from .access_state import AccessState
from .charter import Issuer
from .errors import Refused
from .period import LoggedWindow, check_logged
from .verified_charter import VerifiedCharter
from .warrant import Warrant
from .window import GRACE, Label, Roster, VerifiedWindow, check_period, check_roster


class VerifiedWarrant(msgspec.Struct, frozen=True):
    """A warrant that runs. `charter` is the one it names, whose windows and holders it is about;
    `approver` is None while an urgent warrant waits to be ratified."""

    warrant: Warrant
    digest: bytes
    charter: VerifiedCharter
    requester: Issuer
    approver: Issuer | None
    access: Access


def decide(state: AccessState, digest: bytes, now: int) -> VerifiedWarrant:
    """The warrant with this digest, if shares may be released under it.

    `now` (seconds) is the later of the checkpoint's time and the holder's own clock. Raises
    `Refused` W1, W6, W10, W11, W12, W14 or W15; what the ledger itself refused before is in
    `state.outcomes`.
    """
    access = state.check_running(digest, max(now, state.time))
    charter = state.rulebook.charter(access.warrant.charter_digest)
    requester = state.rulebook.issuer(access.requester, access.requested_at)
    approver = None
    if access.approver is not None and access.approved_at is not None:
        approver = state.rulebook.issuer(access.approver, access.approved_at)
    return VerifiedWarrant(access.warrant, digest, charter, requester, approver, access)


def window_in_scope(
    verified: VerifiedWarrant,
    label: Label,
    roster: Roster,
    logged: LoggedWindow,
    checkpoint_time: int,
) -> VerifiedWindow:
    """The window, if the warrant reaches it. `checkpoint_time` (seconds) is the ledger
    checkpoint's.

    Raises `Refused` R1 to R6, L1, L2 or L3.
    """
    warrant, charter = verified.warrant, verified.charter.charter
    if label.charter_digest != warrant.charter_digest:
        raise Refused("R1", "The window is under another charter than the warrant's.")
    if label.domain != warrant.domain:
        raise Refused("L1", f"The window is of another domain, {label.domain!r}.")

    check_period(label, charter.period_length)
    check_roster(label, roster)
    _check_account(warrant, label, roster)
    if not warrant.start <= label.opens or not label.closes <= warrant.until:
        raise Refused("R3", f"The period from {label.opens} on is outside the warrant's span.")
    if warrant.conversations is not None and label.conversation_id not in warrant.conversations:
        raise Refused("R4", "The window is of a conversation that the warrant does not list.")
    if not charter.demonstration and checkpoint_time < label.closes + GRACE:
        raise Refused("R5", f"The window takes frames until {label.closes + GRACE}; wait for that.")

    check_logged(label, logged)
    return VerifiedWindow(label.window_id, label, roster)


def _check_account(warrant: Warrant, label: Label, roster: Roster) -> None:
    if label.account_id in warrant.account_ids:
        return
    if warrant.direction == "sent":
        raise Refused("R2", "The window's sender is not an account that the warrant names.")
    if roster.accounts.isdisjoint(warrant.account_ids):
        raise Refused("R2", "No account that the warrant names was in the conversation.")


def units(labels: Iterable[Label]) -> int:
    """Number of units: distinct pairs of sender account and period."""
    return len({(label.account_id, label.opens) for label in labels})


def check_units(verified: VerifiedWarrant, labels: Iterable[Label], listing_digest: bytes) -> int:
    """The units of all listings up to this one, `labels` being those of all their windows. Raises
    `Refused` R8 or R10.
    """
    listing = verified.access.listing(listing_digest)
    up_to = [one for _, one in verified.access.listings if one.number <= listing.number]
    labels = list(labels)
    if {label.window_id for label in labels} != {window for one in up_to for window in one.windows}:
        raise Refused("R8", "These labels are not those of every listing so far.")

    count = units(labels)
    if count != listing.units or count + verified.access.inherited > verified.warrant.units:
        raise Refused("R8", f"The windows make {count} units, not {listing.units}, or too many.")

    return count
