"""Loads, and the rows of them that could not go in: kept with place and reason, to be mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import sqlalchemy as sa

from gateway.errors import NotFound
from gateway.model import Context
from gateway.store.dialects import BINARY, KEY
from gateway.store.link import Statement, insert_into
from gateway.store.rows import sheet
from gateway.store.search.index import clean
from gateway.store.session import Session
from gateway.store.tables import metadata

aside = sa.Table(
    "aside",
    metadata,
    sa.Column("key", KEY, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("sheet", sa.BigInteger, sa.ForeignKey("sheet.key"), nullable=False),
    sa.Column("load", sa.Text, nullable=False),
    sa.Column("row", BINARY, nullable=False),  # its id, "" where it doesn't say
    sa.Column("head", sa.BigInteger, nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),  # b"" where it may not be kept
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # open, mended, dropped
)
sa.Index("aside_load", aside.c.load, aside.c.key)
sa.Index(
    "aside_open",
    aside.c.sheet,
    aside.c.row,
    sqlite_where=aside.c.state == sa.literal_column("'open'"),
    postgresql_where=aside.c.state == sa.literal_column("'open'"),
)
load = sa.Table(
    "load",
    metadata,
    sa.Column("key", KEY, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("agency", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("summary", sa.LargeBinary, nullable=False),  # JSON; b"" while it runs
)

State = Literal["open", "mended", "dropped"]


@dataclass(frozen=True, slots=True)
class Aside:
    """A row that could not go in. ``raw`` is b"" where it may not be kept."""

    id: str
    agency: str
    feed: str
    file: str
    load: str
    row: str = field(repr=False)
    head: int
    line: int
    stage: str
    place: str
    reason: str
    raw: bytes = field(repr=False)
    at: int
    state: State


@dataclass(frozen=True, slots=True)
class Load:
    """One load and what became of it; ``summary`` is JSON, b"" while it runs."""

    id: str
    agency: str
    feed: str
    channel: str
    started: int
    summary: bytes


_SET_ASIDE: Final = insert_into(aside, aside.c.key)
_MENDED: Final = Statement(
    aside.update()
    .where(
        aside.c.sheet == sa.bindparam("of"),
        aside.c.row == sa.bindparam("named"),
        aside.c.state == sa.literal_column("'open'"),
    )
    .values(state=sa.bindparam("became"))
)
_CLOSE: Final = Statement(
    aside.update()
    .where(aside.c.id == sa.bindparam("of"), aside.c.state == sa.literal_column("'open'"))
    .values(state=sa.bindparam("became"))
)
_OPEN: Final = Statement(
    sa.select(sa.literal(1))
    .where(aside.c.sheet == sa.bindparam("of"), aside.c.state == sa.literal_column("'open'"))
    .limit(1)
)
_ASIDE: Final = (
    aside.c.id, sheet.c.agency, sheet.c.feed, sheet.c.file, aside.c.load, aside.c.row,
    aside.c.head, aside.c.line, aside.c.stage, aside.c.place, aside.c.reason, aside.c.raw,
    aside.c.at, aside.c.state,
)  # fmt: skip
_MINE: Final = sa.or_(
    sheet.c.agency == sa.bindparam("me"), sa.bindparam("admin", type_=sa.Boolean())
)
_OF_SHEET: Final = aside.c.sheet == sheet.c.key
_ONE_ASIDE: Final = Statement(
    sa.select(*_ASIDE).where(_OF_SHEET, aside.c.id == sa.bindparam("id"), _MINE)
)


def _some(where: sa.ColumnElement[bool]) -> Statement:
    """The next ones of mine, in order."""
    return Statement(
        sa.select(aside.c.key, *_ASIDE)
        .where(_OF_SHEET, _MINE, where, aside.c.key > sa.bindparam("after"))
        .order_by(aside.c.key)
        .limit(sa.bindparam("count"))
    )


_OF_LOAD: Final = _some(aside.c.load == sa.bindparam("load"))
_OF_STATE: Final = _some(aside.c.state == sa.bindparam("state"))
_LOAD: Final = tuple(c for c in load.columns if c is not load.c.key)
_ADD_LOAD: Final = insert_into(load, load.c.key)
_END_LOAD: Final = Statement(
    load.update().where(load.c.id == sa.bindparam("of")).values(summary=sa.bindparam("told"))
)
_ONE_LOAD: Final = Statement(
    sa.select(*_LOAD).where(
        load.c.id == sa.bindparam("id"),
        sa.or_(load.c.agency == sa.bindparam("me"), sa.bindparam("admin", type_=sa.Boolean())),
    )
)


class Asides(Session):
    """Reading what was set aside."""

    def row_aside(self, context: Context, id_: str) -> Aside:
        """One row that was set aside. Raises ``NotFound``."""
        found = self.link.one(_ONE_ASIDE, {**self.who(context), "id": id_})
        if found is None:
            raise NotFound("no such row")
        return Aside(*found)

    def row_asides(
        self, context: Context, *, load: str = "", after: int = 0, count: int = 100
    ) -> list[tuple[int, Aside]]:
        """The next, with their keys, that a load set aside, or (``load`` "") that are so still."""
        values: dict[str, Any] = {**self.who(context), "after": after, "count": count}
        if load:
            found = self.link.all(_OF_LOAD, {**values, "load": load})
        else:
            found = self.link.all(_OF_STATE, {**values, "state": "open"})
        return [(each[0], Aside(*each[1:])) for each in found]

    def has_row_asides(self, sheet: int) -> bool:
        """Whether any row of a file is set aside still."""
        return self.link.one(_OPEN, {"of": sheet}) is not None

    def one_load(self, context: Context, id_: str) -> Load:
        """One load. Raises ``NotFound``."""
        found = self.link.one(_ONE_LOAD, {**self.who(context), "id": id_})
        if found is None:
            raise NotFound("no such load")
        return Load(*found)


class SettingAside(Asides):
    """Sets rows aside."""

    def set_row_aside(self, sheet: int, found: Aside) -> None:
        """Keep a row that could not go in. What was set aside before of the same row is closed."""
        if found.row:
            self.rows_mended(sheet, [found.row], "dropped")
        values = (
            found.id, sheet, found.load, clean(found.row), found.head, found.line, found.stage,
            found.place, found.reason, found.raw, found.at, found.state,
        )  # fmt: skip
        self.link.many(_SET_ASIDE, [values])

    def rows_mended(self, sheet: int, ids: Iterable[str], state: State = "mended") -> None:
        """These rows went in, or came again: what was set aside of them is past."""
        for id_ in ids:
            self.link.run(_MENDED, {"of": sheet, "named": clean(id_), "became": state})

    def close_row_aside(self, id_: str, state: State) -> None:
        """One that was set aside is past."""
        self.link.run(_CLOSE, {"of": id_, "became": state})

    def begin_load(self, found: Load) -> None:
        """A load begins."""
        values = (found.id, found.agency, found.feed, found.channel, found.started, found.summary)
        self.link.many(_ADD_LOAD, [values])

    def end_load(self, id_: str, summary: bytes) -> None:
        """A load is over."""
        self.link.run(_END_LOAD, {"of": id_, "told": summary})
