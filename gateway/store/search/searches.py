"""A Reader's ``search``: a page, what it brings along, and how many there are in all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from gateway.fhir.query import Condition, Criterion, Query, ReferenceValue
from gateway.model import Context
from gateway.store.link import Row, Statement
from gateway.store.page import Page
from gateway.store.resources import CURRENT, STORED, stored
from gateway.store.search import marks, order
from gateway.store.search.conditions import Looked, chosen, streamed, where
from gateway.store.search.including import Entry, included
from gateway.store.search.index import equal_text
from gateway.store.session import Session
from gateway.store.tables import reference, resource

LARGEST: Final = 1000
"""The most that one page holds."""

CHEAP: Final = 1000
"""Up to so many are counted where nobody asks for the total: more would take longer than a page."""

_CURRENT: Final = sa.select(resource.c.key, *STORED).where(CURRENT)
_WRITTEN: Final = Statement(
    sa.select(reference.c.resource).where(reference.c.target == sa.bindparam("target")).limit(1)
)


class Searches(Session):
    """Finds what the caller may see."""

    def search(self, context: Context, query: Query) -> Page:
        """One page, and the total of all. Raises ``InvalidSearch`` for another's cursor.

        The total is counted once, for the first page, and goes with its marks.
        """
        query = self._narrowed(query)
        looked = Looked(query.looks_for)
        found = sa.and_(*where(looked, query.criteria), looked.is_seen)
        count = min(query.count, LARGEST)
        if count == 0:
            return Page((), self._how_many(context, found), None)
        place = None if query.cursor is None else marks.read(self.secret, context, query)
        rows, keys = self._page(context, query, found, count, place)
        more = len(rows) > count
        if place is not None:
            total = place.total
        elif query.total == "none":
            total = None
        else:
            total = self._total(context, query, found) if more else len(rows)
        mark = None
        if more:
            here = marks.Place(total, list(rows[count - 1][-keys:]))
            mark = marks.write(self.secret, context, query, here)
        page = [Entry(row[0], row[1:-keys]) for row in rows[:count]]
        return Page(
            tuple(stored(entry.row) for entry in page),
            total,
            mark,
            tuple(stored(row) for row in self._included(context, query, page)),
        )

    def _page(
        self,
        context: Context,
        query: Query,
        found: sa.ColumnElement[bool],
        count: int,
        place: marks.Place | None,
    ) -> tuple[list[Any], int]:
        """Up to one row more than the page holds, each ending with its sort values and its key."""
        looked = Looked(query.looks_for)
        keys: list[tuple[sa.ColumnElement[Any], bool]] = [
            (order.value(looked, sort), sort.descending) for sort in query.sort
        ]
        stream = None if query.sort else streamed(looked, query.criteria)
        if stream is not None:
            found = _all_of(looked, *stream)
            keys.append((stream[0].c.resource, False))
        else:
            if not query.sort and len(looked.types) == 1 and chosen(query.criteria) is None:
                keys.append((resource.c.updated, False))  # as the index of the type has it
            keys.append((resource.c.key, False))
        stated = _CURRENT.where(found)
        if place is not None:
            stated = stated.where(order.after(keys, place.values))
        page = (
            stated.add_columns(*(key for key, _ in keys))
            .order_by(*(key.desc() if descending else key for key, descending in keys))
            .limit(count + 1)
        )
        return list(self.link.select(page, self.who(context))), len(keys)

    def _narrowed(self, query: Query) -> Query:
        """Without the absolute spelling of a reference where nobody wrote it so: most never are."""
        return replace(query, criteria=tuple(self._as_written(one) for one in query.criteria))

    def _as_written(self, one: Condition) -> Condition:
        if not isinstance(one, Criterion) or one.kind != "reference":
            return one
        values: tuple[Any, ...] = one.values
        kept = tuple(
            replace(value, url="")
            if value.id and value.url and not self._is_there(value)
            else value
            for value in values
        )
        return replace(one, values=kept)

    def _is_there(self, value: ReferenceValue) -> bool:
        return bool(value.url) and bool(self.link.all(_WRITTEN, {"target": equal_text(value.url)}))

    def _total(self, context: Context, query: Query, found: sa.ColumnElement[bool]) -> int | None:
        """How many there are. Unless it was asked for, not where there are very many."""
        if query.total == "accurate":
            return self._how_many(context, found)
        looked = Looked(query.looks_for)
        stream = streamed(looked, query.criteria)
        if stream is not None:
            found = _all_of(looked, *stream)
        some = sa.select(resource.c.key).where(found).limit(CHEAP + 1).subquery()
        counted = int(self._select(context, sa.select(sa.func.count()).select_from(some))[0][0])
        return counted if counted <= CHEAP else None

    def _how_many(self, context: Context, found: sa.ColumnElement[bool]) -> int:
        counted = sa.select(sa.func.count(resource.c.key)).where(found)
        return int(self._select(context, counted)[0][0])

    def _included(self, context: Context, query: Query, page: list[Entry]) -> list[Row]:
        if not query.includes or not page:
            return []
        return included(lambda stated: self._select(context, stated), query, page)

    def _select(self, context: Context, statement: sa.Select[Any]) -> list[Row]:
        return list(self.link.select(statement, self.who(context)))


def _all_of(
    looked: Looked, rows: sa.FromClause, conditions: list[sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    return sa.and_(rows.c.resource == resource.c.key, looked.is_seen, *conditions)
