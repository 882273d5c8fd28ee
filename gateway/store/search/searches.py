"""A Reader's ``search``: a page, what it brings along, and how many there are in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from time import monotonic
from typing import Any, Final, NamedTuple, cast

import sqlalchemy as sa

from gateway.fhir.query import Condition, Criterion, Query, ReferenceValue
from gateway.model import Context
from gateway.store.link import Row, Statement
from gateway.store.page import Page
from gateway.store.resources import stored
from gateway.store.search import marks, order, statements
from gateway.store.search.choosing import is_narrow, others
from gateway.store.search.including import Entry, included
from gateway.store.search.index import equal_text
from gateway.store.search.shapes import bound
from gateway.store.search.statements import CHEAP, FEW, SEEN, SORTED, From, Shape, Way, shaped
from gateway.store.session import Session
from gateway.store.tables import reference

LARGEST: Final = 1000
"""The most that one page holds."""

_WHILE: Final = 60.0
_MOST_WHO_SEE_MUCH: Final = 4096
_SEE_MUCH: Final[dict[tuple[bytes, str, tuple[str, ...]], float]] = {}
"""By hub, agency and types until when (seconds) it is known that there are many that it sees."""

_TRIED: Final = 3
"""How many other criteria are looked at, where the one to start from finds much."""

_WRITTEN: Final = Statement(
    sa.select(reference.c.resource).where(reference.c.target == sa.bindparam("target")).limit(1)
)


class _Plan(NamedTuple):
    """The way to a page, the criterion to start from (``Shape.lead``), and whether very much would
    have to be looked at to count what it finds."""

    way: Way
    lead: int = -1
    is_broad: bool = False


class Asked(NamedTuple):
    """What is searched for, and by whom."""

    context: Context
    shape: Shape
    values: Sequence[Any]


class _Rows(NamedTuple):
    """A page's rows, each ending with ``keys`` sort values, and whether there are more around."""

    rows: list[Row]
    keys: int
    precedes: bool
    follows: bool


class Searches(Session):
    """Finds what the caller may see."""

    def search(self, context: Context, query: Query) -> Page:
        """One page, and the total of all. Raises ``InvalidSearch`` for another's cursor.

        The total is counted once, for the first page, and goes with its marks.
        """
        query = self._narrowed(query)
        shape, values = shaped(query)
        count = min(query.count, LARGEST)
        place = None if query.cursor is None else marks.read(self.secret, context, query)
        asked = Asked(context, shape, values)
        way, lead, is_broad = _plan_of(place) or self._plan(asked)
        asked = _led(asked, lead)
        if count == 0:
            counted = statements.every(asked.shape, _but_order(way))
            return Page((), self._counted(asked, counted), None)
        found = self._between(asked, way, count, place)
        if place is not None:
            total = place.total
        elif query.total == "none":
            total = None
        elif not found.follows:
            total = len(found.rows)
        elif is_broad and query.total == "cheap":
            total = None
        else:
            total = self._total(asked, query, way)

        def mark(row: Row, back: bool) -> str:
            edge = marks.Place(total, list(row[-found.keys :]), back, way, lead)
            return marks.write(self.secret, context, query, edge)

        page = [Entry(row[0], row[1 : -found.keys]) for row in found.rows]
        return Page(
            tuple(stored(entry.row) for entry in page),
            total,
            mark(found.rows[-1], False) if found.follows else None,
            tuple(stored(row) for row in self._included(context, query, page)),
            mark(found.rows[0], True) if found.precedes else None,
        )

    def _between(self, asked: Asked, way: Way, count: int, place: marks.Place | None) -> _Rows:
        """A page's rows. One back that meets the top is the first page, and as long."""
        if place is not None and place.back:
            rows, keys = self._page(asked, way, count, place)
            if len(rows) >= count:
                return _Rows(rows[count - 1 :: -1], keys, len(rows) > count, True)
            place = None
        rows, keys = self._page(asked, way, count, place)
        precedes = place is not None and bool(rows)
        return _Rows(rows[:count], keys, precedes, len(rows) > count)

    def _page(
        self, asked: Asked, way: Way, count: int, place: marks.Place | None
    ) -> tuple[list[Row], int]:
        """Up to one row more than the page holds, each ending with so many sort values.

        Those before a place come in reverse.
        """
        start: From = "top" if place is None else "before" if place.back else "after"
        sort = asked.shape.sort
        if place and place.back and order.is_lacking(sort, place.values[0]):
            way = "start" if way == "order" else way  # that one has what has a value alone
        statement, keys = statements.page(asked.shape, way, start)
        if place is not None and len(place.values) != keys:
            raise marks.wrong()  # of a release that had another order
        here = {"count": count + 1, **order.place(place.values if place else ())}
        rows = self._rows(asked, statement, here)
        is_over = way == "order" and start != "before" and len(rows) <= count
        if is_over and order.may_lack(sort):  # what has no value to sort by comes last
            return self._page(asked, "start", count, place)
        return rows, keys

    def _plan(self, asked: Asked) -> _Plan:
        """From where it costs least: a search that finds little from there, another from what its
        caller sees, where that is little, or else from the order that it asks for or, where it
        asks for none, the rows that it finds or all of the type."""
        shape = asked.shape
        if is_narrow(shape.criteria):
            return _Plan("start")
        broad = statements.broad_way(shape)
        limit = FEW if broad in ("start", "rows") else SORTED
        found = self._candidates(asked, limit)
        if found < limit:
            return _Plan("start", is_broad=found >= FEW)
        for lead in others(shape.types, shape.criteria)[:_TRIED] if found else ():
            if self._candidates(_led(asked, lead), FEW) < FEW:
                return _Plan("start", lead)
        if not asked.context.admin and self._sees_few(asked):
            return _Plan("seen")
        return _Plan(broad, is_broad=shape.start is not None)

    def _candidates(self, asked: Asked, limit: int) -> float:
        """How many there are to start from, counted no further than the limit."""
        begins = statements.beginnings(asked.shape, limit)
        if begins is not None and self._counted(asked, begins) == limit:
            return limit  # there may be few, but it would take long to know
        statement = statements.candidates(asked.shape, limit)
        return inf if statement is None else self._counted(asked, statement)

    def _sees_few(self, asked: Asked) -> bool:
        """Whoever sees much isn't asked again for a while: it decides the way and nothing else."""
        types = asked.shape.types
        who, now = (self.secret, asked.context.agency, types), monotonic()
        if _SEE_MUCH.get(who, 0) > now:
            return False
        ((own, given, among),) = self._rows(asked, statements.seen(types), {})
        if own + given <= max(FEW, min(SEEN, among // 100)):
            return True
        if len(_SEE_MUCH) >= _MOST_WHO_SEE_MUCH:
            _SEE_MUCH.clear()
        _SEE_MUCH[who] = now + _WHILE
        return False

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

    def _total(self, asked: Asked, query: Query, way: Way) -> int | None:
        """How many there are. Unless it was asked for, not where there are very many."""
        way = _but_order(way)
        if query.total == "accurate":
            return self._counted(asked, statements.every(asked.shape, way))
        counted = self._counted(asked, statements.some(asked.shape, way))
        return counted if counted <= CHEAP else None

    def _counted(self, asked: Asked, statement: Statement) -> int:
        return int(self._rows(asked, statement, {})[0][0])

    def _rows(self, asked: Asked, statement: Statement, more: Mapping[str, Any]) -> list[Row]:
        _, names, _ = statement.sql(self.link.engine)
        values = bound(dict.fromkeys(names), asked.values)
        given = {**self.who(asked.context), **values, **more}
        return self.link.all(statement, given)

    def _included(self, context: Context, query: Query, page: list[Entry]) -> list[Row]:
        if not query.includes or not page:
            return []
        return included(lambda stated: self._select(context, stated), query, page)

    def _select(self, context: Context, statement: sa.Select[Any]) -> list[Row]:
        return list(self.link.select(statement, self.who(context)))


def _plan_of(place: marks.Place | None) -> _Plan | None:
    """How a page was found; its total goes with the place."""
    return _Plan(cast(Way, place.way), place.lead) if place and place.way else None


def _led(asked: Asked, lead: int) -> Asked:
    """The same, begun at that criterion."""
    return asked._replace(shape=replace(asked.shape, lead=lead))


def _but_order(way: Way) -> Way:
    """No order helps to count."""
    return way if way == "seen" else "start"
