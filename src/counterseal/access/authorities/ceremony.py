"""Charters and keysets from draft to log: gather cards, draft, sign in turn, publish. Each step is
a function of files and homes.

Who signs a charter is shown it in words first (`words.charter`); signing version 1 pins it in the
signer's home.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict

from counterseal.access.common import keysets, signing
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.rules import Rules
from counterseal.access.common.sources import Source, ask
from counterseal.protocol.charter import Charter, Witness
from counterseal.protocol.charter_checks import check_charter
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import BadInput, CountersealError, NotFound, Refused, Unavailable
from counterseal.protocol.keyset import Keyset
from counterseal.protocol.verified_charter import ReceivedCharter, VerifiedCharter
from counterseal.wire.charters import CHARTERS
from counterseal.wire.keyset_draft import PostKeyset
from counterseal.wire.log import LOG_PROOF
from counterseal.wire.publishing import CHARTER_POST, KEYSET_POST, PostCharter
from counterseal.wire.witness import WITNESS_KEYSET

YEAR = 366 * 86_400


def published(source: Source) -> VerifiedCharter | None:
    """The newest charter that a service shows, its chain verified (C1 to C19) and its first one
    taken as shown; None before that.

    For whoever drafts and publishes: a holder or an app compares the first one with its pin instead
    (`rules.Rules`).
    """
    newest: VerifiedCharter | None = None
    for row in ask(source, CHARTERS).rows:
        newest = ReceivedCharter.decode(row.statement).check(newest)
    return newest


def charter_in(data: bytes) -> tuple[Charter, bytes]:
    """The charter in a file, signed or not, right in form and fitting, and its digest. Raises
    `Refused` C1 to C16.
    """
    payload = signing.payload_of(data, Charter.limit)
    return check_charter(Charter.decode(payload)), hashlib.sha256(payload).digest()


def sign_charter(home: InstitutionHome, data: bytes, service_url: str | None = None) -> bytes:
    """The file with this home's signatures. Version 1 is pinned: from now on this home trusts it
    and its successors alone.

    A successor is signed by the holders of the charter before it (C18). Raises `BadInput` for a
    home that is none of those, `Conflict` for a home that pinned another, `NotFound` for one that
    has not read the charter before.
    """
    charter, _ = charter_in(data)
    judge = (
        charter
        if charter.previous is None
        else charter_in(home.charter_statement(charter.previous))[0]
    )
    if home.signer.kid not in {holder.key.kid for holder in judge.holders}:
        which = "this charter" if charter.previous is None else "the charter before this one"
        raise BadInput(
            f"{home.card.name} is no holder of {which}, so its signature would count for nothing."
        )
    signed = signing.add(data, home.signer, Charter.limit)
    accept_charter(home, signed, service_url)
    return signed


def accept_charter(home: InstitutionHome, data: bytes, service_url: str | None = None) -> bytes:
    """Pins version 1 without signing it, for a home whose signature is not needed. Gives the
    digest.
    """
    charter, digest = charter_in(data)
    if charter.version == 1:
        home.pin(digest)
        home.keep_charter(digest, data)
    if service_url is not None:
        home.remember_service(service_url, charter.domain)
    return digest


def publish_charter(
    service: InstitutionClient,
    data: bytes,
    previous: VerifiedCharter | None = None,
    token: str | None = None,
) -> tuple[bytes, int]:
    """Publishes a fully signed charter: (digest, index in the log). A first one needs the token of
    the service's operator. Raises `Refused` C1 to C19 before anything is sent.
    """
    verified = ReceivedCharter.decode(data).check(previous)
    posted = service.post(CHARTER_POST, PostCharter(data), token=token)
    if posted.digest != verified.digest:
        raise Refused(
            "C19", "The service answered with another charter's digest than the one that was sent."
        )
    _wait_for_log(service, data)
    return posted.digest, posted.log_index


def _wait_for_log(service: InstitutionClient, statement: bytes, patience: float = 60.0) -> None:
    """Returns when a cosigned checkpoint covers the statement. Raises `NotFound` if that takes too
    long: the witnesses are down.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            ask(service, LOG_PROOF, entry=entry_hash(statement))
            return
        except (NotFound, Unavailable):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def assemble_keyset(
    service: InstitutionClient, rules: Rules, quarter: int, patience: float = 30.0
) -> bytes:
    """The quarter's draft, signed by each witness that admits it. Waits up to `patience` seconds
    for c of them.

    Asking a witness also makes it draw and deliver its own key, so the draft is read again until it
    has settled.
    """
    charter = rules.latest
    deadline = time.monotonic() + patience
    reasons: dict[str, str] = {}
    while True:
        signed = [
            data
            for witness in charter.charter.witnesses.members
            if (data := _ask(witness, charter, quarter, reasons))
        ]
        groups: dict[bytes, list[bytes]] = defaultdict(list)
        for data in signed:
            groups[signing.payload_of(data, Keyset.limit)].append(data)
        best = max(groups.values(), key=len, default=[])
        if len(best) >= charter.charter.witnesses.c:
            return signing.merge(best, Keyset.limit)
        if time.monotonic() > deadline:
            said = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items()))
            raise Unavailable(
                f"{len(best)} of {charter.charter.witnesses.c} witnesses signed the keyset. {said}"
            )
        time.sleep(0.2)


def _ask(
    witness: Witness, charter: VerifiedCharter, quarter: int, reasons: dict[str, str]
) -> bytes | None:
    reasons.pop(witness.name, None)
    service = InstitutionClient(witness.url, timeout=20.0)
    try:
        return ask(service, WITNESS_KEYSET, charter=charter.digest, quarter=quarter).statement
    except CountersealError as error:
        reasons[witness.name] = f"{error.code}: {error.message}"
    return None


def sign_keyset(home: InstitutionHome, rules: Rules, data: bytes, quarter: int) -> bytes:
    """The keyset's file with this home's signatures, after the checks that everybody makes. Raises
    `Refused` K1 to K8.
    """
    keysets.check_draft(home, rules, signing.payload_of(data, Keyset.limit), quarter)
    return signing.add(data, home.signer, Keyset.limit)


def publish_keyset(service: InstitutionClient, rules: Rules, data: bytes) -> tuple[bytes, int]:
    """Publishes a fully signed keyset: (digest, index in the log). Raises `Refused` K1 to K8 before
    anything is sent.
    """
    verified = rules.trusted.check_keyset(data)
    posted = service.post(KEYSET_POST, PostKeyset(data))
    if posted.digest != verified.digest:
        raise Refused(
            "K1", "The service answered with another keyset's digest than the one that was sent."
        )
    _wait_for_log(service, data)
    return posted.digest, posted.log_index
