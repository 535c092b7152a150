"""Checkpoint rows in files: for a log without a database."""

import fcntl
from pathlib import Path

import msgspec

from counterseal.state_files import make_folder
from counterseal.tlog.add_checkpoint import origin_digest
from counterseal.tlog.checkpoint_row import CheckpointRow
from counterseal.tlog.tile_store import (
    write_durably,
)
from counterseal.tlog.writing_errors import FatalLogError


class FileLogStore:
    """A `LogStore` of one small file a log, for tests and for a log without a database."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        make_folder(directory, 0o755)

    def load(self, origin: str) -> CheckpointRow | None:
        """See `LogStore`."""
        try:
            return msgspec.json.decode(self._place(origin).read_bytes(), type=CheckpointRow)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise FatalLogError("T24", f"The row of {origin!r} is damaged: {error}") from error

    def swap(self, old: CheckpointRow | None, new: CheckpointRow) -> bool:
        """See `LogStore`."""
        with (self._directory / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.load(new.origin) != old:
                return False
            write_durably(self._place(new.origin), msgspec.json.encode(new))
            return True

    def _place(self, origin: str) -> Path:
        return self._directory / f"{origin_digest(origin)}.row"
