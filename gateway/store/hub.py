"""The hub: one database, read by snapshots and written by units of work.

A *unit* is a function of a ``Transaction``. Its writes are all on disk when its future resolves,
or none of them is. A unit may be run again, after a race on PostgreSQL and on SQLite after the
failure of another in its group: beside the transaction it must have no effects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from gateway import traces
from gateway.errors import GatewayError, Unavailable
from gateway.fhir.query import Late
from gateway.model import Event, Stored, Subscriber
from gateway.store.asides import Asides, SettingAside
from gateway.store.attempts import Attempts
from gateway.store.audit import Auditing, Audits
from gateway.store.bell import Bell
from gateway.store.commit import start
from gateway.store.decisions import Deciding, Decisions
from gateway.store.deliveries import Deliveries
from gateway.store.engine import Engine, Retry, open_engine
from gateway.store.erasing import Erasing, Told
from gateway.store.keys import Admitting, Keys
from gateway.store.lacking import Awaiting, Lackings
from gateway.store.leases import Leasing
from gateway.store.leaving import Leaving
from gateway.store.link import Link
from gateway.store.links import UsedLinks, UsingLinks
from gateway.store.many import Creating
from gateway.store.mended import Mending, Mends
from gateway.store.messages import Keeping, Messages
from gateway.store.opening import prepare
from gateway.store.outbox import BATCH, Judged, Outbox, Sending, Unread
from gateway.store.passages import Passages, Passing
from gateway.store.past import Histories
from gateway.store.purging import Old, Purging
from gateway.store.referrals import Pursuing, Referrals
from gateway.store.resources import Resources
from gateway.store.rows import KeptRows, RowKeeping
from gateway.store.scanning import Scanning
from gateway.store.search.alike import Likenesses
from gateway.store.search.late import Batch, Lates, Place, catch_up
from gateway.store.search.renewing import Renewals, Renewing, begun
from gateway.store.search.searches import Searches
from gateway.store.sequences import Sequences
from gateway.store.session import Clock
from gateway.store.sought import Sought
from gateway.store.subscribers import Standing
from gateway.store.trial import TryingDisk
from gateway.store.vitals import Disk, Vitals, disk_of
from gateway.store.waiting import RowsAwaiting, WaitingRows

T = TypeVar("T")

Decide = Callable[[Subscriber, Event, Stored], "bool | GatewayError"]
"""Whether a version concerns a subscriber, or why nobody can say."""

_MAKERS: Final = 16
_OPENINGS: Final = 5
_TRIAL: Final = 1.0
"""Seconds for which whoever asks whether the disk takes anything waits to hear."""


@dataclass(frozen=True, slots=True)
class Ask:
    """For whom the log is read on, from where, and by what lease's fence."""

    standing: Standing
    fence: int | None = None


class Reader(
    Told,
    Resources,
    Histories,
    Searches,
    Likenesses,
    Lates,
    Renewals,
    Messages,
    Sought,
    Mends,
    Lackings,
    WaitingRows,
    Outbox,
    Attempts,
    Deliveries,
    Referrals,
    Decisions,
    Keys,
    Audits,
    UsedLinks,
    Passages,
    KeptRows,
    Asides,
    Old,
    Scanning,
    Vitals,
):
    """A snapshot of the hub."""


class Transaction(
    Reader,
    Renewing,
    Creating,
    Erasing,
    Leaving,
    Keeping,
    Mending,
    Awaiting,
    RowsAwaiting,
    Pursuing,
    Deciding,
    Sequences,
    Sending,
    Admitting,
    Auditing,
    UsingLinks,
    Leasing,
    Passing,
    RowKeeping,
    SettingAside,
    Purging,
    TryingDisk,
):
    """What a unit of work reads and writes; it sees its own writes."""


class Hub:
    """An open database. Made by ``open_hub``; ``close`` it."""

    def __init__(self, engine: Engine, secret: bytes) -> None:
        self._engine = engine
        self.secret = secret
        self._clock = Clock()
        self._committer = start(engine)
        self._trial: Future[None] | None = None
        self.bell = Bell(engine)
        # Who asks for the same waits for who makes it already, or they would meet in its rows.
        self._making = tuple(Lock() for _ in range(_MAKERS))

    @property
    def shared(self) -> bool:
        """Whether other processes may have this hub open: PostgreSQL."""
        return not self._engine.grouped

    @property
    def file(self) -> Path | None:
        """The SQLite file, which one process serves."""
        log = self._engine.log
        return None if log is None else Path(str(log).removesuffix("-wal"))

    @property
    def waiting(self) -> int:
        """How many units were submitted that nobody has begun."""
        return self._committer.waiting

    def disk(self) -> Disk | None:
        """How its file stands; None where a server keeps it. Raises ``Unavailable``."""
        if self._engine.log is None:
            return None
        try:
            return disk_of(self._engine.log)
        except OSError:
            raise Unavailable("the disk can't be asked") from None

    @property
    def orderly(self) -> bool:
        """Whether units run in the order in which they are submitted, as on SQLite.

        Elsewhere who needs an order waits for one unit before submitting the next.
        """
        return self._committer.orderly

    def expect(self, first: Future[Any]) -> None:
        """Something is submitted when this ends: units before it may wait a moment to go together.

        To be called once what submits it is among the future's callbacks.
        """
        self._committer.expect(first)

    def submit(self, unit: Callable[[Transaction], T]) -> Future[T]:
        """The unit's value, or its error, after its commit. Raises ``Unavailable`` if closed.

        The future fails with ``Unavailable`` where the database can't take it: nothing was done, or
        nobody can tell (``fate``). Its callbacks run on the writer's thread: they must be short.
        Versions are traced back to the span that one stands in.
        """
        if not traces.is_on():
            return self._committer.submit(self._work(unit))
        versions = traces.Versions(self.secret)

        def named(tx: Transaction) -> T:
            tx.named = versions.begin()
            return unit(tx)

        future = self._committer.submit(self._work(named))
        future.add_done_callback(versions.end)
        return future

    def writable(self) -> bool:
        """Whether what is written gets on disk, by what became of the last group.

        Where that failed it is tried, or nobody would find out that all is well again while
        nothing is sent here.
        """
        if not self._committer.refusing:
            return True
        if self._trial is None or self._trial.done():
            self._trial = self.submit(lambda tx: tx.try_disk())
        try:
            self._trial.result(_TRIAL)
        except (GatewayError, TimeoutError):
            return False
        return True

    def write(self, unit: Callable[[Transaction], T]) -> T:
        """``submit`` and wait."""
        return self.submit(unit).result()

    def at_once(self, unit: Callable[[Transaction], T]) -> T:
        """``write`` for what is short and can't wait: on PostgreSQL past all that was submitted."""
        return self._committer.at_once(self._work(unit))

    def _work(self, unit: Callable[[Transaction], T]) -> Callable[[Link], T]:
        return lambda link: unit(Transaction(link, self._clock, self.secret))

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A snapshot, to be used by this thread alone. Raises ``Unavailable``."""
        try:
            with self._engine.reads.connect() as connection, connection.begin():
                link = Link(self._engine, connection)
                try:
                    yield Reader(link, self._clock, self.secret)
                finally:
                    if link.broken:
                        self._engine.lost(connection)
                        connection.invalidate()
        except sa.exc.TimeoutError:
            raise Unavailable("too many readers at once") from None
        except Retry:
            raise Unavailable("the database can't tell it now") from None
        except (sa.exc.DBAPIError, self._engine.error) as error:
            origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise self._engine.verdict(origin or error) from None

    def advance(
        self, asked: Iterable[Ask], decide: Decide, *, limit: int = BATCH
    ) -> dict[str, int | GatewayError]:
        """Read on for subscribers: what ``decide`` chooses of what its agency may see is queued.

        ``decide`` runs on this thread, outside the writer; an error that it gives is an event that
        can't be judged, which is set aside; one that it raises is that subscriber's alone. By id,
        how many events were read; 0 where there are none, or where another drain of the same
        subscriber was first. Those of an agency that are equally far are read for at once.
        """
        progress: dict[str, int | GatewayError] = {}
        judged: list[Judged] = []
        with self.read() as reader:
            for _, group in groupby(sorted(asked, key=_place), key=_place):
                some = list(group)
                found = reader.unread(some[0].standing, limit)
                for each in some:
                    verdict = None if found is None else _judged(found, each, decide)
                    if isinstance(verdict, Judged):
                        judged.append(verdict)
                    progress[each.standing.subscriber.id] = _progress(verdict)
        if judged:
            late = self.write(lambda transaction: transaction.queue_all(judged))
            progress |= dict.fromkeys(late, 0)
        return progress

    def catch_up(self, late: Late, most: int = 20_000) -> None:
        """Make the rows that wait for a search, a batch at a time.

        Raises ``Unavailable`` where more than ``most`` are missing: those are made, and asking
        again goes on from there.
        """

        def unmade(late: Late, after: Place | None) -> Batch | None:
            with self.read() as reader:
                return reader.unmade(late, after)

        def file(batch: Batch) -> None:
            self.write(lambda transaction: transaction.make(batch))

        with self._making[hash(late.name) % len(self._making)]:
            made = catch_up(late, unmade, file, most)
        if made >= most:
            raise Unavailable("what this search looks into is being made; ask again")

    def reindex(self) -> int:
        """Make all search rows again, and what was made late go on. How many resources."""
        count, last = 0, 0
        while True:
            with self.read() as reader:
                batch, names = reader.renewed(last), reader.begun()
            if batch is None:
                break
            self.write(partial(Transaction.refile, batch=batch))
            count, last = count + len(batch.made), batch.last
        for late in filter(None, map(begun, names)):
            self.catch_up(late, most=2**62)
        return count

    def close(self) -> None:
        """Commit what was submitted, then close every connection."""
        self._committer.close()
        self._engine.close()


def _place(asked: Ask) -> tuple[str, str, str, int, int]:
    """Whoever has the same place reads the same."""
    told = asked.standing.subscriber
    return told.status, told.agency, told.criteria.partition("?")[0], *asked.standing.cursor


def _judged(unread: Unread, asked: Ask, decide: Decide) -> Judged | GatewayError:
    told = asked.standing.subscriber
    try:
        judged = [(event, decide(told, event, found)) for event, found in unread.seen]
    except GatewayError as error:
        return error
    chosen = [event for event, verdict in judged if verdict]
    faulty = {event.sequence: it for event, it in judged if isinstance(it, GatewayError)}
    return Judged(asked.standing, unread.end, unread.count, chosen, faulty, asked.fence)


def _progress(judged: Judged | GatewayError | None) -> int | GatewayError:
    return judged.count if isinstance(judged, Judged) else judged or 0


def open_hub(url: str) -> Hub:
    """Open the database of a SQLAlchemy URL; it is made, or brought forward, as it needs.

    Raises ``SettingError`` for a URL or schema that isn't ours, ``Unavailable``.
    """
    engine = open_engine(url)
    for attempt in range(_OPENINGS):
        try:
            return Hub(engine, prepare(engine))
        except (sa.exc.DBAPIError, engine.error):
            # Another that opens the same new file locks it in ways that SQLite doesn't wait for.
            time.sleep(0.05 * attempt)
        except GatewayError:
            engine.close()
            raise
    engine.close()
    raise Unavailable("can't open the database", place="GATEWAY_DATABASE_URL")
