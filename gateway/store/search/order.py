"""The order of a search's pages, and what comes after a given row (keyset, no offsets)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.fhir.query import Kind, Sort
from gateway.store import tables
from gateway.store.search.index import TABLE, param_key
from gateway.store.tables import resource

Condition = sa.ColumnElement[bool]

_FIRST: Final[dict[Kind, Any]] = {  # what an ascending order looks at
    "token": tables.token.c.code,
    "string": tables.string.c.value,
    "reference": tables.reference.c.type + "/" + tables.reference.c.target,
    "date": tables.date.c.low,
    "number": tables.number.c.low,
    "quantity": tables.quantity.c.low,
    "uri": tables.uri.c.value,
}
_HIGH: Final[dict[Kind, Any]] = {  # and a descending one, where that differs
    "date": tables.date.c.high,
    "number": tables.number.c.high,
    "quantity": tables.quantity.c.high,
}
_TEXT: Final = frozenset({"token", "string", "reference", "uri"})


def _lacking(sort: Sort) -> Any:
    """What stands for no value, so that it comes last either way."""
    if sort.kind in _TEXT:
        return "" if sort.descending else "\U0010ffff"
    if sort.kind == "date":
        return -(2**63) if sort.descending else 2**63 - 1
    return -1.8e308 if sort.descending else 1.8e308


def value(type_: str, sort: Sort) -> sa.ColumnElement[Any]:
    """What a resource is sorted by."""
    if sort.param == "_id":
        return resource.c.id
    if sort.param == "_lastUpdated":
        return resource.c.updated
    table = TABLE[sort.kind]
    column = _FIRST[sort.kind]
    if sort.descending:
        column = _HIGH.get(sort.kind, column)
    found = sa.func.max(column) if sort.descending else sa.func.min(column)
    one = (
        sa.select(found)
        .where(table.c.resource == resource.c.key, table.c.param == param_key(type_, sort.param))
        .correlate(resource)
        .scalar_subquery()
    )
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
