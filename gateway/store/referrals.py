"""What the hub itself has in hand of referrals: who was asked, what is due, what need goes unmet.

A ``pursuit`` is a referral that the hub seeks somebody for (SDOH Clinical Care 3.0, indirect flow);
a ``hop`` one agency that it asked; a ``timer`` what is to be done about a Task, and when. Times are
UTC, so a restart or a clock's change of zone moves nothing. Rows are written at once, apart from
those that wait: nobody else's depend on them. Timers, of which every referral sets one, wait too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.store.dialects import KEY
from gateway.store.link import Statement
from gateway.store.session import Session, microseconds, moment
from gateway.store.tables import metadata

Step = Literal["route", "remind", "recall"]
"""Seek somebody for a part; remind who was asked; take it back from them."""

State = Literal["asked", "accepted", "served", "refused", "expired", "withdrawn", "recalled"]
"""A hop's: open, held, done; and said no, never answered, gave it up, was told it isn't needed."""

Stage = Literal["seeking", "waiting", "navigator", "ended"]
"""A part's: hops go on; on waiting lists; with a navigator; over."""

DUE: Final = "timer"
"""What a unit's ``touched`` holds where it set a timer that is due at once."""

LIVE: Final = ("asked", "accepted")
"""The states of a hop whose Task is open."""


@dataclass(frozen=True, slots=True)
class Pursuit:
    """A part of a referral: ``task`` the asker's Task (its id), ``part`` the SDOH category that it
    is for ("" where the referral is one whole), ``requester`` whose referral it is.

    ``since`` is when it came, ``list`` the waiting list that it stands on, ``navigator`` the open
    Task of the navigator's ("" for none).
    """

    task: str
    part: str
    requester: str
    since: datetime
    stage: Stage = "seeking"
    list: str = ""
    navigator: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """One agency that was asked: ``task`` is the child Task's id, ``number`` counts from 1."""

    task: str
    parent: str
    part: str
    number: int
    agency: str
    service: str
    at: datetime
    state: State = "asked"


@dataclass(frozen=True, slots=True)
class Timer:
    """What is due about a Task (its id); ``part`` as in a Pursuit."""

    task: str
    part: str
    step: Step
    due: datetime


@dataclass(frozen=True, slots=True)
class Unmet:
    """An entry of the unmet-need ledger: no name, no number of a person's.

    ``area`` is a ZIP code, "" where none may be told; ``asked`` how many agencies were;
    ``outcome`` "" while it is open, then "met", "unmet" or "withdrawn".
    """

    task: str
    part: str
    category: str
    area: str
    reason: str
    asked: int
    opened: datetime
    closed: datetime | None = None
    outcome: str = ""


def _must(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


pursuit = sa.Table(
    "pursuit",
    metadata,
    _must("task", sa.Text),
    _must("part", sa.Text),
    _must("requester", sa.Text),
    _must("since", sa.BigInteger),
    _must("stage", sa.Text),
    _must("list", sa.Text),
    _must("navigator", sa.Text),
    sa.PrimaryKeyConstraint("task", "part"),
    sqlite_with_rowid=False,
)
hop = sa.Table(
    "hop",
    metadata,
    sa.Column("task", sa.Text, primary_key=True),
    _must("parent", sa.Text),
    _must("part", sa.Text),
    _must("number", sa.Integer),
    _must("agency", sa.Text),
    _must("service", sa.Text),
    _must("at", sa.BigInteger),
    _must("state", sa.Text),
    sqlite_with_rowid=False,
)
sa.Index("hop_parent", hop.c.parent, hop.c.number)
timer = sa.Table(
    "timer",
    metadata,
    _must("task", sa.Text),
    _must("part", sa.Text),
    _must("step", sa.Text),
    _must("due", sa.BigInteger),
    sa.PrimaryKeyConstraint("task", "part"),
    sqlite_with_rowid=False,
)
sa.Index("timer_due", timer.c.due)
unmet = sa.Table(
    "unmet",
    metadata,
    sa.Column("key", KEY, primary_key=True),
    _must("task", sa.Text),
    _must("part", sa.Text),
    _must("category", sa.Text),
    _must("area", sa.Text),
    _must("reason", sa.Text),
    _must("asked", sa.Integer),
    _must("opened", sa.BigInteger),
    sa.Column("closed", sa.BigInteger),
    _must("outcome", sa.Text),
    sqlite_autoincrement=True,
)
sa.Index("unmet_task", unmet.c.task, unmet.c.part)


def _put(table: sa.Table) -> Statement:
    new = insert(table).values({c: sa.bindparam(c.name) for c in table.columns})
    own = [c.name for c in table.primary_key]
    changed = {c.name: new.excluded[c.name] for c in table.columns if c.name not in own}
    keys = list(table.primary_key)
    return Statement(new.on_conflict_do_update(index_elements=keys, set_=changed), apart=True)


def _of(table: sa.Table, *names: str) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == sa.bindparam(f"of_{name}") for name in names))


_PURSUE: Final = _put(pursuit)
_PURSUITS: Final = Statement(
    sa.select(*pursuit.c).where(_of(pursuit, "task")).order_by(pursuit.c.part), apart=True
)
_OPEN: Final = Statement(
    sa.select(*pursuit.c)
    .where(pursuit.c.stage != sa.literal_column("'ended'"))
    .order_by(pursuit.c.since, pursuit.c.task, pursuit.c.part)
    .limit(sa.bindparam("count")),
    apart=True,
)
_HOP: Final = _put(hop)
_HOPS: Final = Statement(
    sa.select(*hop.c).where(_of(hop, "parent")).order_by(hop.c.number), apart=True
)
_CHILD: Final = Statement(sa.select(*hop.c).where(_of(hop, "task")), apart=True)
_SET: Final = _put(timer)
_UNSET: Final = Statement(timer.delete().where(_of(timer, "task", "part")))
_TIMER: Final = Statement(sa.select(*timer.c).where(_of(timer, "task")))
_DUE: Final = Statement(
    sa.select(*timer.c)
    .where(timer.c.due <= sa.bindparam("now"))
    .order_by(timer.c.due, timer.c.task, timer.c.part)
    .limit(sa.bindparam("count"))
)
_NOTE: Final = Statement(
    unmet.insert().values({c: sa.bindparam(c.name) for c in unmet.columns if c.name != "key"}),
    apart=True,
)
_CLOSE: Final = Statement(
    unmet.update()
    .where(_of(unmet, "task", "part"), unmet.c.closed.is_(None))
    .values(closed=sa.bindparam("at"), outcome=sa.bindparam("became")),
    apart=True,
)
_FIELDS: Final = [c for c in unmet.columns if c.name != "key"]
_ENTRIES: Final = Statement(
    sa.select(*_FIELDS)
    .where(sa.or_(unmet.c.closed.is_(None), sa.bindparam("all", type_=sa.Boolean())))
    .order_by(unmet.c.key.desc())
    .limit(sa.bindparam("count"))
)
_OF_TASK: Final = Statement(
    sa.select(*_FIELDS).where(_of(unmet, "task")).order_by(unmet.c.key), apart=True
)
_CELLS: Final = Statement(
    sa.select(unmet.c.category, unmet.c.area, unmet.c.reason, unmet.c.outcome, sa.func.count())
    .where(unmet.c.opened >= sa.bindparam("since"), unmet.c.opened < sa.bindparam("until"))
    .group_by(unmet.c.category, unmet.c.area, unmet.c.reason, unmet.c.outcome)
    .order_by(unmet.c.category, unmet.c.area, unmet.c.reason, unmet.c.outcome)
)


class Referrals(Session):
    """Reading it."""

    def pursuits(self, task: str) -> list[Pursuit]:
        """The parts of a referral that the hub pursues; none of one that it doesn't."""
        return [_pursuit(row) for row in self.link.all(_PURSUITS, {"of_task": task})]

    def open_pursuits(self, *, count: int = 1000) -> list[Pursuit]:
        """Parts that aren't over, the oldest first."""
        return [_pursuit(row) for row in self.link.all(_OPEN, {"count": count})]

    def hops(self, parent: str) -> list[Hop]:
        """Who was asked for a referral, in order."""
        return [_hop(row) for row in self.link.all(_HOPS, {"of_parent": parent})]

    def hop(self, task: str) -> Hop | None:
        """The hop whose child Task that is."""
        row = self.link.one(_CHILD, {"of_task": task})
        return None if row is None else _hop(row)

    def timers(self, task: str) -> list[Timer]:
        """What is to be done about a Task, due or not."""
        return [_timer(row) for row in self.link.all(_TIMER, {"of_task": task})]

    def due_timers(self, now: datetime, *, count: int = 100) -> list[Timer]:
        """What is due, the longest first."""
        rows = self.link.all(_DUE, {"now": microseconds(now), "count": count})
        return [_timer(row) for row in rows]

    def unmet(self, *, closed: bool = False, count: int = 1000) -> list[Unmet]:
        """Entries of the ledger, the newest first; with the closed ones where asked."""
        return [_unmet(row) for row in self.link.all(_ENTRIES, {"all": closed, "count": count})]

    def unmet_of(self, task: str) -> list[Unmet]:
        """The entries of a referral."""
        return [_unmet(row) for row in self.link.all(_OF_TASK, {"of_task": task})]

    def unmet_cells(self, since: datetime, until: datetime) -> list[tuple[str, str, str, str, int]]:
        """How many entries were opened in a time: (category, area, reason, outcome, count)."""
        values = {"since": microseconds(since), "until": microseconds(until)}
        return [(*row[:4], int(row[4])) for row in self.link.all(_CELLS, values)]


class Pursuing(Referrals):
    """Keeps account of it. Each call may be repeated."""

    def pursue(self, one: Pursuit) -> None:
        """Begin a part of a referral, or say how it stands now."""
        self.link.run(_PURSUE, _values(one))

    def asked(self, one: Hop) -> None:
        """An agency is asked, or its hop stands otherwise now."""
        self.link.run(_HOP, _values(one))

    def set_timer(self, one: Timer) -> None:
        """What is to be done next about a Task, and when: it takes the place of what was."""
        due = microseconds(one.due)
        self.link.later(_SET, [(one.task, one.part, one.step, due)])
        if due <= self.clock():
            self.touched.add(DUE)

    def unset_timer(self, task: str, part: str = "") -> None:
        """Nothing is to be done about it."""
        self.link.run(_UNSET, {"of_task": task, "of_part": part})

    def note_unmet(self, one: Unmet) -> None:
        """Enter a need that nobody meets, unless it stands there open."""
        if any(each.part == one.part and not each.closed for each in self.unmet_of(one.task)):
            return
        self.link.run(_NOTE, _values(one))

    def close_unmet(self, task: str, part: str, outcome: str, at: datetime) -> None:
        """It is met, or ended otherwise."""
        values = {"of_task": task, "of_part": part, "at": microseconds(at), "became": outcome}
        self.link.run(_CLOSE, values)


def _values(one: Pursuit | Hop | Unmet) -> dict[str, Any]:
    pairs = ((name, getattr(one, name)) for name in one.__dataclass_fields__)
    return {n: microseconds(v) if isinstance(v, datetime) else v for n, v in pairs}


def _pursuit(row: Any) -> Pursuit:
    task, part, requester, since, stage, list_, navigator = row
    said = _one_of(Stage, stage)
    return Pursuit(task, part, requester, moment(since), said, list_, navigator)


def _hop(row: Any) -> Hop:
    task, parent, part, number, agency, service, at, state = row
    said = _one_of(State, state)
    return Hop(task, parent, part, number, agency, service, moment(at), said)


def _timer(row: Any) -> Timer:
    task, part, step, due = row
    return Timer(task, part, _one_of(Step, step), moment(due))


def _unmet(row: Any) -> Unmet:
    task, part, category, area, reason, asked, opened, closed, outcome = row
    end = None if closed is None else moment(closed)
    return Unmet(task, part, category, area, reason, asked, moment(opened), end, outcome)


def _one_of(words: Any, text: str) -> Any:
    assert text in get_args(words)
    return text
