"""How units of work become transactions of a PostgreSQL that many processes write to.

A few writers each take what waits into one transaction: its statements and its commit then serve
many senders. Each unit stands in a SAVEPOINT of its own, so that one's error leaves the others.
What the server asks to be run again is run again whole, and each unit alone if that doesn't help.
Of a transaction whose COMMIT was cut off the server is asked what became of it (``fate``).
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from gateway import meters
from gateway.errors import Unavailable
from gateway.store import fate
from gateway.store.engine import Engine, Retry
from gateway.store.link import Apart, Link
from gateway.store.units import Pending, count, origin, undertake

T = TypeVar("T")
Group = list[Pending[Any]]

_WRITERS: Final = 2
_GROUP: Final = 32
"""More would overflow what a server's process shows others of its open savepoints."""

_LONGEST: Final = 0.05
"""Seconds after which a group takes no more: those who wait find another writer."""

_TRIES: Final = 12
_TOGETHER: Final = 2
"""Tries after which each unit of a group is run alone."""


class SharedCommit:
    """Some writers, each with a transaction for what waits when it begins.

    A unit sees all that was committed before it was submitted, so none joins a transaction whose
    snapshot is older.
    """

    orderly = False

    def __init__(self, engine: Engine, writers: int = _WRITERS) -> None:
        self._engine = engine
        self._queue: deque[tuple[int, Pending[Any]]] = deque()
        self._submitted = 0
        self._come = threading.Condition()
        self._closed = self.refusing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"store-writer-{n}", daemon=True)
            for n in range(writers)
        ]
        for each in self._threads:
            each.start()

    def submit(self, unit: Callable[[Link], T]) -> Future[T]:
        """Queue the unit for the next writer that is free."""
        waiting = Pending(unit)
        with self._come:
            if self._closed:
                raise Unavailable("the hub is closed")
            self._submitted += 1
            self._queue.append((self._submitted, waiting))
            self._come.notify()
        return waiting.future

    @property
    def waiting(self) -> int:
        """Those that no writer has taken."""
        return len(self._queue)

    def at_once(self, unit: Callable[[Link], T]) -> T:
        """On the caller's thread, by a connection that no writer uses."""
        waiting = Pending(unit)
        self._run([waiting], iter(()), self._engine.reads)
        return waiting.future.result()

    def expect(self, first: Future[Any]) -> None:
        """Nobody waits for anybody."""

    def close(self) -> None:
        """Finish what was submitted."""
        with self._come:
            self._closed = True
            self._come.notify_all()
        for each in self._threads:
            each.join()

    # --- on a writer's thread --------------------------------------------------------------------

    def _work(self) -> None:
        while self._awaited():
            more = self._take()
            first = next(more, None)
            if first is None:
                continue  # another writer was quicker
            # Who is alone needs no savepoint, so nobody may join it.
            self._run([first], more if self._queue else None, self._engine.writes)

    def _awaited(self) -> bool:
        """Whether something waits, once it does; not where nothing will any more."""
        with self._come:
            while not self._queue and not self._closed:
                self._come.wait()
            return bool(self._queue)

    def _take(self) -> Iterator[Pending[Any]]:
        """What was submitted until now, as long as that isn't too much at once."""
        last, until = self._submitted, time.monotonic() + _LONGEST
        for _ in range(_GROUP):
            with self._come:
                if not self._queue or self._queue[0][0] > last:
                    return
                _, waiting = self._queue.popleft()
            if waiting.future.set_running_or_notify_cancel():
                yield waiting
            if time.monotonic() > until:
                return

    def _run(self, group: Group, more: Iterator[Pending[Any]] | None, by: sa.Engine) -> None:
        """Have the group, and what ``more`` brings, on disk or refused; tell whose it is."""
        for attempt in range(_TRIES):
            try:
                self._once(group, more, by)
                break
            except Retry as why:
                meters.COMMIT_RETRIES.inc()
                if len(group) > 1 and (isinstance(why, Apart) or attempt + 1 == _TOGETHER):
                    self._apart(group, by)
                    return
                # Spread over time, or the same units meet again.
                time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))
            except BaseException as error:  # noqa: BLE001 - told to every sender; the thread lives on
                self._failed(group, by, self._engine.verdict(origin(error)))
                return
        else:
            self._failed(group, by, Unavailable("too many writers of the same resource"))
            return
        for waiting in group:
            waiting.resolve()

    def _apart(self, group: Group, by: sa.Engine) -> None:
        for waiting in group:
            self._run([waiting], None, by)

    def _failed(self, group: Group, by: sa.Engine, verdict: BaseException) -> None:
        if len(group) > 1 and not isinstance(verdict, Unavailable):
            # Rows of one of them, but of which?
            self._apart(group, by)
            return
        for waiting in group:
            waiting.error = verdict
            waiting.resolve()

    def _once(self, group: Group, more: Iterator[Pending[Any]] | None, by: sa.Engine) -> None:
        began = time.perf_counter()
        try:
            with by.connect() as connection:
                self._in_transaction(connection, group, more)
        except fate.Unheard as cut:
            if not self._committed(by, cut.number, group):
                raise Retry("the connection was lost") from None
        except (sa.exc.DBAPIError, self._engine.error) as error:
            verdict = self._engine.verdict(origin(error))
            if isinstance(verdict, Unavailable):
                self._refuse(group)
            raise verdict from None
        self.refusing = False
        count(group, time.perf_counter() - began)

    def _committed(self, by: sa.Engine, number: fate.Number, group: Group) -> bool:
        try:
            return fate.committed(by, number)
        except Unavailable:
            self._refuse(group)
            raise

    def _refuse(self, group: Group) -> None:
        self.refusing = True
        meters.COMMIT_FAILURES.inc(len(group))

    def _in_transaction(
        self, connection: sa.Connection, group: Group, more: Iterator[Pending[Any]] | None
    ) -> None:
        with connection.begin() as transaction:
            together = more is not None
            link = Link(self._engine, connection, eager=not together, lazy=together)
            try:
                if more is None:
                    _alone(link, group[0])
                else:
                    _together(link, group, more)
                link.flush()
                number = link.number()
            except Retry:
                if self._engine.lost(connection):  # the server cut it off: it was idle too long
                    connection.invalidate()
                raise
            except Unavailable:
                if link.broken and self._engine.lost(connection):
                    # Nothing was committed. A server that is away says so by the next connection.
                    raise Retry("the connection was lost") from None
                raise
            finally:
                if link.broken:
                    self.refusing = True
                    connection.invalidate()
            _commit(transaction, number)


def _commit(transaction: sa.Transaction, number: fate.Number | None) -> None:
    try:
        transaction.commit()
    except sa.exc.DBAPIError as error:
        if number is None or not error.connection_invalidated:
            raise
        raise fate.Unheard(number) from None


def _alone(link: Link, waiting: Pending[Any]) -> None:
    waiting.error = None
    try:
        waiting.value = waiting.unit(link)
    finally:
        link.check_race()
    link.check()
    waiting.promised = link.promised


def _together(link: Link, group: Group, more: Iterator[Pending[Any]]) -> None:
    for waiting in _all(group, more):
        undertake(link, waiting, link.mark)
        link.check()  # what befell the whole transaction is everybody's


def _all(group: Group, more: Iterator[Pending[Any]]) -> Iterator[Pending[Any]]:
    """Those of the group, and what comes to it."""
    yield from tuple(group)
    for waiting in more:
        group.append(waiting)
        yield waiting
