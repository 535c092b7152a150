"""Period roots: when a period and its grace are over, one small record of all its frames goes into
the log. The trees and proofs are tlog's.
"""

from __future__ import annotations

import hashlib

from counterseal.protocol.stamp import Stamp
from counterseal.service.decisions import log_entries
from counterseal.service.store.interface import ReadWindows, Transaction
from counterseal.service.store.rows import StoredPeriod
from counterseal.tlog.period_tree import PeriodTree

NEWEST = 1 << 62
"""An index past every entry of the log."""


def log_closed(tables: Transaction, domain: str, closed_by: int, now: int) -> list[StoredPeriod]:
    """Logs the roots of all periods with frames that closed by this time (seconds), in order."""
    logged = []
    for opens in tables.windows.unlogged_periods(closed_by):
        previous = tables.periods.before(NEWEST)
        record = build_tree(tables.windows, domain, opens, previous).record.encode()
        row = StoredPeriod(opens, record, log_entries.append(tables, record, "period-root", now))
        tables.periods.add(row)
        logged.append(row)
    return logged


def build_tree(
    windows: ReadWindows, domain: str, opens: int, previous: StoredPeriod | None
) -> PeriodTree:
    """The period's tree from what is stored.

    It is the same each time, since nothing is added to a period whose root is logged. `previous` is
    the root logged before.
    """
    found = windows.of_period(opens)
    stamps = {
        window.id: [Stamp(row.digest, row.n, row.time) for row in windows.stamps(window.no)]
        for window in found
    }
    digest = hashlib.sha256(previous.record).digest() if previous else None
    return PeriodTree(domain, opens, found[0].closes, stamps, digest)
