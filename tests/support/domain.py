"""A domain whose institutions are those of `world`: the service is real, the witnesses cosign in
threads, and the test signs for everybody.

What the institutions do here by hand is what their programs do for real; tests that are about those
programs take a `FullDomain`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from tests.support import world
from tests.support.cosigner import Cosigner
from tests.support.person import b64
from tests.support.served import SETTINGS, ServedDomain

from counterseal.protocol import cbor, vkey
from counterseal.protocol.cbor import tag
from counterseal.protocol.charter import (
    Charter,
    Log,
    VkeyPair,
    Witness,
    Witnesses,
)
from counterseal.protocol.keys import InstitutionSigner
from counterseal.protocol.keyset import HolderKey, ReceivedKeyset, VerifiedKeyset
from counterseal.protocol.quarters import quarter_of
from counterseal.protocol.verified_charter import ReceivedCharter, VerifiedCharter


class Domain(ServedDomain):
    """Before `open` nothing is published: no charter, no keyset. `charters` and `keysets` are what
    was published since, oldest first.
    """

    def __init__(
        self,
        folder: Path,
        *,
        demonstration: bool = True,
        clock: int = world.T0,
        settings: str = SETTINGS,
    ) -> None:
        super().__init__(folder, settings=settings)
        self.demonstration = demonstration
        self.begins = clock if demonstration else int(time.time()) // world.DAY * world.DAY
        self.witnesses = [Cosigner(name, folder / "witness" / name) for name in world.WITNESSES]
        for witness in self.witnesses:
            witness.know(self.identity["log"], self.identity["ledger"])
        self.charters: list[VerifiedCharter] = []
        self.keysets: list[VerifiedKeyset] = []
        self.holders = [world.signer(name) for name in world.ALL_HOLDERS]
        self.requester, self.approver = world.signer("Prosecutor"), world.signer("Judge")
        self.opener, self.opener_key = world.signer("Opener"), world.sealing("Opener")
        self.reader_key = world.sealing("reader Amaro")

    def open(self) -> None:
        """Publishes the first charter and the first keyset."""
        self.publish_charter()
        self.publish_keyset(quarter_of(self.begins))

    def close(self) -> None:
        """Ends everything."""
        super().close()
        for witness in self.witnesses:
            witness.close()

    # Charters

    def make_charter(self, **changes: Any) -> Charter:
        """The first charter's record."""
        members = tuple(
            Witness(
                name,
                world.signer(name).public,
                world.vkeys(witness.signer.keys.name, vkey.WITNESS_ED25519),
                witness.url,
            )
            for name, witness in zip(world.WITNESSES, self.witnesses, strict=True)
        )
        base = world.CHARTER
        log, ledger = (VkeyPair(*self.identity[name]) for name in ("log", "ledger"))
        made = msgspec.structs.replace(
            base,
            demonstration=self.demonstration,
            witnesses=Witnesses(2, 3, members),
            log=Log(base.log.origin, log),
            ledger=msgspec.structs.replace(base.ledger, vkeys=ledger, tick=1),
            activation_delay=0,
            urgent=msgspec.structs.replace(base.urgent, max_period=6 * world.HOUR),
            valid_from=self.begins,
            valid_until=self.begins + 366 * world.DAY,
        )
        return msgspec.structs.replace(made, **changes)

    def next_charter(self, **changes: Any) -> Charter:
        """A successor of the newest charter."""
        before = self.charters[-1]
        links = {"version": before.charter.version + 1, "previous": before.digest}
        return msgspec.structs.replace(before.charter, **{**links, **changes})

    def publish_charter(self, record: Charter | None = None) -> VerifiedCharter:
        """Publishes a charter, the first one by default, signed by a quorum."""
        statement = world.statement(record or self.make_charter(), *world.QUORUM)
        before = self.charters[-1] if self.charters else None
        verified = ReceivedCharter.decode(statement).check(before)
        self.post_charter(statement)
        self.charters.append(verified)
        return verified

    @property
    def charter(self) -> VerifiedCharter:
        """The newest charter."""
        return self.charters[-1]

    @property
    def genesis(self) -> str:
        """The first charter's digest, as members pin it."""
        return self.charters[0].digest.hex()

    # Keysets

    def publish_keyset(self, quarter: int | None = None) -> VerifiedKeyset:
        """Every holder's key, the draft, the quorum's signatures; the clock's quarter by
        default.
        """
        quarter = self.quarter if quarter is None else quarter
        version = self.charter.charter.version
        for position, name in enumerate(world.ALL_HOLDERS):
            public = world.sealing(f"{name} {quarter} {version}").public
            record = HolderKey(world.DOMAIN, self.charter.digest, quarter, position, public)
            self.ask("POST", "/v1/keysets/holder-keys", [world.statement(record, name)])
        (payload,) = self.ask("GET", f"/v1/keysets/draft/{quarter}")
        statement = world.statement_of(payload, *world.KEYSET_SIGNERS)
        before = self.keysets[-1] if self.keysets else None
        verified = ReceivedKeyset.decode(statement).check(self.charter, before)
        self.ask("POST", "/v1/keysets", [statement])
        self.keysets.append(verified)
        return verified

    @property
    def keyset(self) -> VerifiedKeyset:
        """The newest keyset."""
        return self.keysets[-1]

    @property
    def quarter(self) -> int:
        """The quarter of the domain's clock."""
        return quarter_of(self.now())

    def in_force(self) -> tuple[VerifiedCharter, VerifiedKeyset]:
        """See `ServedDomain`."""
        return self.charter, self.keyset

    # Requests of institutions

    @property
    def backlog(self) -> int:
        """How many statements wait for their leaves in the ledger."""
        return int(self.institution(self.opener, "GET", "/v1/ledger/status")[3])

    def institution(
        self, signer: InstitutionSigner, method: str, path: str, body: Any = None
    ) -> Any:
        """The array answered to a request that an institution signed."""
        data = b"" if body is None else cbor.encode(body)
        moment, nonce = int(time.time() * 1000), os.urandom(16)
        digest = hashlib.sha256(data).digest()
        signed = cbor.encode(
            [tag("institution-request"), world.DOMAIN, method, path, moment, nonce, digest]
        )
        ed25519, mldsa65 = signer.sign(signed, signed)
        words = (b64(signer.kid), str(moment), b64(nonce), b64(ed25519), b64(mldsa65))
        header = {"Authorization": f"Counterseal-Institution {'.'.join(words)}"}
        return self.http.array(method, path, body, header)


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[Domain]:
    """A domain with charter and keyset, closed in the end."""
    with unopened(folder, **options) as domain:
        domain.open()
        yield domain


@contextmanager
def unopened(folder: Path, **options: Any) -> Iterator[Domain]:
    """A domain that has published nothing yet, closed in the end."""
    domain = Domain(folder, **options)
    try:
        yield domain
    finally:
        domain.close()
