"""The database's file, its connections, and its one writer: group commit.

Jobs from all requests queue up. The writer runs what has gathered as one transaction, each job in a
savepoint of its own, and commits with `synchronous=FULL`. Only then do the jobs' results go back to
the event loop, all in one call and in order. After an error of the disk nothing is written any
more: a page that fsync has failed on may be dropped by the kernel and look clean ever after.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
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
from counterseal.service.store.interface import ReadJob, Snapshot, Transaction, WriteJob
from counterseal.service.store.sqlite.accounts import SqliteAccounts
from counterseal.service.store.sqlite.blobs import SqliteBlobs
from counterseal.service.store.sqlite.conversations import SqliteConversations
from counterseal.service.store.sqlite.key_packages import SqliteKeyPackages
from counterseal.service.store.sqlite.ledger import SqliteLedger
from counterseal.service.store.sqlite.log import SqliteLog
from counterseal.service.store.sqlite.periods import SqlitePeriods
from counterseal.service.store.sqlite.releases import SqliteReleases
from counterseal.service.store.sqlite.schema import SCHEMA, VERSION
from counterseal.service.store.sqlite.trust import SqliteTrust
from counterseal.service.store.sqlite.windows import SqliteWindows

T = TypeVar("T")

FILE = "service.db"
_BATCH = 512
_CLOSE_SECONDS = 3.0
_DISK_ERRORS = (
    apsw.IOError,
    apsw.FullError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
)
_log = logging.getLogger("counterseal.service.store")


class _Pending(Generic[T]):
    """A job on its way, and what became of it."""

    __slots__ = ("after", "error", "future", "job", "name", "result")

    def __init__(
        self,
        name: str,
        job: WriteJob[T],
        future: asyncio.Future[T] | concurrent.futures.Future[T],
        after: Callable[[T], None] | None,
    ) -> None:
        self.name = name
        self.job = job
        self.future = future
        self.after = after
        self.result: Any = None
        self.error: BaseException | None = None


class SqliteStore:
    """See `Store`."""

    def __init__(self, directory: Path, on_fatal: Callable[[BaseException], None]) -> None:
        # the database names who talks to whom: for the service's user alone
        os.umask(os.umask(0o077) | 0o077)
        self._path = directory / FILE
        self._db = _connect(self._path, write=True)
        self._transaction = Transaction(*_tables(self._db))
        self._reader = _ReadConnection(self._path)
        self._spare: queue.SimpleQueue[_ReadConnection] = queue.SimpleQueue()

        self._queue: queue.SimpleQueue[_Pending[Any] | None] = queue.SimpleQueue()
        self._on_fatal = on_fatal
        self._dead: BaseException | None = None
        self._closing = False
        self._gate = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """See `Store`."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def read(self, job: ReadJob[T]) -> T:
        """See `Store`. A few pages from the cache: at once, on the event loop."""
        return self._reader.run(job)

    def read_apart(self, job: ReadJob[T]) -> T:
        """See `Store`. On a connection of its own, kept for the next such read."""
        try:
            connection = self._spare.get_nowait()
        except queue.Empty:
            connection = _ReadConnection(self._path)
        try:
            return connection.run(job)
        finally:
            self._spare.put(connection)

    async def write(
        self, name: str, job: WriteJob[T], after: Callable[[T], None] | None = None
    ) -> T:
        """See `Store`."""
        assert self._loop is not None
        future = self._loop.create_future()
        self._put(_Pending(name, job, future, after))
        result: T = await future
        return result

    def write_apart(self, name: str, job: WriteJob[T]) -> T:
        """See `Store`."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._put(_Pending(name, job, future, None))
        return future.result()

    def _put(self, pending: _Pending[Any]) -> None:
        with self._gate:
            if self._dead is not None:
                raise Unavailable(
                    "The service's disk has failed; it writes nothing until a person has looked.",
                    code="disk",
                )
            # nobody would come for it any more, and whoever waits would keep the process alive
            if self._closing:
                raise Unavailable(
                    "The service is stopping; nothing is written any more.", code="stopping"
                )
            self._queue.put(pending)

    async def close(self) -> None:
        """See `Store`."""
        with self._gate:
            self._closing = True
            self._queue.put(None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)
        # a lock that others hold: what was not written was not acknowledged
        if self._thread.is_alive():
            return
        self._reader.close()
        while not self._spare.empty():
            self._spare.get_nowait().close()
        self._db.close()

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
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        for pending in jobs:
            execute("SAVEPOINT job")
            try:
                pending.result = pending.job(self._transaction)
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

        self._answer(jobs)

    def _answer(self, jobs: list[_Pending[Any]]) -> None:
        """Gives the results back: to threads here, to everybody else on the event loop."""
        apart = [one for one in jobs if isinstance(one.future, concurrent.futures.Future)]
        _hand_back(apart)
        self._on_loop(_hand_back, [one for one in jobs if one not in apart])

    def _on_loop(self, call: Callable[[Any], object], argument: object) -> None:
        assert self._loop is not None
        # a loop that is closed has nobody who waits
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, argument)

    def _die(self, jobs: list[_Pending[Any]], error: Exception) -> None:
        with self._gate:
            self._dead = error
            while not self._queue.empty():
                pending = self._queue.get_nowait()
                if pending is not None:
                    jobs.append(pending)
        for pending in jobs:
            pending.error = FatalError("The service's disk has failed.", code="disk")
        self._answer(jobs)
        self._on_loop(self._on_fatal, error)


class _ReadConnection:
    """A connection that can only read, with its tables."""

    def __init__(self, path: Path) -> None:
        self._db = _connect(path, write=False)
        self._tables = Snapshot(*_tables(self._db))

    def run(self, job: ReadJob[T]) -> T:
        """The job's result; all that it reads is of one moment."""
        self._db.execute("BEGIN")
        try:
            return job(self._tables)
        finally:
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()


def _connect(path: Path, *, write: bool) -> apsw.Connection:
    """One connection. Readers see what is committed; they can never write. Raises `FatalError`
    "database" for a file that is no database, or cannot be used as one.
    """
    try:
        return _open(path, write=write)
    except _DISK_ERRORS as error:
        raise FatalError(
            f"{path} cannot be used as the service's database ({error}); check the disk, and"
            " restore it from a copy.",
            code="database",
        ) from error


def _open(path: Path, *, write: bool) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY
    if write:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=400)
    connection.set_busy_timeout(10_000)
    connection.execute(
        "PRAGMA mmap_size = 268435456; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY"
    )
    if write:
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000")
        _migrate(connection)
    return connection


def _migrate(connection: apsw.Connection) -> None:
    [(version,)] = connection.execute("PRAGMA user_version").fetchall()
    if version == VERSION:
        return
    if version != 0:
        raise Unavailable(
            f"The database has layout {version}; this program knows {VERSION}."
            " Use the program that made it."
        )
    with connection:
        connection.execute(SCHEMA)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _tables(db: apsw.Connection) -> tuple[Any, ...]:
    """The tables in the order of `Snapshot` and `Transaction`."""
    return (
        SqliteAccounts(db),
        SqliteKeyPackages(db),
        SqliteConversations(db),
        SqliteWindows(db),
        SqlitePeriods(db),
        SqliteTrust(db),
        SqliteLog(db),
        SqliteLedger(db),
        SqliteReleases(db),
        SqliteBlobs(db),
    )


def _hand_back(jobs: list[_Pending[Any]]) -> None:
    for pending in jobs:
        if pending.error is None and pending.after is not None:
            try:
                pending.after(pending.result)
            # a bug of ours; what is durable stays so, and the others must have their answers
            except Exception as error:
                _log.critical("after the durable write %s: %s", pending.name, type(error).__name__)
        # whoever waited may have gone; what was written stays written
        if pending.future.done():
            continue
        if pending.error is None:
            pending.future.set_result(pending.result)
        else:
            pending.future.set_exception(pending.error)
