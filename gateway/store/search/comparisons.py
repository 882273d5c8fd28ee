"""A value as a condition on a row of a search table; ``gateway.fhir.query`` says what matches.

A value may be a slot (``shapes``): it is only asked whether it is there, and bound.
"""

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
from gateway.store.search.shapes import bind

Condition = sa.ColumnElement[bool]
Rows = sa.FromClause
"""A search table, or an alias of one."""

_GROUP: Final = 32

At = Any
"""Microseconds, or the slot of some."""


def among(column: sa.ColumnElement[Any], wanted: Sequence[Any]) -> Condition:
    """Whether it is one of these, each a bind of its own: a statement is compiled but once."""
    binds = [sa.literal(each, column.type) for each in wanted]
    return column == binds[0] if len(binds) == 1 else column.in_(binds)


class Ends(NamedTuple):
    """How the two ends of a row's time are compared with a number."""

    low_from: Callable[[At], Condition]
    low_below: Callable[[At], Condition]
    high_above: Callable[[At], Condition]
    high_to: Callable[[At], Condition]


def ends(rows: Rows) -> Ends:
    """Of a row that holds both."""
    return Ends(
        lambda at: rows.c.low >= bind(at, "at"),
        lambda at: rows.c.low < bind(at, "at"),
        lambda at: rows.c.high > bind(at, "at"),
        lambda at: rows.c.high <= bind(at, "at"),
    )


def updated_ends(updated: sa.ColumnElement[int]) -> Ends:
    """Of [t, t + 1 ms), t cut to the millisecond."""
    return Ends(
        lambda at: updated >= bind(at, "up"),
        lambda at: updated < bind(at, "up"),
        lambda at: updated >= bind(at, "past"),
        lambda at: updated < bind(at, "past"),
    )


def date(value: DateValue, ends: Ends) -> Condition:
    """A time. What begins later than another ends ends later, too: an index has the beginnings."""
    low, high = value.low, value.high
    match value.prefix:
        case "gt":
            return ends.high_above(high)
        case "lt":
            return ends.low_below(low)
        case "ge":
            return sa.or_(ends.low_from(low), ends.high_above(high))
        case "le":
            return sa.or_(sa.and_(ends.high_to(high), ends.low_below(high)), ends.low_below(low))
        case "sa":
            return ends.low_from(high)
        case "eb":
            return sa.and_(ends.high_to(low), ends.low_below(low))
        case "ap":
            return sa.and_(ends.low_below(high), ends.high_above(low))
        case "ne":
            return sa.or_(ends.low_below(low), ends.high_above(high))
    return sa.and_(ends.low_from(low), ends.high_to(high), ends.low_below(high))


def short(values: Sequence[Any], rows: Rows) -> Condition:
    """What holds besides of a row no longer than a year that matches: how early it can begin."""
    if any(value.prefix not in ("gt", "ge", "ap") for value in values):
        return sa.true()
    # What is to end after "gt" and "ge" is compared by the end; it began a year before at most.
    return any_of(
        [
            rows.c.low >= bind(value.low if value.prefix == "ap" else value.high, "year_before")
            for value in values
        ]
    )


def _number(value: NumberValue | QuantityValue, rows: Rows) -> Condition:
    low: sa.ColumnElement[float] = rows.c.low
    high: sa.ColumnElement[float] = rows.c.high
    at, least, most = (bind(each, "number") for each in (value.value, value.low, value.high))
    match value.prefix:
        case "gt":
            return high > at
        case "lt":
            return low < at
        case "ge":
            return high >= at
        case "le":
            return low <= at
        case "sa":
            return low > at
        case "eb":
            return high < at
        case "ap":
            return sa.and_(low <= most, high >= least)
        case "ne":
            return sa.or_(low < least, high >= most)
    return sa.and_(low >= least, low < most, high >= least, high < most)


def _quantity(value: QuantityValue, rows: Rows) -> Condition:
    conditions = [_number(value, rows)]
    if value.system is not None:
        conditions.append(rows.c.system == bind(value.system, "hash"))
    if value.code is not None:
        code = bind(value.code, "equal")
        same = rows.c.code == code
        conditions.append(sa.or_(same, rows.c.unit == code) if value.system is None else same)
    return sa.and_(*conditions)


def _tokens(values: Sequence[Any], rows: Rows) -> Condition:
    """Gathered by system: a value set may have thousands."""
    codes: dict[Any, list[Any]] = {}
    whole: list[Condition] = []
    for value in values:
        if value.code is None:
            here = rows.c.system == bind(value.system, "hash") if value.system else sa.true()
            whole.append(here)
        else:
            codes.setdefault(value.system, []).append(bind(value.code, "equal"))
    return any_of([*whole, *(_coded(rows, *each) for each in codes.items())] or [sa.false()])


def _coded(rows: Rows, system: Any, codes: list[sa.ColumnElement[str]]) -> Condition:
    same: Condition = rows.c.code == codes[0] if len(codes) == 1 else rows.c.code.in_(codes)
    return same if system is None else sa.and_(same, rows.c.system == bind(system, "hash"))


def _string(value: StringValue, rows: Rows, modifier: str) -> Condition:
    column: sa.ColumnElement[str] = rows.c.value
    if modifier == "exact":
        # The normalised text first: that is what the index is ordered by.
        same = rows.c.exact == bind(value.exact, "hash")
        return sa.and_(column == bind(value.value, "cut"), same)
    if modifier == "contains":
        return column.contains(bind(value.value, "like"), escape="/")
    return _begins(column, value.value)


def _begins(column: sa.ColumnElement[str], text: Any) -> Condition:
    return sa.and_(column >= bind(text, "cut"), column < bind(text, "end"))


def _reference(value: ReferenceValue, rows: Rows) -> Condition:
    target: sa.ColumnElement[str] = rows.c.target
    if not value.id:
        return target == bind(value.url, "equal")
    same = target == bind(value.id, "equal")
    if value.type:
        same = sa.and_(same, rows.c.type == value.type)
    if not value.url:
        return same
    return sa.or_(same, target == bind(value.url, "equal"))


def _uri(value: UriValue, rows: Rows, modifier: str) -> Condition:
    column: sa.ColumnElement[str] = rows.c.value
    if modifier == "below":
        return _begins(column, value.value)
    return column == bind(value.value, "equal")


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
