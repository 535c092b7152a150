"""Who may go by a verified charter, and when: what an app and the service ask of it (section 6).

| rule | refuses |
| --- | --- |
| C17 | a demonstration's charter where an ordinary one is required |
| C20 | a time outside `[valid_from, valid_until)` |
"""

from __future__ import annotations

from .errors import Refused
from .verified_charter import VerifiedCharter


def check_valid(charter: VerifiedCharter, at: int) -> VerifiedCharter:
    """The charter again, if `at` (seconds, of the clock the domain goes by) is in its validity.
    Raises `Refused` C20.
    """
    record = charter.charter
    if not record.valid_from <= at < record.valid_until:
        raise Refused("C20", f"Charter {record.version} is not valid at {at}; fetch the newest.")
    return charter


def check_ordinary(charter: VerifiedCharter) -> VerifiedCharter:
    """The charter again, if it is no demonstration's. Raises `Refused` C17."""
    if charter.charter.demonstration:
        raise Refused("C17", "An ordinary app does not join a demonstration's domain.")
    return charter
