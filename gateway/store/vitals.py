"""How the hub stands, for whoever runs it: what waits, what failed, how full its disk is.

Numbers alone, read by indexes at a bounded cost, whatever has piled up: a count ends at ``MOST``,
and a subscriber's backlog is told by its numbers, which have no gaps.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from gateway.store.asides import aside
from gateway.store.link import Statement
from gateway.store.outbox import UNREAD
from gateway.store.referrals import timer
from gateway.store.search.index import param_key
from gateway.store.session import Session
from gateway.store.tables import delivery, message, subscriber, token, version

MOST: Final = 10_000
"""Nothing is counted beyond: who has as many has to look anyway."""

_SECOND: Final = 1_000_000

STATUSES: Final = (
    "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled",
    "in-progress", "on-hold", "failed", "completed", "entered-in-error",
)  # fmt: skip
"""Task.status (R4, required)."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What an agency's subscribers of a channel and status have before them, together.

    ``waiting`` deliveries, the ``oldest`` of their events so many seconds ago; ``unread`` is that
    of the oldest event nobody has looked at yet. 0 where there is none.
    """

    agency: str
    channel: str
    status: str
    subscribers: int
    waiting: int
    oldest: float
    unread: float


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes: the database file, its write-ahead log, and what is free beside them."""

    file: int
    log: int
    free: int


@dataclass(frozen=True, slots=True)
class Standings:
    """Counts up to ``MOST``: ``tasks`` by status, ``timers`` by step (of so many, altogether).

    ``overdue`` is how many seconds ago the timer was due that is due the longest.
    """

    backlogs: tuple[Backlog, ...]
    dead_letters: int
    failed_messages: int
    unfinished_messages: int
    rows_aside: int
    tasks: Mapping[str, int]
    timers: Mapping[str, int]
    overdue: float


def _count(*where: sa.ColumnElement[bool], most: int = MOST) -> Statement:
    """How many there are, by an index that what is asked leads to."""
    some = sa.select(sa.literal_column("1")).where(*where).limit(most).subquery()
    return Statement(sa.select(sa.func.count()).select_from(some))


def _first(asked: sa.Select[tuple[int]], *order: sa.ColumnElement[Any]) -> sa.ScalarSelect[int]:
    """A subscriber's first, in that order."""
    return asked.order_by(*order).limit(1).correlate(subscriber).scalar_subquery()


_UNSETTLED: Final = (delivery.c.subscriber == subscriber.c.id, delivery.c.settled.is_(None))
_FIRST: Final = _first(sa.select(delivery.c.number).where(*_UNSETTLED), delivery.c.number)
_FIRST_AT: Final = _first(
    sa.select(version.c.at)
    .select_from(delivery.join(version, version.c.sequence == delivery.c.sequence))
    .where(*_UNSETTLED),
    delivery.c.number,
)
_UNREAD_AT: Final = _first(sa.select(version.c.at).where(UNREAD), version.c.xid, version.c.sequence)
_BACKLOGS: Final = Statement(
    sa.select(
        subscriber.c.agency,
        subscriber.c.channel,
        subscriber.c.status,
        subscriber.c.next_number,
        _FIRST,
        _FIRST_AT,
        sa.case((subscriber.c.status == sa.literal_column("'active'"), _UNREAD_AT)),
    ).where(subscriber.c.status != sa.literal_column("'off'"))
)
_ASIDE: Final = _count(
    delivery.c.outcome == sa.literal_column("'aside'"),
    delivery.c.subscriber >= sa.literal_column("''"),
)
_FAILED: Final = _count(message.c.status == sa.literal_column("'failed'"), message.c.key > 0)
_UNFINISHED: Final = _count(message.c.status == sa.literal_column("'received'"), message.c.key > 0)
_ROWS: Final = _count(aside.c.state == sa.literal_column("'open'"), aside.c.sheet > 0)
TASK_STATUS: Final = (
    token.c.param == param_key("Task", "status"),
    token.c.code == sa.bindparam("status"),
)
_TASKS: Final = _count(*TASK_STATUS)
_some_timers: Final = sa.select(timer.c.step).limit(MOST).subquery()
_TIMERS: Final = Statement(
    sa.select(_some_timers.c.step, sa.func.count()).group_by(_some_timers.c.step)
)
_DUE: Final = Statement(sa.select(timer.c.due).order_by(timer.c.due).limit(1))


class Vitals(Session):
    """Reading them."""

    def standings(self) -> Standings:
        """All of them, out of one snapshot: some milliseconds."""
        now = time.time_ns() // 1000
        due = self.link.one(_DUE, {})
        return Standings(
            backlogs=self._backlogs(now),
            dead_letters=self._number_of(_ASIDE),
            failed_messages=self._number_of(_FAILED),
            unfinished_messages=self._number_of(_UNFINISHED),
            rows_aside=self._number_of(_ROWS),
            tasks={each: self._number_of(_TASKS, status=each) for each in STATUSES},
            timers={step: int(count) for step, count in self.link.all(_TIMERS, {})},
            overdue=_age(due[0] if due else None, now),
        )

    def _number_of(self, statement: Statement, **values: object) -> int:
        row = self.link.one(statement, values)
        return int(row[0]) if row else 0

    def _backlogs(self, now: int) -> tuple[Backlog, ...]:
        found: dict[tuple[str, str, str], Backlog] = {}
        for agency, channel, status, next_, first, oldest, unread in self.link.all(_BACKLOGS, {}):
            key = agency, channel, status
            before = found.get(key) or Backlog(*key, 0, 0, 0.0, 0.0)
            found[key] = Backlog(
                *key,
                before.subscribers + 1,
                before.waiting + (0 if first is None else max(0, next_ - first)),
                max(before.oldest, _age(oldest, now)),
                max(before.unread, _age(unread, now)),
            )
        return tuple(found.values())


def disk_of(log: Path) -> Disk:
    """How a SQLite file with this write-ahead log stands on its disk. Raises OSError."""
    file = log.with_name(log.name.removesuffix("-wal"))
    size = log.stat().st_size if log.exists() else 0
    return Disk(file.stat().st_size, size, shutil.disk_usage(file.parent).free)


def _age(at: int | None, now: int) -> float:
    return 0.0 if at is None else max(0.0, (now - at) / _SECOND)
