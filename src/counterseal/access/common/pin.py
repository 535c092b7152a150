"""The first charter that a home trusts, which it pinned when its owner signed or accepted it."""

from __future__ import annotations

import hashlib

from counterseal.protocol.charter import Charter
from counterseal.protocol.charter_checks import check_charter
from counterseal.protocol.errors import NotFound, Refused

from . import signing
from .home import InstitutionHome


def pinned_charter(home: InstitutionHome) -> Charter:
    """The charter that the home pinned: its owner signed or accepted it, so it needs nobody else's
    signatures. Raises `NotFound` before there is one.
    """
    digest = home.pinned()
    if digest is None:
        raise NotFound(
            f"{home.path} trusts no charter yet; sign one with "
            f"`charter sign FILE --home {home.path}`."
        )
    payload = signing.payload_of(home.charter_statement(digest), Charter.limit)
    if hashlib.sha256(payload).digest() != digest:
        raise Refused(
            "C19", f"The charter kept in {home.path} is not the one that it pins; restore the file."
        )
    return check_charter(Charter.decode(payload))
