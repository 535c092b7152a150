"""Bundles for a machine without a network: every answer of the service that a custodian's check
will ask for, as files in a folder.

An issuer or the opener gathers them, for they may read the whole material of their warrant. Nothing
in a bundle is believed: on the other machine the same code asks the folder what it would have asked
the service, and checks the same signatures and proofs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from counterseal.access.common import store
from counterseal.access.common.clock import real_clock
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.ledger_copy import LedgerCopy
from counterseal.access.common.rules import Rules
from counterseal.access.common.sources import Recording, Source, file_name, get_array
from counterseal.protocol import cbor
from counterseal.protocol.access_state import Access
from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import NotFound, Refused
from counterseal.tlog.ledger_reader import ReaderState

_SEEN_MAX = ReaderState.limit + (1 << 20)
_FILES = ("log.checkpoint", "ledger.checkpoint", "ledger/reader")


def seen_so_far(home: InstitutionHome) -> bytes:
    """How far a home has read log and ledger, for `fetch` on another machine."""
    there = [
        (name, (home.path / name).read_bytes()) for name in _FILES if (home.path / name).exists()
    ]
    return cbor.encode((cbor.tag("seen"), there))


def fetch_bundle(
    home: InstitutionHome,
    source: Source,
    out: Path,
    positions: Sequence[int],
    start: bytes | None = None,
) -> int:
    """Fills the folder `out` for the holders at `positions`; gives the number of listings. `start`
    is what `seen` gave.
    """
    with tempfile.TemporaryDirectory() as folder:
        twin = _twin(home, Path(folder), start)
        recording = Recording(source, out)
        rules = Rules(twin)
        rules.sync(recording)
        fresh_rule = rules.in_force().charter.ledger.fresh_offline
        # What was read before `start` is not in the bundle, so the warrants come from this home's
        # own copy.
        LedgerCopy(rules, real_clock).sync(recording, fresh_rule)
        own = Rules(home)
        own.sync(source)
        state = LedgerCopy(own, real_clock).sync(source, fresh_rule).state
        count = 0
        for access in state.accesses.values():
            with suppress(Refused):
                state.check_running(access.digest, max(state.time, real_clock()))
                count += _listings(recording, rules, access, positions)
        return count


def _listings(source: Recording, rules: Rules, access: Access, positions: Sequence[int]) -> int:
    for _, listing in access.listings:
        rows = _material(source.source, access.digest, listing.number)
        # in the order in which the other machine will ask
        for root in dict.fromkeys(row[5] for row in rows):
            rules.log.prove(source, entry_hash(root))
        for position in positions:
            page = cbor.encode((listing.encode(), [_holder_row(row, position) for row in rows]))
            path = f"/v1/warrants/{access.digest.hex()}/listings/{listing.number}/holder/{position}"
            store.write(source.root / file_name(path), page, private=False)
    return len(access.listings)


def _material(source: Source, warrant: bytes, number: int) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    while True:
        page = get_array(
            source,
            f"/v1/warrants/{warrant.hex()}/listings/{number}/material?after={len(rows)}&limit=100",
            signed=True,
        )
        rows += page
        if len(page) < 100:
            return rows


def _holder_row(row: tuple[Any, ...], position: int) -> tuple[Any, ...]:
    match row:
        case (label, roster, bytes(counterseal), proof, _, root, index):
            seal = Counterseal.decode(counterseal)
            if position >= len(seal.sealed):
                raise NotFound(f"There is no holder at position {position}.")
            sealed = seal.sealed[position]
            return (
                label,
                roster,
                None if sealed is None else sealed.plain(),
                seal.seal_digest,
                proof,
                root,
                index,
            )
    raise Refused(
        "E6", "A row of a listing's material is not of the form that docs/reference/api.md states."
    )


def _twin(home: InstitutionHome, folder: Path, start: bytes | None) -> InstitutionHome:
    """A stand-in for the other machine: the same charter pinned, and what it has read so far, but
    this home's keys.
    """
    twin = InstitutionHome(folder, home.card, home.keys, None)
    pinned = home.pinned()
    if pinned is None:
        raise NotFound(f"{home.path} trusts no charter yet.")
    twin.pin(pinned)
    match cbor.decode(start, _SEEN_MAX) if start is not None else None:
        case ("counterseal/v1/seen", tuple(files)):
            for file in files:
                match file:
                    case (str(name), bytes(data)) if name in _FILES:
                        store.write(folder / name, data)
                    case _:
                        raise Refused(
                            "E6", "The file of `custodian seen` holds something else as well."
                        )
        case None:
            pass
        case _:
            raise Refused("E5", "The file was not written by `custodian seen`.")
    return twin
