"""Search: criteria to SQL with the access predicate, sorted, paged and counted (R4, 3.1.1)."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from gateway.fhir.query import Query
from gateway.model import Context
from gateway.store.grants import visible
from gateway.store.page import Page
from gateway.store.resources import CURRENT, STORED, stored
from gateway.store.search import marks, order
from gateway.store.search.conditions import where
from gateway.store.session import Session
from gateway.store.tables import resource

LARGEST: Final = 1000
"""The most that one page holds."""


_SEEN: Final = sa.and_(sa.not_(resource.c.deleted), visible())
_CURRENT: Final = sa.select(*STORED).where(CURRENT)


class Searches(Session):
    """Finds what the caller may see."""

    def search(self, context: Context, query: Query) -> Page:
        """One page, and the total of all. Raises ``InvalidSearch`` for another's cursor."""
        found = sa.and_(*where(query.type, query.criteria), _SEEN)
        count = min(query.count, LARGEST)
        if count == 0:
            return Page((), self._total(context, found), None)
        rows, keys = self._page(context, query, found, count)
        more = len(rows) > count
        mark = None
        if more:
            last = [*rows[count - 1][-keys:]]
            mark = marks.write(self.secret, context, query, last)
        total = None
        if query.total == "accurate":
            whole = not more and query.cursor is None
            total = len(rows) if whole else self._total(context, found)
        return Page(tuple(stored(row[:-keys]) for row in rows[:count]), total, mark)

    def _page(
        self, context: Context, query: Query, found: sa.ColumnElement[bool], count: int
    ) -> tuple[list[Any], int]:
        """Up to one row more than the page holds, each ending with its sort values and its key."""
        keys: list[tuple[sa.ColumnElement[Any], bool]] = [
            (order.value(query.type, sort), sort.descending) for sort in query.sort
        ]
        keys.append((resource.c.key, False))
        if query.cursor is not None:
            place = marks.read(self.secret, context, query)
            found = sa.and_(found, order.after(keys, place))
        page = (
            _CURRENT.add_columns(*(key for key, _ in keys))
            .where(found)
            .order_by(*(key.desc() if descending else key for key, descending in keys))
            .limit(count + 1)
        )
        return list(self.link.select(page, self.who(context))), len(keys)

    def _total(self, context: Context, found: sa.ColumnElement[bool]) -> int:
        counted = sa.select(sa.func.count(resource.c.key)).where(found)
        rows = self.link.select(counted, self.who(context))
        return int(rows[0][0])
