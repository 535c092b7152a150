"""What a witness keeps of a log: the largest checkpoint that it cosigned.

| rule | refuses |
| --- | --- |
| T32 | *fatal:* a witness's state that cannot be read back |
"""

from pathlib import Path
from typing import Protocol

import msgspec

from counterseal import state_files
from counterseal.tlog.add_checkpoint import origin_digest
from counterseal.tlog.checkpoint import parse_checkpoint, parse_size
from counterseal.tlog.errors import TlogError
from counterseal.tlog.note import parse_note
from counterseal.tlog.writing_errors import FatalLogError


class WitnessState(msgspec.Struct, frozen=True):
    """The largest checkpoint that a witness cosigned for one log, the time of that, and the note
    with its cosignatures.

    `time` is Unix seconds and never falls, even if the machine's clock does.
    """

    origin: str
    size: int
    root: bytes
    time: int
    note: bytes


class WitnessStore(Protocol):
    """Where a witness keeps its states. `save` has to be durable when it returns and raises OSError
    if that is not certain.
    """

    def load(self, origin: str) -> WitnessState | None:
        """The state of one log, or None if nothing was ever cosigned for it."""
        ...

    def save(self, state: WitnessState) -> None:
        """Replaces the state of one log."""
        ...


class FileWitnessStore:
    """A `WitnessStore` of one small text file for each log, replaced at once: time, then the
    cosigned note.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, origin: str) -> WitnessState | None:
        """See `WitnessStore`. Raises `FatalLogError` T32 for a file that is damaged: its loss must
        not let a fork through.
        """
        try:
            data = self._place(origin).read_bytes()
        except FileNotFoundError:
            return None

        first, _, note = data.partition(b"\n")
        try:
            checkpoint = parse_checkpoint(parse_note(note).text)
            seconds = parse_size(first.decode(), "T32")
            if checkpoint.origin != origin:
                raise TlogError("T32", "It is another log's.")
        except (TlogError, UnicodeDecodeError) as error:
            raise FatalLogError("T32", f"The state of {origin!r} is damaged: {error}") from error

        return WitnessState(origin, checkpoint.size, checkpoint.root, seconds, note)

    def save(self, state: WitnessState) -> None:
        """See `WitnessStore`."""
        state_files.write_state(
            self._place(state.origin),
            f"{state.time}\n".encode() + state.note,
            mode=state_files.PUBLIC,
        )

    def _place(self, origin: str) -> Path:
        return self._directory / f"{origin_digest(origin)}.witness"
