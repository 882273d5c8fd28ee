"""Rows that wait for codes which their tables lack: as messages do (``lacking``), each by its file
and by who it is, whether it went in without the code or is set aside for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from gateway.model import Context, Reference
from gateway.store.asides import aside
from gateway.store.dialects import BINARY
from gateway.store.link import Statement, insert_into
from gateway.store.rows import head, row, sheet
from gateway.store.search.index import clean
from gateway.store.session import Session
from gateway.store.tables import lacking, metadata

waiting_row = sa.Table(  # outcome "" until the row was tried without that lack
    "waiting_row",
    metadata,
    sa.Column("lacking", sa.BigInteger, sa.ForeignKey("lacking.key"), nullable=False),
    sa.Column("sheet", sa.BigInteger, sa.ForeignKey("sheet.key"), nullable=False),
    sa.Column("id", BINARY, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("lacking", "sheet", "id"),
    sqlite_with_rowid=False,
)
sa.Index("waiting_row_sheet", waiting_row.c.sheet, waiting_row.c.outcome, waiting_row.c.id)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row that waits. ``line`` is where it stood in its file; ``aside``: its id among those that
    are set aside, "" where it went in."""

    feed: str
    file: str
    line: int
    aside: str


@dataclass(frozen=True, slots=True)
class Came:
    """A kept row: its place among those of its file, what it made, and whether it ``waits``."""

    key: int
    id: str
    made: tuple[Reference, ...]
    waits: bool


_STILL: Final = waiting_row.c.outcome == sa.literal_column("''")
_OPEN: Final = aside.c.state == sa.literal_column("'open'")
_LACK: Final = waiting_row.c.lacking == sa.bindparam("lack")
_ANY: Final = Statement(
    sa.select(sa.literal(1)).where(waiting_row.c.sheet == sa.bindparam("of"), _STILL).limit(1)
)
_OF_ROW: Final = Statement(
    sa.select(waiting_row.c.lacking).where(
        waiting_row.c.sheet == sa.bindparam("of"), waiting_row.c.id == sa.bindparam("named")
    )
)
_SHEETS: Final = Statement(
    sa.select(sheet.c.key, sheet.c.agency, sheet.c.feed, sheet.c.file)
    .where(sheet.c.key.in_(sa.select(waiting_row.c.sheet).where(_LACK, _STILL).distinct()))
    .order_by(sheet.c.key)
)
_ITS: Final = sa.and_(waiting_row.c.sheet == row.c.sheet, waiting_row.c.id == row.c.id)
_CAME: Final = Statement(
    sa.select(row.c.key, row.c.id, row.c.made, sa.exists().where(_LACK, _STILL, _ITS))
    .where(
        row.c.sheet == sa.bindparam("of"),
        row.c.key > sa.bindparam("after"),
        sa.not_(row.c.deleted),
    )
    .order_by(row.c.key)
    .limit(sa.bindparam("count"))
)
_ASIDES: Final = Statement(
    sa.select(aside.c.key, aside.c.id)
    .where(
        _LACK,
        _STILL,
        waiting_row.c.sheet == sa.bindparam("of"),
        aside.c.sheet == waiting_row.c.sheet,
        aside.c.row == waiting_row.c.id,
        _OPEN,
        aside.c.key > sa.bindparam("after"),
    )
    .order_by(aside.c.key)
    .limit(sa.bindparam("count"))
)
_JOINED: Final = waiting_row.outerjoin(
    aside, sa.and_(aside.c.sheet == waiting_row.c.sheet, aside.c.row == waiting_row.c.id, _OPEN)
).outerjoin(row, sa.and_(row.c.sheet == waiting_row.c.sheet, row.c.id == waiting_row.c.id))
_OF_TASK: Final = Statement(
    sa.select(
        sheet.c.feed, head.c.name, sa.func.coalesce(aside.c.line, row.c.line, 0),
        sa.func.coalesce(aside.c.id, ""),
    )
    .select_from(_JOINED)
    .where(
        lacking.c.task == sa.bindparam("task"),
        waiting_row.c.lacking == lacking.c.key,
        _STILL,
        sheet.c.key == waiting_row.c.sheet,
        head.c.key == sa.func.coalesce(aside.c.head, row.c.head),
        sa.or_(sheet.c.agency == sa.bindparam("me"), sa.bindparam("admin", type_=sa.Boolean())),
    )
    .order_by(sheet.c.key, waiting_row.c.id)
    .limit(sa.bindparam("count"))
)  # fmt: skip
_OUTCOMES: Final = Statement(
    sa.select(waiting_row.c.outcome, sa.func.count())
    .where(waiting_row.c.lacking == sa.bindparam("of"))
    .group_by(waiting_row.c.outcome)
)
_WAIT: Final = insert_into(waiting_row)
_TRIED: Final = Statement(
    waiting_row.update()
    .where(
        _LACK,
        waiting_row.c.sheet == sa.bindparam("of"),
        waiting_row.c.id == sa.bindparam("named"),
    )
    .values(outcome=sa.bindparam("became"))
)
_GONE: Final = Statement(waiting_row.delete().where(_LACK, _STILL))
_FORGET: Final = Statement(waiting_row.delete().where(_LACK))


class WaitingRows(Session):
    """Reading which rows wait."""

    def rows_wait(self, sheet: int) -> bool:
        """Whether any row of a file does."""
        return self.link.one(_ANY, {"of": sheet}) is not None

    def waiting_sheets(self, lack: int) -> list[tuple[int, str, str, str]]:
        """The files, each with its agency and feed, of which rows wait for a code."""
        return [(row[0], row[1], row[2], row[3]) for row in self.link.all(_SHEETS, {"lack": lack})]

    def rows_came(self, lack: int, sheet: int, after: int, count: int = 1000) -> list[Came]:
        """The next rows of a file in the order in which they first came, deleted ones left out."""
        values = {"lack": lack, "of": sheet, "after": after, "count": count}
        return [
            Came(key, id_, tuple(made.split()), bool(waits))
            for key, id_, made, waits in self.link.all(_CAME, values)
        ]

    def waiting_asides(
        self, lack: int, sheet: int, after: int, count: int = 1000
    ) -> list[tuple[int, str]]:
        """The next set-aside rows of a file that wait for a code: their keys and ids."""
        values = {"lack": lack, "of": sheet, "after": after, "count": count}
        return [(row[0], row[1]) for row in self.link.all(_ASIDES, values)]

    def waiting_rows(self, context: Context, task: str, *, count: int = 1000) -> list[Waiting]:
        """Those that wait for what a Task asks for and the caller may see."""
        values: dict[str, Any] = {**self.who(context), "task": task, "count": count}
        return [Waiting(*row) for row in self.link.all(_OF_TASK, values)]

    def row_outcomes(self, key: int) -> dict[str, int]:
        """Of the rows that held a code: how many are "accepted", "failed", and "" (waiting)."""
        return {row[0]: row[1] for row in self.link.all(_OUTCOMES, {"of": key})}


class RowsAwaiting(WaitingRows):
    """Keeps account of it."""

    def row_waits(self, sheet: int, id_: str, keys: Iterable[int], outcome: str) -> None:
        """A row was tried and lacks these; of what it no longer lacks this is its outcome."""
        named = clean(id_)
        known = {int(row[0]) for row in self.link.all(_OF_ROW, {"of": sheet, "named": named})}
        wanted = set(keys)
        for key in sorted(known):
            became = "" if key in wanted else outcome
            self.link.run(_TRIED, {"lack": key, "of": sheet, "named": named, "became": became})
        self.link.many(_WAIT, [(key, sheet, named, "") for key in sorted(wanted - known)])

    def forget_waiting_rows(self, lack: int, *, still: bool = False) -> None:
        """No row waits for a code; ``still``: those that still do are no more."""
        self.link.run(_GONE if still else _FORGET, {"lack": lack})
