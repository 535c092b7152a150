"""What an opener says it has done: the opening report, and the destruction of what it may not keep
(section 8).

| rule | refuses |
| --- | --- |
| O2 | a report of a listing that the warrant does not have, or that both quorums have not |
|    | released |
| O3 | a report that finds fault with a window of no listing, or twice, or counts more windows |
|    | than there are |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from .errors import Refused
from .record import Bytes32, Domain, Part, Record, Time, Uint
from .release import WINDOWS_MAX, Listing


class Fault(Part, frozen=True):
    """A window that did not open as it should, and the rule that says so."""

    window_id: Bytes32
    rule: Annotated[str, Meta(min_length=2, max_length=4)]


class OpeningReport(Record, frozen=True, tag="counterseal/v1/opening-report"):
    """How many windows and frames were opened, what was wrong, and the digest of the evidence.
    COSE_Sign by the opener.
    """

    limit: ClassVar[int] = 1 << 20
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    listings: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=1_000)]
    windows: Uint
    frames: Uint
    faults: Annotated[tuple[Fault, ...], Meta(max_length=WINDOWS_MAX)]
    evidence_digest: Bytes32
    time: Time


class Destruction(Record, frozen=True, tag="counterseal/v1/destruction"):
    """The opener has destroyed what it opened under a warrant: an urgent one that lapsed, or one
    that is done with.
    """

    limit: ClassVar[int] = 1_024
    domain: Domain
    charter_digest: Bytes32
    warrant_digest: Bytes32
    time: Time


def check_report(report: OpeningReport, listings: Mapping[bytes, Listing]) -> OpeningReport:
    """The report again, if it fits the released listings of its warrant (by digest). Raises
    `Refused` O2 or O3.
    """
    twice = len(set(report.listings)) < len(report.listings)
    if twice or any(digest not in listings for digest in report.listings):
        raise Refused("O2", "The report names a listing that is not released, or one twice.")

    windows = {window for digest in report.listings for window in listings[digest].windows}
    at_fault = [fault.window_id for fault in report.faults]
    if len(set(at_fault)) < len(at_fault) or not windows.issuperset(at_fault):
        raise Refused("O3", "The report finds fault with a window twice, or with no listing's.")
    if report.windows > len(windows):
        raise Refused("O3", f"The report counts {report.windows} windows of {len(windows)}.")

    return report
