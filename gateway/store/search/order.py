"""The order of a search's pages, and what comes after a given row (keyset, no offsets)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import sqlalchemy as sa

from gateway.fhir.query import Kind, Sort
from gateway.store.search.conditions import Looked, sorted_by

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


def after(keys: Sequence[tuple[sa.ColumnElement[Any], bool]], place: Sequence[Any]) -> Condition:
    """Whether a row comes after the one whose ``keys`` (each with: descending) were ``place``."""
    alternatives: list[Condition] = []
    same: list[Condition] = []
    for (key, descending), at in zip(keys, place, strict=True):
        bound = sa.literal(at, key.type)
        alternatives.append(sa.and_(*same, key < bound if descending else key > bound))
        same.append(key == bound)
    return sa.or_(*alternatives)
