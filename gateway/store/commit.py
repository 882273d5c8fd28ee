"""How units of work become transactions.

On SQLite one thread takes all units that wait and commits them together: one sync serves many
senders, and each unit stands in its own SAVEPOINT, so that one's error leaves the others. Rows that
need no answer are written for the whole group at once; where these fail, each unit is run again
alone. On PostgreSQL each unit has its own transaction. Either way a future is resolved when the
commit is on disk.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import sqlalchemy as sa

from gateway import meters
from gateway.errors import Unavailable
from gateway.store.disk import Disk
from gateway.store.engine import Engine, Retry
from gateway.store.link import Link

T = TypeVar("T")
Unit = Callable[[Link], Any]

_GROUP: Final = 256
_LINGER: Final = 0.02
"""Seconds for which a group waits for units that are expected."""
_TRIES: Final = 12


class Committer(Protocol):
    """Runs units in transactions.

    ``refusing``: the database didn't take the last one. ``orderly``: none overtakes another.
    """

    refusing: bool
    orderly: bool

    def submit(self, unit: Callable[[Link], T]) -> Future[T]:
        """The unit's value or error, once its transaction is on disk or rolled back."""

    def expect(self, first: Future[Any]) -> None:
        """A unit is submitted when this ends: it may be worth a moment's waiting."""

    def at_once(self, unit: Callable[[Link], T]) -> T:
        """Run a short unit and wait; on PostgreSQL nothing that waits comes before it."""

    @property
    def waiting(self) -> int:
        """How many units were submitted and nobody has begun."""

    def close(self) -> None:
        """Finish what was submitted, then take no more."""


class _Waiting(Generic[T]):
    __slots__ = ("error", "future", "promised", "unit", "value")

    def __init__(self, unit: Callable[[Link], T]) -> None:
        self.unit = unit
        self.future: Future[T] = Future()
        self.value: Any = None
        self.error: BaseException | None = None
        self.promised = False

    def resolve(self) -> None:
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


_AWAKE: Final = _Waiting[Any](lambda _: None)
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
        self._queue: queue.SimpleQueue[_Waiting[Any] | None] = queue.SimpleQueue()
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
        waiting = _Waiting(unit)
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

    def _next(self, *, block: bool = True, timeout: float | None = None) -> _Waiting[Any] | None:
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

    def _group(self, first: _Waiting[Any]) -> Iterator[_Waiting[Any]]:
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

    def _commit(self, units: Iterable[_Waiting[Any]]) -> None:
        group: list[_Waiting[Any]] = []
        rest = iter(units)
        began = time.perf_counter()
        try:
            self._together(rest, group, eager=isinstance(units, list))
        except BaseException as error:  # noqa: BLE001 - told to every sender; the thread lives on
            self._disconnect()
            self._failed([*group, *rest], self._engine.verdict(_origin(error)))
        else:
            self._disk.settle(partial(self._settled, group, began))

    def _failed(self, group: list[_Waiting[Any]], verdict: BaseException) -> None:
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

    def _settled(self, group: list[_Waiting[Any]], began: float, error: OSError | None) -> None:
        """On the disk's thread: let the writer go on, then tell those who wait."""
        self._queue.put(_AWAKE)
        self.refusing = error is not None
        if error is None:
            _count(group, time.perf_counter() - began)
        else:
            meters.COMMIT_FAILURES.inc(len(group))
        for waiting in group:
            if error is not None:
                waiting.error = Unavailable("the disk can't take it now")
            waiting.resolve()

    def _together(
        self, units: Iterator[_Waiting[Any]], group: list[_Waiting[Any]], *, eager: bool
    ) -> None:
        """One transaction of ``units``, each added to ``group`` once it is taken."""
        if self._connection is None:
            self._connection = self._connected()
        with self._connection.begin():
            link = Link(self._engine, self._connection, eager=eager)
            for waiting in units:
                group.append(waiting)
                self._alone(link, waiting)
            if link.broken or self._disk.failed:
                raise Unavailable("the database can't take it now")
            link.flush()

    def _alone(self, link: Link, waiting: _Waiting[Any]) -> None:
        waiting.error = None
        link.promised = False
        link.savepoint("unit")
        try:
            waiting.value = waiting.unit(link)
            link.check()
            link.release("unit")
            waiting.promised = link.promised
        except BaseException as error:  # noqa: BLE001 - told to its sender after the commit
            waiting.error = error
            link.roll_back_to("unit")

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


class OwnCommit:
    """A small pool of writers, each unit in its own transaction; races are run again."""

    orderly = False

    def __init__(self, engine: Engine, writers: int = 8) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(writers, thread_name_prefix="store-writer")
        self._writers = writers
        self._in_hand = 0
        self.refusing = False
        self._counting = threading.Lock()

    def submit(self, unit: Callable[[Link], T]) -> Future[T]:
        """Run the unit on the next free writer."""
        try:
            future = self._pool.submit(self._run, unit, self._engine.writes)
        except RuntimeError:
            raise Unavailable("the hub is closed") from None
        self._count(1)
        future.add_done_callback(lambda _: self._count(-1))
        return future

    @property
    def waiting(self) -> int:
        """Those for which no writer is free."""
        return max(0, self._in_hand - self._writers)

    def _count(self, more: int) -> None:
        with self._counting:
            self._in_hand += more

    def at_once(self, unit: Callable[[Link], T]) -> T:
        """On the caller's thread, by a connection that no writer uses."""
        return self._run(unit, self._engine.reads)

    def expect(self, first: Future[Any]) -> None:
        """Nobody waits for anybody."""

    def close(self) -> None:
        """Finish what was submitted."""
        self._pool.shutdown(wait=True)

    def _run(self, unit: Callable[[Link], T], by: sa.Engine) -> T:
        for attempt in range(_TRIES):
            try:
                return self._once(unit, by)
            except Retry:
                meters.COMMIT_RETRIES.inc()
                # Spread over time, or the same units meet again.
                time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))
        raise Unavailable("too many writers of the same resource")

    def _once(self, unit: Callable[[Link], T], by: sa.Engine) -> T:
        try:
            with by.connect() as connection:
                return self._in_transaction(connection, unit)
        except (sa.exc.DBAPIError, self._engine.error) as error:
            verdict = self._engine.verdict(_origin(error))
            if isinstance(verdict, Unavailable):
                self.refusing = True
                meters.COMMIT_FAILURES.inc()
            raise verdict from None

    def _in_transaction(self, connection: sa.Connection, unit: Callable[[Link], T]) -> T:
        began = time.perf_counter()
        with connection.begin() as transaction:
            link = Link(self._engine, connection)
            try:
                value = unit(link)
                link.check()
                link.flush()
            except Unavailable:
                if link.broken and self._engine.lost(connection):
                    # Nothing was committed. A server that is away says so by the next connection.
                    raise Retry("the connection was lost") from None
                raise
            except Retry:
                if self._engine.lost(connection):  # the server cut it off: it was idle too long
                    connection.invalidate()
                raise
            finally:
                if link.broken:
                    self.refusing = True
                    connection.invalidate()
            transaction.commit()
        self.refusing = False
        meters.GROUP_UNITS.observe(1)
        meters.COMMIT_SECONDS.observe(time.perf_counter() - began)
        meters.STORED.inc(link.promised)
        return value


def _count(group: list[_Waiting[Any]], seconds: float) -> None:
    """A transaction is on disk: before anybody is told so."""
    meters.GROUP_UNITS.observe(len(group))
    meters.COMMIT_SECONDS.observe(seconds)
    meters.STORED.inc(sum(each.promised and each.error is None for each in group))


def _origin(error: BaseException) -> BaseException:
    return error.orig or error if isinstance(error, sa.exc.DBAPIError) else error


def start(engine: Engine) -> Committer:
    """The way of committing that the engine asks for."""
    return OwnCommit(engine) if engine.log is None else GroupCommit(engine, engine.log)
