"""Criteria of a search as SQL over ``resource``; ``gateway.fhir.query`` says what matches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from gateway.fhir.query import (
    Criterion,
    DateValue,
    Kind,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
    Value,
)
from gateway.store import tables
from gateway.store.search.index import TABLE, cut_text, equal_text, hashed, param_key
from gateway.store.tables import resource

Condition = sa.ColumnElement[bool]

_LAST: Final = "\U0010ffff"
_SHOWN: Final = 1000
"""A resource's time is shown, and so compared, to the millisecond."""


class Ends(NamedTuple):
    """How the two ends of a row's time are compared with a number."""

    low_from: Callable[[int], Condition]
    low_below: Callable[[int], Condition]
    high_above: Callable[[int], Condition]
    high_to: Callable[[int], Condition]


_ROW_ENDS: Final = Ends(
    lambda at: tables.date.c.low >= at,
    lambda at: tables.date.c.low < at,
    lambda at: tables.date.c.high > at,
    lambda at: tables.date.c.high <= at,
)


def _up(at: int) -> int:
    return -(-at // _SHOWN) * _SHOWN


_UPDATED_ENDS: Final = Ends(  # of [t, t + 1 ms), t cut to the millisecond
    lambda at: resource.c.updated >= _up(at),
    lambda at: resource.c.updated < _up(at),
    lambda at: resource.c.updated >= _up(at - _SHOWN + 1),
    lambda at: resource.c.updated < _up(at - _SHOWN + 1),
)


def _date(value: DateValue, ends: Ends) -> Condition:
    low, high = value.low, value.high
    match value.prefix:
        case "gt":
            return ends.high_above(high)
        case "lt":
            return ends.low_below(low)
        case "ge":
            return sa.or_(ends.low_from(low), ends.high_above(high))
        case "le":
            return sa.or_(ends.high_to(high), ends.low_below(low))
        case "sa":
            return ends.low_from(high)
        case "eb":
            return ends.high_to(low)
        case "ap":
            return sa.and_(ends.low_below(high), ends.high_above(low))
        case "ne":
            return sa.or_(ends.low_below(low), ends.high_above(high))
    return sa.and_(ends.low_from(low), ends.high_to(high))


def _number(value: NumberValue | QuantityValue, table: sa.Table) -> Condition:
    low: sa.ColumnElement[float] = table.c.low
    high: sa.ColumnElement[float] = table.c.high
    match value.prefix:
        case "gt":
            return high > value.value
        case "lt":
            return low < value.value
        case "ge":
            return high >= value.value
        case "le":
            return low <= value.value
        case "sa":
            return low > value.value
        case "eb":
            return high < value.value
        case "ap":
            return sa.and_(low <= value.high, high >= value.low)
        case "ne":
            return sa.or_(low < value.low, high >= value.high)
    return sa.and_(low >= value.low, high < value.high)


def _quantity(value: QuantityValue) -> Condition:
    table = tables.quantity
    conditions = [_number(value, table)]
    if value.system is not None:
        conditions.append(table.c.system == hashed(value.system))
    if value.code is not None:
        code = equal_text(value.code)
        same = table.c.code == code
        conditions.append(sa.or_(same, table.c.unit == code) if value.system is None else same)
    return sa.and_(*conditions)


def _token(value: TokenValue) -> Condition:
    table, conditions = tables.token, []
    if value.code is not None:
        conditions.append(table.c.code == equal_text(value.code))
    if value.system is not None:
        conditions.append(table.c.system == hashed(value.system))
    return sa.and_(sa.true(), *conditions)


def _string(value: StringValue, modifier: str) -> Condition:
    table, text = tables.string, cut_text(value.value)
    if modifier == "exact":
        # The normalised text first: that is what the index is ordered by.
        return sa.and_(table.c.value == text, table.c.exact == hashed(value.exact))
    if modifier == "contains":
        return table.c.value.contains(text, autoescape=True)
    return sa.and_(table.c.value >= text, table.c.value < text + _LAST)


def _reference(value: ReferenceValue) -> Condition:
    same = tables.reference.c.target == equal_text(value.url or value.id)
    if value.url or not value.type:
        return same
    return sa.and_(same, tables.reference.c.type == value.type)


def _value(value: Value, modifier: str) -> Condition:
    match value:
        case TokenValue():
            return _token(value)
        case StringValue():
            return _string(value, modifier)
        case ReferenceValue():
            return _reference(value)
        case DateValue():
            return _date(value, _ROW_ENDS)
        case NumberValue():
            return _number(value, tables.number)
        case QuantityValue():
            return _quantity(value)
        case UriValue():
            return tables.uri.c.value == equal_text(value.value)


def _of_column(criterion: Criterion) -> Condition:
    if criterion.modifier == "missing":
        return sa.false() if criterion.missing else sa.true()
    values: tuple[Any, ...] = criterion.values
    if criterion.param == "_id":
        found: Condition = resource.c.id.in_([value.code or "" for value in values])
    else:
        found = sa.or_(*(_date(value, _UPDATED_ENDS) for value in values))
    return sa.not_(found) if criterion.modifier == "not" else found


def matching(type_: str, criterion: Criterion) -> sa.Select[int]:
    """The keys of the resources that have a row of the parameter that matches a value."""
    table = TABLE[criterion.kind]
    conditions = [table.c.param == param_key(type_, criterion.param)]
    if criterion.values:
        conditions.append(
            sa.or_(*(_value(value, criterion.modifier) for value in criterion.values))
        )
    return sa.select(table.c.resource).where(*conditions)


def is_column(criterion: Criterion) -> bool:
    """Whether the parameter is a column of the resource itself."""
    return criterion.param in ("_id", "_lastUpdated")


def condition(type_: str, criterion: Criterion) -> Condition:
    """Whether a resource matches, looked up for each."""
    if is_column(criterion):
        return _of_column(criterion)
    table = TABLE[criterion.kind]
    rows = matching(type_, criterion).where(table.c.resource == resource.c.key)
    found = rows.correlate(resource).exists()
    absent = criterion.modifier == "not" or criterion.missing is True
    return sa.not_(found) if absent else found


# What usually finds least, first: the search starts there, and looks up the rest for each.
_NARROW: Final[dict[Kind, int]] = {
    "reference": 1,
    "uri": 2,
    "string": 3,
    "date": 5,
    "token": 6,
    "number": 7,
    "quantity": 8,
}


def _breadth(criterion: Criterion) -> int:
    if criterion.param == "identifier":
        return 0
    contains = 10 if criterion.modifier == "contains" else 0
    return _NARROW[criterion.kind] + contains


def where(type_: str, criteria: tuple[Criterion, ...]) -> list[Condition]:
    """All criteria of a search of ``type_``: one to start from, the others to look up."""
    able = [c for c in criteria if not is_column(c) and c.modifier not in ("not", "missing")]
    start = min(able, key=_breadth, default=None)
    if start is None or any(c.param == "_id" for c in criteria):
        return [resource.c.type == type_, *(condition(type_, c) for c in criteria)]
    rest = [condition(type_, c) for c in criteria if c is not start]
    return [resource.c.key.in_(matching(type_, start)), *rest]
