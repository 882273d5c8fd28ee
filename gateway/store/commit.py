"""How units of work become transactions.

On SQLite one thread takes all units that wait and commits them together: one sync serves many
senders, and each unit stands in its own SAVEPOINT, so that one's error leaves the others. Rows that
need no answer are written for the whole group at once; where these fail, each unit is run again
alone. On PostgreSQL it is much the same (``shared``). Either way a future is resolved when the
commit is on disk.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from gateway import meters
from gateway.errors import Unavailable
from gateway.store.disk import Disk
from gateway.store.engine import Engine
from gateway.store.link import Link
from gateway.store.shared import SharedCommit
from gateway.store.units import Committer, Pending, count, origin, undertake

T = TypeVar("T")

_GROUP: Final = 256
_LINGER: Final = 0.02
"""Seconds for which a group waits for units that are expected."""


_AWAKE: Final = Pending[Any](lambda _: None)
"""Queued where the last group is on disk, so that the writer looks whether to commit the next."""


class GroupCommit:
    """The single writer thread of a SQLite file.

    While a group is on its way to the disk the next one is being run, and is committed once that
    one is safe: the writer never sleeps for the disk, and a slow disk makes larger groups. So does
    what is expected: units touch the same pages, so that sixteen together cost half of sixteen.
    """

    orderly = True

    def __init__(self, engine: Engine, log: Path) -> None:
        self._engine = engine
        self._disk = Disk(log)
        self._queue: queue.SimpleQueue[Pending[Any] | None] = queue.SimpleQueue()
        self._connection: sa.Connection | None = None
        self._expected = 0
        self._counting = threading.Lock()
        self._closed = self._ended = self.refusing = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, unit: Callable[[Link], T]) -> Future[T]:
        """Queue the unit for the next group."""
        if self._closed:
            raise Unavailable("the hub is closed")
        waiting = Pending(unit)
        self._queue.put(waiting)
        return waiting.future

    @property
    def waiting(self) -> int:
        """Units in the queue, and a mark now and then that is none."""
        return self._queue.qsize()

    def at_once(self, unit: Callable[[Link], T]) -> T:
        """With the next group: there is one writer."""
        return self.submit(unit).result()

    def expect(self, first: Future[Any]) -> None:
        """Its unit may be waited for. To be called after what submits the unit was told of it."""
        with self._counting:
            self._expected += 1
        first.add_done_callback(self._come)

    def _come(self, _: Future[Any]) -> None:
        with self._counting:
            self._expected -= 1
        if not self._expected:
            self._queue.put(_AWAKE)

    def close(self) -> None:
        """Commit what waits, end the threads, close the file."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while not self._ended:
            first = self._next()
            if first is not None:
                self._commit(self._group(first))
        self._disconnect()
        self._disk.close()

    def _next(self, *, block: bool = True, timeout: float | None = None) -> Pending[Any] | None:
        """The next unit; None: there is none now, or the writer is awake, or has ended."""
        try:
            waiting = self._queue.get(block, timeout)
        except queue.Empty:
            return None
        if waiting is None:
            self._ended = True
        elif waiting is not _AWAKE and waiting.future.set_running_or_notify_cancel():
            return waiting
        return None

    def _group(self, first: Pending[Any]) -> Iterator[Pending[Any]]:
        """Units to commit together: what comes until the last group is on disk, what is expected
        for a moment longer, and what waits.
        """
        count = 1
        patience = time.monotonic() + _LINGER
        yield first
        while count < _GROUP and not self._ended:
            left = None if not self._disk.idle else patience - time.monotonic()
            if left is not None and (left <= 0 or not self._expected):
                break
            if (waiting := self._next(timeout=left)) is not None:
                count += 1
                yield waiting
        for _ in range(min(self._queue.qsize(), _GROUP - count)):
            if (waiting := self._next(block=False)) is not None:
                yield waiting
        self._disk.wait()

    def _commit(self, units: Iterable[Pending[Any]]) -> None:
        group: list[Pending[Any]] = []
        rest = iter(units)
        began = time.perf_counter()
        try:
            self._together(rest, group, eager=isinstance(units, list))
        except BaseException as error:  # noqa: BLE001 - told to every sender; the thread lives on
            self._disconnect()
            self._failed([*group, *rest], self._engine.verdict(origin(error)))
        else:
            self._disk.settle(partial(self._settled, group, began))

    def _failed(self, group: list[Pending[Any]], verdict: BaseException) -> None:
        if len(group) > 1 and not isinstance(verdict, Unavailable):
            # Rows of one of them, but of which? Each alone, so that the others get through.
            for waiting in group:
                self._disk.wait()
                self._commit([waiting])
            return
        if isinstance(verdict, Unavailable):
            self.refusing = True
            meters.COMMIT_FAILURES.inc(len(group))
        for waiting in group:
            waiting.error = verdict
            waiting.resolve()

    def _settled(self, group: list[Pending[Any]], began: float, error: OSError | None) -> None:
        """On the disk's thread: let the writer go on, then tell those who wait."""
        self._queue.put(_AWAKE)
        self.refusing = error is not None
        if error is None:
            count(group, time.perf_counter() - began)
        else:
            meters.COMMIT_FAILURES.inc(len(group))
        for waiting in group:
            if error is not None:
                waiting.error = Unavailable("the disk can't take it now")
            waiting.resolve()

    def _together(
        self, units: Iterator[Pending[Any]], group: list[Pending[Any]], *, eager: bool
    ) -> None:
        """One transaction of ``units``, each added to ``group`` once it is taken."""
        if self._connection is None:
            self._connection = self._connected()
        with self._connection.begin():
            link = Link(self._engine, self._connection, eager=eager)
            for waiting in units:
                group.append(waiting)
                undertake(link, waiting, link.savepoint)
            if link.broken or self._disk.failed:
                raise Unavailable("the database can't take it now")
            link.flush()

    def _connected(self) -> sa.Connection:
        """A connection to a file that holds all that was ever told."""
        self._disk.reopen()
        connection = self._engine.writes.connect()
        if self._disk.failed:
            self._engine.rescue(connection)
            self._disk.healed()
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._disk.wait()
            connection.invalidate()
            connection.close()


def start(engine: Engine) -> Committer:
    """The way of committing that the engine asks for."""
    return SharedCommit(engine) if engine.log is None else GroupCommit(engine, engine.log)
