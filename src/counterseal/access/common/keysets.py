"""A quarter's keyset as its signers see it: deliver one's own key, check the draft, sign it.

A holder delivers its key to the service and to every witness. So a service that leaves a delivered
key out is found out by each witness, and the keyset gets no signature (K6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress

from counterseal import state_files
from counterseal.access.common import store
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.institution_client import InstitutionClient
from counterseal.access.common.rules import Rules
from counterseal.access.common.sources import Source, ask
from counterseal.protocol.cose import sign
from counterseal.protocol.errors import CountersealError, NotFound, Refused
from counterseal.protocol.keyset import (
    HolderKey,
    Keyset,
    VerifiedKeyset,
    check_keyset,
    open_ledger_key,
)
from counterseal.protocol.verified_charter import VerifiedCharter
from counterseal.wire.keyset_draft import HOLDER_KEY_POST, KEYSET_DRAFT, PostHolderKey
from counterseal.wire.witness import WITNESS_HOLDER_KEY


def own_key(home: InstitutionHome, charter: VerifiedCharter, quarter: int) -> bytes:
    """The signed statement of this holder's fresh key for the quarter: drawn and made once, the
    same bytes ever after.
    """
    place = home.path / "sealing" / f"{charter.digest.hex()}.{quarter}.statement"
    with suppress(NotFound):
        return store.read(place, "holder key")
    xwing = home.draw_sealing_key(charter.digest, quarter).public
    record = HolderKey(
        charter.charter.domain, charter.digest, quarter, home.position(charter), xwing
    )
    state_files.write_first(place, sign([home.signer], record.encode()))
    return store.read(place, "holder key")


def deliver(
    home: InstitutionHome, charter: VerifiedCharter, quarter: int, service: InstitutionClient
) -> tuple[str, ...]:
    """Delivers this holder's key to the service and to each witness; gives the names of witnesses
    that did not answer.
    """
    statement = own_key(home, charter, quarter)
    service.post(HOLDER_KEY_POST, PostHolderKey(statement))
    silent: list[str] = []
    for witness in charter.charter.witnesses.members:
        if not witness.url or witness.key.kid == home.signer.kid:
            continue
        try:
            InstitutionClient(witness.url, timeout=5.0).post(
                WITNESS_HOLDER_KEY, PostHolderKey(statement)
            )
        except CountersealError:
            # the others will do: any one of them refuses a keyset without the key
            silent.append(witness.name)
    return tuple(silent)


def draft(source: Source, quarter: int) -> bytes:
    """The keyset's payload as the service has it now."""
    return ask(source, KEYSET_DRAFT, quarter=quarter).payload


def check_draft(
    home: InstitutionHome,
    rules: Rules,
    payload: bytes,
    quarter: int,
    delivered: Iterable[bytes] = (),
) -> tuple[Keyset, VerifiedCharter]:
    """The keyset in a draft, as everybody checks it before signing, and its charter.

    `delivered` are holder-key statements that this signer knows to have been delivered. Raises
    `Refused` K1 to K4, K6, K8.
    """
    keyset = Keyset.decode(payload)
    charter = rules.charter(keyset.charter_digest)
    keys = check_keyset(keyset, charter, rules.trusted.last_keyset)
    if keyset.quarter != quarter:
        raise Refused("K1", f"The draft is for quarter {keyset.quarter}, not for {quarter}.")
    for statement in delivered:
        if statement not in keyset.holder_keys:
            raise Refused(
                "K6",
                "A key that was delivered is missing from the draft; it gets no signature until "
                "it is there.",
            )
    _check_own(home, keyset, charter)
    _check_ledger_key(
        home, VerifiedKeyset(keyset, hashlib.sha256(payload).digest(), keys, payload), charter
    )
    return keyset, charter


def _check_own(home: InstitutionHome, keyset: Keyset, charter: VerifiedCharter) -> None:
    position = charter.positions.get(home.signer.kid)
    if position is None or home.sealing_key(charter.digest, keyset.quarter) is None:
        return
    if keyset.holder_keys[position] != own_key(home, charter, keyset.quarter):
        raise Refused(
            "K3",
            "The draft does not hold this holder's own key; the service left it out or swapped it.",
        )


def _check_ledger_key(
    home: InstitutionHome, keyset: VerifiedKeyset, charter: VerifiedCharter
) -> None:
    """Each signer that reads the ledger opens its own copy of the ledger key, so that nobody is
    locked out unseen (K8).
    """
    for number, reader in enumerate(charter.charter.readers):
        if reader.xwing == home.reader.public:
            open_ledger_key(home.reader, keyset, number)
