"""The statements of a search, built and compiled once for all searches of one shape.

There are three ways to one page: from what the search starts from ("start"), from what its caller
sees, where that is little ("seen"), and from the order that is asked for ("order").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, TypeVarTuple

import sqlalchemy as sa

from gateway.fhir.query import Condition, Query, Sort
from gateway.store.grants import ME, live
from gateway.store.link import Statement
from gateway.store.resources import CURRENT, STORED
from gateway.store.search import order
from gateway.store.search.choosing import chosen, together
from gateway.store.search.comparisons import among
from gateway.store.search.conditions import Looked, Stream, holds, keys, streamed, where
from gateway.store.search.shapes import lifted
from gateway.store.tables import grants, resource

Way = Literal["start", "seen", "order"]

CHEAP: Final = 1000
"""Up to so many are counted where nobody asks for the total: more would take longer than a page."""

EXAMINED: Final = 10_000
"""How many resources are looked at to count so few."""

FEW: Final = 1000
"""Up to so many resources are looked at one by one, if a caller sees no more."""

_KEPT: Final = 256
"""How many statements of each sort are kept; some 40 kB each."""

_USUAL: Final = 16
A = TypeVarTuple("A")
T = TypeVar("T")
_ENTRY: Final = sa.select(resource.c.key, *STORED).where(CURRENT)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a search's statements hang on: all but its values, of which there are so many."""

    types: tuple[str, ...]
    criteria: tuple[Condition, ...]
    sort: tuple[Sort, ...]
    values: int = 0

    @property
    def looked(self) -> Looked:
        """What it looks for."""
        return Looked(self.types)


class Paging(NamedTuple):
    """The statement of a page, and how many sort values each of its rows ends with."""

    statement: Statement
    keys: int


def shaped(query: Query) -> tuple[Shape, list[Any]]:
    """A query's shape, and its values for ``shapes.bound``."""
    criteria, values = lifted(query)
    sort = tuple(replace(each, late=None) if each.late else each for each in query.sort)
    return Shape(query.looks_for, criteria, sort, len(values)), values


class _kept(Generic[*A, T]):
    """What is built is kept, but for searches of many values: they are rare, and each is large."""

    def __init__(self, build: Callable[[Shape, *A], T]) -> None:
        self._build = build
        self.known: Any = lru_cache(_KEPT)(build)

    def __call__(self, shape: Shape, *more: *A) -> T:
        if shape.values > _USUAL:
            return self._build(shape, *more)
        found: T = self.known(shape, *more)
        return found


@_kept
def page(shape: Shape, way: Way, onwards: bool) -> Paging:
    """Up to ``:count`` rows, ``onwards`` from a place (``order.place``).

    Each is a resource's key, the columns of a Stored, and the values that it is sorted by, the
    last of which is its key. Places are the same whichever the ``way``.
    """
    looked = shape.looked
    by = [(order.value(looked, sort), sort.descending) for sort in shape.sort]
    stream = streamed(looked, shape.criteria) if way == "start" and not shape.sort else None
    if way == "order":
        stream, value = order.streamed(looked, shape.sort[0], _all(shape))
        by = [(value, shape.sort[0].descending)]
    if stream is not None:
        meets = (stream.rows.c.resource == resource.c.key, looked.is_seen)
        found = sa.and_(*meets, *stream.first, *stream.rest)
        by.append((stream.rows.c.resource, False))
    else:
        found = _found(shape, way)
        if way == "start" and not shape.sort and _by_type(shape):
            by.append((resource.c.updated, False))  # as the index of the type has it
        by.append((resource.c.key, False))
    stated = _ENTRY.where(found, order.after(by) if onwards else sa.true())
    stated = stated.add_columns(*(key for key, _ in by))
    stated = stated.order_by(*(key.desc() if descending else key for key, descending in by))
    return Paging(Statement(stated.limit(sa.bindparam("count"))), len(by))


@_kept
def some(shape: Shape, way: Way) -> Statement:
    """How many there are, counted no further than one more than CHEAP.

    Where they come one by one from what the search starts from, among the first EXAMINED of those.
    """
    stream = streamed(shape.looked, shape.criteria) if way == "start" else None
    if stream is None:
        few = sa.select(resource.c.key).where(_found(shape, way)).limit(CHEAP + 1).subquery()
        return Statement(sa.select(sa.func.count()).select_from(few))
    first = _first(stream).limit(EXAMINED).subquery()
    found = sa.and_(first.c.resource == resource.c.key, shape.looked.is_seen, *stream.rest)
    # An outer join goes one by one; for an inner one SQLite would make a table of all of them.
    joined = first.join(resource, found, isouter=True)
    is_there = sa.func.coalesce(resource.c.key, 0) > 0
    few = sa.select(resource.c.key).select_from(joined).where(is_there).limit(CHEAP + 1).subquery()
    return Statement(sa.select(sa.func.count()).select_from(few))


@_kept
def candidates(shape: Shape, limit: int) -> Statement | None:
    """How many rows there are to start from, counted no further than ``limit``.

    None where that is all of a type, or an id.
    """
    start = chosen(shape.criteria)
    if start is None:
        return None
    beside = together(shape.types, start, shape.criteria)
    rows = keys(shape.looked, start, beside)
    few = sa.select(sa.literal_column("1")).select_from(rows.subquery()).limit(limit).subquery()
    return Statement(sa.select(sa.func.count()).select_from(few))


@lru_cache(_KEPT)
def seen(types: tuple[str, ...]) -> Statement:
    """How many resources a caller may see, and of types its own, not counted beyond FEW each."""
    of_types = among(resource.c.type, types)
    own = sa.select(resource.c.key).where(resource.c.owner == ME, of_types).limit(FEW + 1)
    given = sa.select(grants.c.resource).where(*live()).limit(FEW + 1)
    counts = (sa.select(sa.func.count()).select_from(each.subquery()) for each in (own, given))
    return Statement(sa.select(*(each.scalar_subquery() for each in counts)))


@_kept
def every(shape: Shape, way: Way) -> Statement:
    """How many there are."""
    return Statement(sa.select(sa.func.count(resource.c.key)).where(_found(shape, way)))


def _by_type(shape: Shape) -> bool:
    return len(shape.types) == 1 and chosen(shape.criteria) is None


def _first(stream: Stream) -> sa.Select[tuple[int]]:
    """The rows to start from, before anything is asked of their resources."""
    return sa.select(stream.rows.c.resource).where(*stream.first)


def _found(shape: Shape, way: Way) -> sa.ColumnElement[bool]:
    looked = shape.looked
    if way != "seen":
        return sa.and_(*where(looked, shape.criteria), looked.is_seen)
    mine = resource.alias()
    own = sa.select(mine.c.key).where(mine.c.owner == ME, among(mine.c.type, shape.types))
    given = sa.select(grants.c.resource).where(*live())
    held = looked.row.c.key.in_(sa.union_all(own, given))
    # Hidden from the planner, which would rather go through all of the type.
    of_types = among(sa.func.coalesce(looked.row.c.type, ""), shape.types)
    return sa.and_(held, of_types, looked.is_seen, *_all(shape))


def _all(shape: Shape) -> list[sa.ColumnElement[bool]]:
    return [holds(shape.looked, one) for one in shape.criteria]
