"""The statements of a search, built and compiled once for all searches of one shape.

There are five ways to one page: from what the search starts from, in the order of the resources
("start") or of the rows that it finds them by ("rows"), from what its caller sees, where that is
little ("seen"), from the order that is asked for ("order") and, where none is, from all of a type,
the longest unchanged first ("type").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, TypeVarTuple

import sqlalchemy as sa

from gateway.fhir.query import Condition, Query, Sort
from gateway.fhir.search_parameters import COLUMNS
from gateway.store.grants import ME, live
from gateway.store.link import Statement
from gateway.store.resources import CURRENT, STORED
from gateway.store.search import order
from gateway.store.search.choosing import chosen, ends, together
from gateway.store.search.comparisons import among
from gateway.store.search.conditions import Looked, another, holds, keys, where
from gateway.store.search.shapes import lifted
from gateway.store.search.streams import ranged, streamed
from gateway.store.tables import grants, resource

Way = Literal["start", "rows", "seen", "order", "type"]

From = Literal["top", "after", "before"]
"""From where a page is read: the top, or onwards or backwards from a place."""

CHEAP: Final = 1000
"""Up to so many are counted where nobody asks for the total: more would take longer than a page."""

FEW: Final = 1000
"""Up to so many resources are looked at one by one, if a search starts from fewer."""

SEEN: Final = 10_000
"""The same, if a caller sees no more, of a hundred times as many: it may stand anywhere there."""

SORTED: Final = 2000
"""So many are rather put in order than looked for among all of their type, which is in order."""

_KEPT: Final = 256
"""How many statements of each sort are kept; some 40 kB each."""

_USUAL: Final = 16
A = TypeVarTuple("A")
T = TypeVar("T")
_ENTRY: Final = sa.select(resource.c.key, *STORED).where(CURRENT)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a search's statements hang on: all but its values, of which there are so many.

    ``lead`` is the place of the criterion to start from; -1: of the one to choose.
    """

    types: tuple[str, ...]
    criteria: tuple[Condition, ...]
    sort: tuple[Sort, ...]
    values: int = 0
    lead: int = -1

    @property
    def looked(self) -> Looked:
        """What it looks for."""
        return Looked(self.types)

    @property
    def start(self) -> Condition | None:
        """The criterion to start from; None: from the type or the ids."""
        return chosen(self.criteria) if self.lead < 0 else self.criteria[self.lead]


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
def broad_way(shape: Shape) -> Way:
    """The way that takes no longer however much there is, if there is one."""
    if shape.sort:
        return "order" if order.is_streamed(shape.looked, shape.sort) else "start"
    parts = (shape.looked, shape.criteria, shape.start)
    if shape.start is None or len(shape.types) > 1 or streamed(*parts) is not None:
        return "start"
    return "type" if ranged(*parts) is None else "rows"


@_kept
def page(shape: Shape, way: Way, start: From) -> Paging:
    """Up to ``:count`` rows from the top, or ``after`` or ``before`` a place (``order.place``).

    Those before come in reverse. Each is a resource's key, the columns of a Stored, and the values
    that it is sorted by, the last of which is its key: places of this way, or of the one from the
    order and the one from the start, which are the same.
    """
    looked = shape.looked
    by = [key for sort in shape.sort for key in order.by_values(looked, sort)]
    last = shape.sort[-1].descending if shape.sort else False
    stream = None
    if way == "start" and not shape.sort:
        stream = streamed(looked, shape.criteria, shape.start)
    if way == "rows":
        stream = ranged(looked, shape.criteria, shape.start)
    if way == "order" and shape.sort[0].param not in COLUMNS:
        stream, values = order.streamed(looked, shape.sort[0], _all(shape))
        by = [*values, *(key for sort in shape.sort[1:] for key in order.by_values(looked, sort))]
    if stream is not None:
        meets = (stream.rows.c.resource == resource.c.key, looked.is_seen)
        found = sa.and_(*meets, *stream.first, *stream.rest)
        by += [(column, last) for column in stream.by]
    else:
        found = _found(shape, way)
        if way == "type" or (way == "start" and not shape.sort and _by_type(shape)):
            by.append((resource.c.updated, False))  # as the index of the type has it
        by.append((resource.c.key, last))
    along = order.reverse(by) if start == "before" else by
    stated = _ENTRY.where(found, sa.true() if start == "top" else order.after(along))
    stated = stated.add_columns(*(key for key, _ in by))
    stated = stated.order_by(*(key.desc() if descending else key for key, descending in along))
    return Paging(Statement(stated.limit(sa.bindparam("count"))), len(by))


@_kept
def some(shape: Shape, way: Way) -> Statement:
    """How many there are, counted no further than one more than CHEAP."""
    few = sa.select(resource.c.key).where(_found(shape, way)).limit(CHEAP + 1).subquery()
    return Statement(sa.select(sa.func.count()).select_from(few))


@_kept
def candidates(shape: Shape, limit: int) -> Statement | None:
    """How many rows there are to start from, counted no further than ``limit``.

    None where that is all of a type, or an id.
    """
    start = shape.start
    if start is None:
        return None
    beside = together(shape.types, start, shape.criteria)
    rows = keys(shape.looked, start, beside)
    few = sa.select(sa.literal_column("1")).select_from(rows.subquery()).limit(limit).subquery()
    return Statement(sa.select(sa.func.count()).select_from(few))


@_kept
def beginnings(shape: Shape, limit: int) -> Statement | None:
    """How many rows a chain to start from begins with, at its other end, counted as far.

    None where there is no chain, or it begins with an id.
    """
    rows = [keys(another(type), one) for type, one in ends(shape.start)]
    if not rows:
        return None
    some: list[sa.Select[Any]]
    some = [sa.select(sa.literal_column("1")).select_from(each.subquery()) for each in rows]
    few = sa.union_all(*some).subquery()
    few = sa.select(sa.literal_column("1")).select_from(few).limit(limit).subquery()
    return Statement(sa.select(sa.func.count()).select_from(few))


@lru_cache(_KEPT)
def seen(types: tuple[str, ...]) -> Statement:
    """How many resources a caller may see, and of types its own, not counted beyond SEEN each, and
    about how many there are."""
    of_types = among(resource.c.type, types)
    own = sa.select(resource.c.key).where(resource.c.owner == ME, of_types).limit(SEEN + 1)
    given = sa.select(grants.c.resource).where(*live()).limit(SEEN + 1)
    counts = (sa.select(sa.func.count()).select_from(each.subquery()) for each in (own, given))
    most = sa.select(sa.func.coalesce(sa.func.max(resource.c.key), 0))
    return Statement(sa.select(*(each.scalar_subquery() for each in (*counts, most))))


@_kept
def every(shape: Shape, way: Way) -> Statement:
    """How many there are."""
    return Statement(sa.select(sa.func.count(resource.c.key)).where(_found(shape, way)))


def _by_type(shape: Shape) -> bool:
    return len(shape.types) == 1 and shape.start is None


def _found(shape: Shape, way: Way) -> sa.ColumnElement[bool]:
    looked = shape.looked
    if way in ("order", "type"):
        return sa.and_(looked.is_of_type, looked.is_seen, *_all(shape))
    if way != "seen":
        return sa.and_(*where(looked, shape.criteria, shape.start), looked.is_seen)
    mine = resource.alias()
    own = sa.select(mine.c.key).where(mine.c.owner == ME, among(mine.c.type, shape.types))
    given = sa.select(grants.c.resource).where(*live())
    held = looked.row.c.key.in_(sa.union_all(own, given))
    # Hidden from the planner, which would rather go through all of the type.
    of_types = among(sa.func.coalesce(looked.row.c.type, ""), shape.types)
    return sa.and_(held, of_types, looked.is_seen, *_all(shape))


def _all(shape: Shape) -> list[sa.ColumnElement[bool]]:
    return [holds(shape.looked, one) for one in shape.criteria]
