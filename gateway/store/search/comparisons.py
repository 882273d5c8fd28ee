"""A value as a condition on a row of a search table; ``gateway.fhir.query`` says what matches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from gateway.fhir.query import (
    Criterion,
    DateValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)
from gateway.store.search.index import cut_text, equal_text, hashed

Condition = sa.ColumnElement[bool]
Rows = sa.FromClause
"""A search table, or an alias of one."""

_LAST: Final = "\U0010ffff"
_GROUP: Final = 32
_SHOWN: Final = 1000
"""A resource's time is shown, and so compared, to the millisecond."""


class Ends(NamedTuple):
    """How the two ends of a row's time are compared with a number."""

    low_from: Callable[[int], Condition]
    low_below: Callable[[int], Condition]
    high_above: Callable[[int], Condition]
    high_to: Callable[[int], Condition]


def ends(rows: Rows) -> Ends:
    """Of a row that holds both."""
    return Ends(
        lambda at: rows.c.low >= at,
        lambda at: rows.c.low < at,
        lambda at: rows.c.high > at,
        lambda at: rows.c.high <= at,
    )


def _up(at: int) -> int:
    return -(-at // _SHOWN) * _SHOWN


def updated_ends(updated: sa.ColumnElement[int]) -> Ends:
    """Of [t, t + 1 ms), t cut to the millisecond."""
    return Ends(
        lambda at: updated >= _up(at),
        lambda at: updated < _up(at),
        lambda at: updated >= _up(at - _SHOWN + 1),
        lambda at: updated < _up(at - _SHOWN + 1),
    )


def date(value: DateValue, ends: Ends) -> Condition:
    """A time."""
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


def _number(value: NumberValue | QuantityValue, rows: Rows) -> Condition:
    low: sa.ColumnElement[float] = rows.c.low
    high: sa.ColumnElement[float] = rows.c.high
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
    return sa.and_(low >= value.low, low < value.high, high >= value.low, high < value.high)


def _quantity(value: QuantityValue, rows: Rows) -> Condition:
    conditions = [_number(value, rows)]
    if value.system is not None:
        conditions.append(rows.c.system == hashed(value.system))
    if value.code is not None:
        code = equal_text(value.code)
        same = rows.c.code == code
        conditions.append(sa.or_(same, rows.c.unit == code) if value.system is None else same)
    return sa.and_(*conditions)


def _tokens(values: Sequence[Any], rows: Rows) -> Condition:
    """Gathered by system: a value set may have thousands."""
    codes: dict[str | None, list[str]] = {}
    whole: list[Condition] = []
    for value in values:
        if value.code is None:
            whole.append(rows.c.system == hashed(value.system) if value.system else sa.true())
        else:
            codes.setdefault(value.system, []).append(equal_text(value.code))
    return any_of([*whole, *(_coded(rows, *each) for each in codes.items())] or [sa.false()])


def _coded(rows: Rows, system: str | None, codes: list[str]) -> Condition:
    same: Condition = rows.c.code == codes[0] if len(codes) == 1 else rows.c.code.in_(codes)
    return same if system is None else sa.and_(same, rows.c.system == hashed(system))


def _string(value: StringValue, rows: Rows, modifier: str) -> Condition:
    text = cut_text(value.value)
    column: sa.ColumnElement[str] = rows.c.value
    if modifier == "exact":
        # The normalised text first: that is what the index is ordered by.
        return sa.and_(column == text, rows.c.exact == hashed(value.exact))
    if modifier == "contains":
        return column.contains(text, autoescape=True)
    return sa.and_(column >= text, column < text + _LAST)


def _reference(value: ReferenceValue, rows: Rows) -> Condition:
    target: sa.ColumnElement[str] = rows.c.target
    if not value.id:
        return target == equal_text(value.url)
    same = target == equal_text(value.id)
    if value.type:
        same = sa.and_(same, rows.c.type == value.type)
    if not value.url:
        return same
    return sa.or_(same, target == equal_text(value.url))


def _uri(value: UriValue, rows: Rows, modifier: str) -> Condition:
    column: sa.ColumnElement[str] = rows.c.value
    if modifier == "below":
        text = cut_text(value.value)
        return sa.and_(column >= text, column < text + _LAST)
    return column == equal_text(value.value)


def values(criterion: Criterion, rows: Rows) -> Condition:
    """Whether a row matches one of the criterion's values."""
    if criterion.kind == "token":
        return _tokens(criterion.values, rows)
    return any_of([_value(value, rows, criterion.modifier) for value in criterion.values])


def any_of(conditions: Sequence[Condition]) -> Condition:
    """One of them; in groups, for SQLite's expressions may be a thousand deep and not more."""
    if len(conditions) <= _GROUP:
        return sa.or_(*conditions)
    groups = [conditions[at : at + _GROUP] for at in range(0, len(conditions), _GROUP)]
    return any_of([_bracketed(sa.or_(*group)) for group in groups])


class _bracketed(FunctionElement[Any]):
    """A condition in brackets, which SQLAlchemy would leave out."""

    type = sa.types.NULLTYPE
    inherit_cache = True


@compiles(_bracketed)
def _in_brackets(element: _bracketed, compiler: Any, **more: Any) -> str:
    return f"({compiler.process(element.clauses, **more)})"


def _value(value: Any, rows: Rows, modifier: str) -> Condition:
    match value:
        case StringValue():
            return _string(value, rows, modifier)
        case ReferenceValue():
            return _reference(value, rows)
        case DateValue():
            return date(value, ends(rows))
        case NumberValue():
            return _number(value, rows)
        case QuantityValue():
            return _quantity(value, rows)
        case UriValue():
            return _uri(value, rows, modifier)
        case TokenValue():
            return _tokens([value], rows)
    raise AssertionError(type(value).__name__)
