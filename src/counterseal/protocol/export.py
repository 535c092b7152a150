"""Whether an opener may export what it opened (section 8).

| rule | refuses |
| --- | --- |
| O4 | an export from an urgent warrant that is not ratified, or lapsed |
"""

from __future__ import annotations

from .access import Access
from .access_state import AccessState
from .errors import Refused


def check_export(state: AccessState, digest: bytes, now: int) -> Access:
    """The access, if the opener may export what it opened: an urgent warrant has been ratified.
    Raises `Refused` O4, W15.
    """
    access = state.access(digest)
    if access.warrant.urgent and access.approved_at is None:
        lapsed = access.lapsed_at is not None or (
            access.ratify_by is not None and now >= access.ratify_by
        )
        todo = (
            "it lapsed: destroy what was opened, and log that"
            if lapsed
            else f"wait for it, until {access.ratify_by}"
        )
        raise Refused("O4", f"The urgent warrant is not ratified; {todo}.")
    return access
