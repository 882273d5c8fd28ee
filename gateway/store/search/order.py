"""The order of a search's pages, and what comes after a given row (keyset, no offsets)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.fhir.moments import is_moment
from gateway.fhir.query import Kind, Sort
from gateway.fhir.search_parameters import COLUMNS
from gateway.store.search.conditions import Looked, sorted_by
from gateway.store.search.index import TABLE
from gateway.store.search.streams import Stream

Condition = sa.ColumnElement[bool]
By = Sequence[tuple[sa.ColumnElement[Any], bool]]
"""What rows are sorted by, each with whether it descends."""

_FIRST: Final[dict[Kind, str]] = {  # what an ascending order looks at
    "token": "code",
    "string": "value",
    "reference": "target",
    "date": "low",
    "number": "low",
    "quantity": "low",
    "uri": "value",
}
_HIGH: Final = frozenset({"date", "number", "quantity"})  # a descending one looks at "high"
_PLACE: Final = "at_"
_TEXT: Final = frozenset({"token", "string", "reference", "uri"})


def _lacking(sort: Sort) -> Any:
    """What stands for no value, so that it comes last either way."""
    if sort.kind in _TEXT:
        return "" if sort.descending else "\U0010ffff"
    if sort.kind == "date":
        return -(2**63) if sort.descending else 2**63 - 1
    return -1.8e308 if sort.descending else 1.8e308


def by_values(looked: Looked, sort: Sort) -> By:
    """What a resource is sorted by: of rows that the caller may read, the least or the greatest.

    Of what is one moment where it begins and, of those that begin together, where it ends: as its
    index has it.
    """
    if sort.param == "_id":
        return [(looked.row.c.id, sort.descending)]
    if sort.param == "_lastUpdated":
        return [(looked.row.c.updated, sort.descending)]
    return [(_value(looked, sort, name), sort.descending) for name in _names(looked, sort)]


def _names(looked: Looked, sort: Sort) -> tuple[str, ...]:
    """The columns of a row that an order looks at."""
    if sort.kind == "date" and all(is_moment(type, sort.param) for type in looked.types):
        return ("low", "high")
    return ("high" if sort.descending and sort.kind in _HIGH else _FIRST[sort.kind],)


def _value(looked: Looked, sort: Sort, name: str) -> sa.ColumnElement[Any]:
    rows, mine = sorted_by(looked, sort)
    column: sa.ColumnElement[Any] = rows.c[name]
    if sort.kind == "reference":
        column = rows.c.type + "/" + rows.c.target
    found = sa.func.max(column) if sort.descending else sa.func.min(column)
    one = sa.select(found).where(mine).correlate(looked.row).scalar_subquery()
    return sa.func.coalesce(one, sa.literal(_lacking(sort), column.type))


_REST: Final[dict[Kind, tuple[str, ...]]] = {  # what else tells a resource's rows of a value apart
    "token": ("system",),
    "string": ("exact",),
    "date": ("high",),
    "number": ("high",),
    "uri": (),
}


def is_streamed(looked: Looked, sorts: Sequence[Sort]) -> bool:
    """Whether an index has the resources in the order that is asked for, or by its first part."""
    if not sorts or len(looked.types) > 1:
        return False
    sort = sorts[0]
    if sort.param in COLUMNS:
        return True
    if sort.kind not in _REST or looked.apart(sort.param) or len(looked.keys(sort.param)) > 1:
        return False
    return _names(looked, sort) != ("high",)


def streamed(looked: Looked, sort: Sort, rest: list[Condition]) -> tuple[Stream, By]:
    """The rows that a resource is sorted by, in order, each resource's first; and their values.

    What has no value has no row.
    """
    rows = TABLE[sort.kind].alias()
    other = TABLE[sort.kind].alias()
    here, there = (
        sa.tuple_(*(each.c[name] for name in (_FIRST[sort.kind], *_REST[sort.kind])))
        for each in (rows, other)
    )
    same = (other.c.param == rows.c.param, other.c.resource == rows.c.resource)
    before = there > here if sort.descending else there < here
    one: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(other)
    first: list[Condition] = [
        rows.c.param == looked.keys(sort.param)[0],
        sa.not_(one.where(*same, before).correlate(rows).exists()),
    ]
    by = [(rows.c[name], sort.descending) for name in _names(looked, sort)]
    return Stream(rows, first, rest, [rows.c.resource]), by


def reverse(by: By) -> By:
    """The same order from its end."""
    return [(key, not descending) for key, descending in by]


def may_lack(sorts: Sequence[Sort]) -> bool:
    """Whether there may be resources without a value to sort by first."""
    return sorts[0].param not in COLUMNS


def is_lacking(sorts: Sequence[Sort], value: Any) -> bool:
    """Whether a place's first value stands for none."""
    return bool(sorts) and value == _lacking(sorts[0])


def after(keys: By) -> Condition:
    """Whether a row comes after the one whose ``keys`` (each with: descending) are ``at_0`` …"""
    bounds = [sa.bindparam(f"{_PLACE}{n}", type_=key.type) for n, (key, _) in enumerate(keys)]
    if _is_of_an_index(keys):
        here, there = sa.tuple_(*(key for key, _ in keys)), sa.tuple_(*bounds)
        return here < there if keys[0][1] else here > there
    alternatives: list[Condition] = []
    same: list[Condition] = []
    for (key, descending), bound in zip(keys, bounds, strict=True):
        alternatives.append(sa.and_(*same, key < bound if descending else key > bound))
        same.append(key == bound)
    return sa.or_(*alternatives)


def _is_of_an_index(keys: By) -> bool:
    """Whether they are columns in one direction, which may be compared, and sought, as one."""
    return all(isinstance(key, sa.Column) and way == keys[0][1] for key, way in keys)


def place(values: Sequence[Any]) -> dict[str, Any]:
    """The values that ``after`` asks for."""
    return {f"{_PLACE}{n}": value for n, value in enumerate(values)}
