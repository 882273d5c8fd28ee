"""The order of a search's pages, and what comes after a given row (keyset, no offsets)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import sqlalchemy as sa

from gateway.fhir.query import Kind, Sort
from gateway.fhir.search_parameters import COLUMNS
from gateway.store.search.conditions import Looked, Stream, sorted_by
from gateway.store.search.index import TABLE

Condition = sa.ColumnElement[bool]

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


def value(looked: Looked, sort: Sort) -> sa.ColumnElement[Any]:
    """What a resource is sorted by: of rows that the caller may read."""
    if sort.param == "_id":
        return cast(sa.ColumnElement[Any], looked.row.c.id)
    if sort.param == "_lastUpdated":
        return cast(sa.ColumnElement[Any], looked.row.c.updated)
    rows, mine = sorted_by(looked, sort)
    high = sort.descending and sort.kind in _HIGH
    column: sa.ColumnElement[Any] = rows.c["high" if high else _FIRST[sort.kind]]
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
    """Whether an index has the resources in the order that is asked for."""
    if len(sorts) != 1 or len(looked.types) > 1:
        return False
    (sort,) = sorts
    if sort.kind not in _REST or sort.param in COLUMNS or looked.apart(sort.param):
        return False
    return not (sort.descending and sort.kind in _HIGH)


def streamed(
    looked: Looked, sort: Sort, rest: list[Condition]
) -> tuple[Stream, sa.ColumnElement[Any]]:
    """The rows that a resource is sorted by, in order, each resource's first; and their value.

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
    return Stream(rows, first, rest), rows.c[_FIRST[sort.kind]]


def after(keys: Sequence[tuple[sa.ColumnElement[Any], bool]]) -> Condition:
    """Whether a row comes after the one whose ``keys`` (each with: descending) are ``at_0`` …"""
    alternatives: list[Condition] = []
    same: list[Condition] = []
    for n, (key, descending) in enumerate(keys):
        bound = sa.bindparam(f"{_PLACE}{n}", type_=key.type)
        alternatives.append(sa.and_(*same, key < bound if descending else key > bound))
        same.append(key == bound)
    return sa.or_(*alternatives)


def place(values: Sequence[Any]) -> dict[str, Any]:
    """The values that ``after`` asks for."""
    return {f"{_PLACE}{n}": value for n, value in enumerate(values)}
