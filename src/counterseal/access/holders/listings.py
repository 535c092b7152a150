"""What a holder fetches about a listing: labels, rosters, its own sealed shares, and the windows'
places in logged period roots.

Whatever comes back is decoded strictly and proved: a label by the window id that the ledger names,
a window by its path to a period root, a period root by its place in the cosigned log.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from counterseal.access.common import store
from counterseal.access.common.log_view import LogView
from counterseal.access.common.sources import ANSWER_MAX, Source, get_array
from counterseal.access.holders.checks import ListedWindow
from counterseal.access.holders.window_proofs import logged_window
from counterseal.protocol import cbor
from counterseal.protocol.access_state import Access
from counterseal.protocol.counterseal import SealedShare
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import Refused
from counterseal.protocol.record import convert
from counterseal.protocol.window import Label, Roster


def fetch(
    source: Source, log: LogView, warrant: bytes, number: int, position: int
) -> list[ListedWindow]:
    """The windows of a warrant's listing `number` as the holder at `position` needs them. Raises
    `Refused`, `TlogError`, `NotFound`.
    """
    match get_array(
        source, f"/v1/warrants/{warrant.hex()}/listings/{number}/holder/{position}", signed=True
    ):
        case (bytes(), tuple(rows)):
            roots: dict[bytes, int] = {}
            return [_window(source, log, row, roots) for row in rows]
    raise Refused("E6", "A listing's page is not [listing, [window, ...]].")


def _window(source: Source, log: LogView, row: Any, roots: dict[bytes, int]) -> ListedWindow:
    match row:
        case (
            bytes(label),
            bytes(roster),
            sealed,
            bytes(_),
            tuple(proof),
            bytes(root),
            int(index),
        ):
            if root not in roots:
                roots[root] = log.prove(source, entry_hash(root))
            if roots[root] != index:
                raise Refused(
                    "R6", "A period root does not stand in the log where the service says."
                )
            decoded = Label.decode(label)
            logged = logged_window(decoded, proof, root)
            share = None if sealed is None else convert(sealed, SealedShare)
            return ListedWindow(decoded, Roster.decode(roster), share, logged)
    raise Refused(
        "E6", "A row of a listing's page is not of the form that docs/reference/api.md states."
    )


class Labels:
    """The labels of listings seen before, kept in the home: units are counted over all of a
    warrant's listings (R8).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, listing_digest: bytes, labels: Sequence[Label]) -> None:
        """Keeps a listing's labels."""
        store.write(self._place(listing_digest), cbor.encode([label.encode() for label in labels]))

    def before(
        self, access: Access, number: int, source: Source, log: LogView, position: int
    ) -> list[Label]:
        """The labels of all listings before `number`: kept ones, else fetched and compared with the
        ledger's window ids.
        """
        labels: list[Label] = []
        for digest, listing in access.listings[:number]:
            there = self._read(digest)
            if there is None:
                there = [
                    window.label
                    for window in fetch(source, log, access.digest, listing.number, position)
                ]
                self.keep(digest, there)
            if [label.window_id for label in there] != list(listing.windows):
                raise Refused(
                    "R7",
                    "The windows shown are not those of the listing in the ledger, in its order.",
                )
            labels += there
        return labels

    def _read(self, digest: bytes) -> list[Label] | None:
        try:
            data = self._place(digest).read_bytes()
        except FileNotFoundError:
            return None
        value = cbor.decode(data, ANSWER_MAX)
        return (
            [Label.decode(label) for label in value if isinstance(label, bytes)]
            if isinstance(value, tuple)
            else None
        )

    def _place(self, digest: bytes) -> Path:
        return self._folder / f"{digest.hex()}.labels"
