"""A Reader's ``search``: a page, what it brings along, and how many there are in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from gateway.fhir.query import Condition, Criterion, Query, ReferenceValue
from gateway.model import Context
from gateway.store.link import Row, Statement
from gateway.store.page import Page
from gateway.store.resources import stored
from gateway.store.search import marks, order, statements
from gateway.store.search.choosing import is_narrow
from gateway.store.search.including import Entry, included
from gateway.store.search.index import equal_text
from gateway.store.search.shapes import bound
from gateway.store.search.statements import CHEAP, EXAMINED, FEW, Shape, Way, shaped
from gateway.store.session import Session
from gateway.store.tables import reference

LARGEST: Final = 1000
"""The most that one page holds."""

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
        shape, values = shaped(query)
        count = min(query.count, LARGEST)
        way = self._way(context, shape, values)
        if count == 0:
            counted = statements.every(shape, _but_order(way))
            return Page((), self._counted(context, counted, values), None)
        place = None if query.cursor is None else marks.read(self.secret, context, query)
        rows, keys = self._page(context, shape, values, way, count, place)
        more = len(rows) > count
        if place is not None:
            total = place.total
        elif query.total == "none":
            total = None
        else:
            total = self._total(context, query, shape, values, way) if more else len(rows)
        mark = None
        if more:
            end = marks.Place(total, list(rows[count - 1][-keys:]))
            mark = marks.write(self.secret, context, query, end)
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
        shape: Shape,
        values: Sequence[Any],
        way: Way,
        count: int,
        place: marks.Place | None,
    ) -> tuple[list[Row], int]:
        """Up to one row more than the page holds, each ending with so many sort values."""
        statement, keys = statements.page(shape, way, place is not None)
        here = {"count": count + 1, **order.place(place.values if place else ())}
        rows = self._rows(context, statement, values, here)
        if way == "order" and len(rows) <= count:  # what has no value to sort by comes last
            return self._page(context, shape, values, "start", count, place)
        return rows, keys

    def _way(self, context: Context, shape: Shape, values: Sequence[Any]) -> Way:
        """From where it costs least: a search that finds little from there, another from what its
        caller sees, where that is little, or else from the order that it asks for."""
        if is_narrow(shape.criteria):
            return "start"
        start = statements.candidates(shape, FEW)
        if start is not None and self._counted(context, start, values) < FEW:
            return "start"
        if not context.admin and self._sees_few(context, shape):
            return "seen"
        return "order" if order.is_streamed(shape.looked, shape.sort) else "start"

    def _sees_few(self, context: Context, shape: Shape) -> bool:
        (counts,) = self._rows(context, statements.seen(shape.types), (), {})
        return sum(counts) <= FEW

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

    def _total(
        self, context: Context, query: Query, shape: Shape, values: Sequence[Any], way: Way
    ) -> int | None:
        """How many there are. Unless it was asked for, not where there are very many."""
        way = _but_order(way)
        if query.total == "accurate":
            return self._counted(context, statements.every(shape, way), values)
        counted = self._counted(context, statements.some(shape, way), values)
        if counted > CHEAP:
            return None
        start = statements.candidates(shape, EXAMINED) if way == "start" else None
        if start is not None and self._counted(context, start, values) == EXAMINED:
            return None  # those that weren't looked at may hold more
        return counted

    def _counted(self, context: Context, statement: Statement, values: Sequence[Any]) -> int:
        return int(self._rows(context, statement, values, {})[0][0])

    def _rows(
        self,
        context: Context,
        statement: Statement,
        values: Sequence[Any],
        more: Mapping[str, Any],
    ) -> list[Row]:
        _, names, _ = statement.sql(self.link.engine)
        given = {**self.who(context), **bound(dict.fromkeys(names), values), **more}
        return self.link.all(statement, given)

    def _included(self, context: Context, query: Query, page: list[Entry]) -> list[Row]:
        if not query.includes or not page:
            return []
        return included(lambda stated: self._select(context, stated), query, page)

    def _select(self, context: Context, statement: sa.Select[Any]) -> list[Row]:
        return list(self.link.select(statement, self.who(context)))


def _but_order(way: Way) -> Way:
    """No order helps to count."""
    return "start" if way == "order" else way
