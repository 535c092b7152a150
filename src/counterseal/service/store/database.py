"""Opens the database and runs its one writer: group commit, and an answer only for what is on disk.

Jobs from all requests queue up; the writer runs what has gathered as one transaction, each job in a
savepoint of its own, and commits with `synchronous=FULL`. Only then do the jobs' results go back to
the event loop, all in one call and in order. After an error of the disk nothing is written any
more: a page that fsync has failed on may be dropped by the kernel and look clean ever after.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import apsw

from counterseal import failpoint
from counterseal.protocol.errors import FatalError, Unavailable
from counterseal.service.store.schema import SCHEMA, VERSION

T = TypeVar("T")
Job = Callable[[apsw.Connection], T]

_log = logging.getLogger("counterseal.service.store")
_BATCH = 512
_DISK_ERRORS = (
    apsw.IOError,
    apsw.FullError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
)


def connect(path: Path, *, write: bool) -> apsw.Connection:
    """One connection. Readers see what is committed; they can never write."""
    flags = (
        apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if write else apsw.SQLITE_OPEN_READONLY
    )
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=400)
    connection.set_busy_timeout(10_000)
    connection.execute(
        "PRAGMA mmap_size = 268435456; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY"
    )
    if write:
        connection.execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000"
        )
        _migrate(connection)
    return connection


def _migrate(connection: apsw.Connection) -> None:
    [(version,)] = connection.execute("PRAGMA user_version").fetchall()
    if version == VERSION:
        return
    if version != 0:
        raise Unavailable(
            f"The database has layout {version}; this program knows {VERSION}. Use the program that made it."
        )
    with connection:
        connection.execute(SCHEMA)
        connection.execute(f"PRAGMA user_version = {VERSION}")


class _Pending(Generic[T]):
    """A job on its way: `after` runs on the event loop, in commit order, before the one who waits
    is woken.
    """

    __slots__ = ("after", "error", "future", "job", "name", "result")

    def __init__(
        self, name: str, job: Job[T], future: asyncio.Future[T], after: Callable[[T], None] | None
    ) -> None:
        self.name = name
        self.job = job
        self.future = future
        self.after = after
        self.result: Any = None
        self.error: BaseException | None = None


class Store:
    """The service's database: `reader` for the event loop's own short reads, `write` for everything
    that changes.
    """

    def __init__(self, path: Path, on_fatal: Callable[[BaseException], None]) -> None:
        # the database names who talks to whom: for the service's user alone
        os.umask(os.umask(0o077) | 0o077)
        self.path = path
        self._writer = connect(path, write=True)
        self.reader = connect(path, write=False)
        self._queue: queue.SimpleQueue[_Pending[Any] | None] = queue.SimpleQueue()
        self._on_fatal = on_fatal
        self._dead: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Starts the writer; to be called on the event loop that `write` is awaited on."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def now(self, name: str, job: Job[T]) -> T:
        """Runs a job at once and durably, before `start`: recovery and first start only."""
        assert not self._thread.is_alive()
        with self._writer:
            result = job(self._writer)
            failpoint.reach(name, "before")
        failpoint.reach(name, "after")
        return result

    async def write(self, name: str, job: Job[T], after: Callable[[T], None] | None = None) -> T:
        """The job's result, once all that it wrote is on disk. `name` is the failpoint's. Raises
        what the job raises.
        """
        assert self._loop is not None
        if self._dead is not None:
            raise Unavailable(
                "The service's disk has failed; it writes nothing until a person has looked.",
                code="disk",
            )
        pending = _Pending(name, job, self._loop.create_future(), after)
        self._queue.put(pending)
        result: T = await pending.future
        return result

    async def close(self) -> None:
        """Lets what is queued be written, then closes."""
        self._queue.put(None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        self.reader.close()
        self._writer.close()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            jobs = [pending for pending in batch if pending is not None]
            try:
                if jobs:
                    self._commit(jobs)
            except Exception as error:
                self._die(jobs, error)
                return
            if len(jobs) < len(batch):
                return

    def _commit(self, jobs: list[_Pending[Any]]) -> None:
        execute = self._writer.execute
        execute("BEGIN IMMEDIATE")
        for pending in jobs:
            execute("SAVEPOINT job")
            try:
                pending.result = pending.job(self._writer)
            except (*_DISK_ERRORS, FatalError):
                raise
            except Exception as error:
                pending.error = error
                execute("ROLLBACK TO job")
            execute("RELEASE job")
        for pending in jobs:
            failpoint.reach(pending.name, "before")
        execute("COMMIT")
        for pending in jobs:
            failpoint.reach(pending.name, "after")
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_hand_back, jobs)

    def _die(self, jobs: list[_Pending[Any]], error: Exception) -> None:
        self._dead = error
        assert self._loop is not None
        for pending in jobs:
            pending.error = FatalError("The service's disk has failed.", code="disk")
        self._loop.call_soon_threadsafe(_hand_back, jobs)
        self._loop.call_soon_threadsafe(self._on_fatal, error)


def _hand_back(jobs: list[_Pending[Any]]) -> None:
    for pending in jobs:
        if pending.error is None and pending.after is not None:
            try:
                pending.after(pending.result)
            # a bug of ours; what is durable stays so, and the others must have their answers
            except Exception as error:
                _log.critical("after the durable write %s: %s", pending.name, type(error).__name__)
        if pending.future.done():  # the one who waited has gone; what was written stays written
            continue
        if pending.error is None:
            pending.future.set_result(pending.result)
        else:
            pending.future.set_exception(pending.error)
