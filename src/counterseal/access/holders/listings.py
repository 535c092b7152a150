"""What a holder fetches about a listing: labels, rosters, its own sealed shares, and the windows'
places in logged period roots.

Whatever comes back is decoded strictly and proved: a label by the window id that the ledger names,
a window by its path to a period root, a period root by its place in the cosigned log.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from counterseal import state_files
from counterseal.access.common.log_view import LogView
from counterseal.access.common.sources import Source, ask
from counterseal.protocol.access import Access
from counterseal.protocol.entry import entry_hash
from counterseal.protocol.errors import Refused
from counterseal.protocol.period import WindowFrames
from counterseal.protocol.window import Label, Roster
from counterseal.tlog.periods import decode_period_root, verify_window
from counterseal.wire.body import Rows, decode_body, encode_body
from counterseal.wire.listings import HOLDER_LISTING, HolderWindow, LabelBytes

from .checks import ListedWindow


def fetch(
    source: Source, log: LogView, warrant: bytes, number: int, position: int
) -> list[ListedWindow]:
    """The windows of a warrant's listing `number` as the holder at `position` needs them. Raises
    `Refused`, `TlogError`, `NotFound`.
    """
    shown = ask(source, HOLDER_LISTING, warrant=warrant, listing=number, position=position)
    roots: dict[bytes, int] = {}
    for window in shown.windows:
        if window.root not in roots:
            roots[window.root] = log.prove(source, entry_hash(window.root)).index
        if roots[window.root] != window.log_index:
            raise Refused("R6", "A period root is not in the log where the service says.")
    return [_listed(window) for window in shown.windows]


def _listed(shown: HolderWindow) -> ListedWindow:
    """The window as a leaf of its period root, whose own place in the log is proved. Raises P1, P3,
    P6, R6, E1 to E7.
    """
    label, proof = Label.decode(shown.label), shown.proof
    logged = verify_window(
        decode_period_root(shown.root),
        WindowFrames(label.window_id, proof.frames, proof.frames_root),
        proof.index,
        proof.windows,
        proof.path,
    )
    return ListedWindow(label, Roster.decode(shown.roster), shown.sealed, logged)


class KeptLabels(Rows, frozen=True):
    """A listing's encoded labels, in its order."""

    limit: ClassVar[int] = 256 << 20
    rows: Annotated[tuple[LabelBytes, ...], Meta(max_length=1 << 20)]


class Labels:
    """The labels of listings seen before, kept in the home: units are counted over all of a
    warrant's listings (R8).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, listing_digest: bytes, labels: Sequence[Label]) -> None:
        """Keeps a listing's labels."""
        kept = KeptLabels(tuple(label.encode() for label in labels))
        state_files.write_state(self._place(listing_digest), encode_body(kept))

    def before(
        self, access: Access, number: int, source: Source, log: LogView, position: int
    ) -> list[Label]:
        """The labels of all listings before `number`: kept ones, else fetched and compared with the
        ledger's window ids. Raises `Refused` R7, and as `fetch`.
        """
        labels: list[Label] = []
        for digest, listing in access.listings[:number]:
            there = self._read(digest)
            if there is None:
                windows = fetch(source, log, access.digest, listing.number, position)
                there = [window.label for window in windows]
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
        return [
            Label.decode(label) for label in decode_body(data, KeptLabels.limit, KeptLabels).rows
        ]

    def _place(self, digest: bytes) -> Path:
        return self._folder / f"{digest.hex()}.labels"
