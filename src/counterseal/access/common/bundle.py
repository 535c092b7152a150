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

from counterseal import state_files
from counterseal.access.common.clock import real_clock
from counterseal.access.common.home import InstitutionHome
from counterseal.access.common.ledger_copy import LedgerCopy
from counterseal.access.common.rules import Rules
from counterseal.access.common.sources import Folder, Source, ask, file_name
from counterseal.protocol.access import Access
from counterseal.protocol.counterseal import Counterseal
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import NotFound, Refused
from counterseal.wire.bundle import Seen, SeenFile
from counterseal.wire.listings import HOLDER_LISTING, HolderListing, HolderWindow
from counterseal.wire.material import MATERIAL, MATERIAL_PAGE, ListedMaterial

_FILES = ("log.checkpoint", "ledger/reader")


class Recording:
    """A `Source` that keeps every answer in a directory, so that a `Folder` can give the same
    answers again, in the same order.

    What was asked once is answered from the directory: the other machine will ask the same twice
    and must not see two states.
    """

    def __init__(self, source: Source, root: Path) -> None:
        self.source, self.root = source, root
        self._kept = Folder(root)

    def get(self, path: str, *, signed: bool = False) -> bytes:
        """See `Source`."""
        try:
            return self._kept.get(path)
        except NotFound:
            answer = self.source.get(path, signed=signed)
        state_files.write_state(self.root / file_name(path), answer, mode=state_files.PUBLIC)
        return answer


def seen_so_far(home: InstitutionHome) -> bytes:
    """How far a home has read log and ledger, for `fetch` on another machine."""
    there = tuple(
        SeenFile(name, (home.path / name).read_bytes())
        for name in _FILES
        if (home.path / name).exists()
    )
    return Seen(there).encode()


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
        for root in dict.fromkeys(row.root for row in rows):
            rules.log.prove(source, entry_hash(root))
        for position in positions:
            windows = tuple(_holder_window(row, position) for row in rows)
            page = HOLDER_LISTING.encode_answer(HolderListing(listing.encode(), windows))
            path = HOLDER_LISTING.at(
                warrant=access.digest, listing=listing.number, position=position
            )
            state_files.write_state(source.root / file_name(path), page, mode=state_files.PUBLIC)
    return len(access.listings)


def _material(source: Source, warrant: bytes, number: int) -> list[ListedMaterial]:
    rows: list[ListedMaterial] = []
    while True:
        page = ask(source, MATERIAL, warrant=warrant, listing=number, after=len(rows)).rows
        rows += page
        if len(page) < MATERIAL_PAGE:
            return rows


def _holder_window(row: ListedMaterial, position: int) -> HolderWindow:
    seal = Counterseal.decode(row.counterseal)
    if position >= len(seal.sealed):
        raise NotFound(f"There is no holder at position {position}.")
    return HolderWindow(
        row.label,
        row.roster,
        seal.sealed[position],
        seal.seal_digest,
        row.proof,
        row.root,
        row.log_index,
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
    for file in Seen.decode(start).files if start is not None else ():
        if file.name not in _FILES:
            raise Refused("E6", "The file of `custodian seen` holds something else as well.")
        state_files.write_state(folder / file.name, file.data)
    return twin
