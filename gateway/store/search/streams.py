"""Rows to start from in the order of an index: a page needs no more of them than it shows.

One value's rows stand in the order of their resources. Those of a range stand in their own: by
name, by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeGuard

import sqlalchemy as sa

from gateway.fhir.query import Condition, Criterion, ReferenceValue, TokenValue, UriValue
from gateway.store import tables
from gateway.store.search.choosing import is_of_a_moment, together
from gateway.store.search.comparisons import short, values
from gateway.store.search.conditions import Looked, Sql, holds
from gateway.store.search.index import TABLE


class Stream(NamedTuple):
    """Rows of a search table in the order of an index, each resource's once: which, what else
    their resources must meet, and what they are in the order of."""

    rows: sa.FromClause
    first: list[Sql]
    rest: list[Sql]
    by: list[sa.ColumnElement[Any]]


def streamed(
    looked: Looked, conditions: Sequence[Condition], start: Condition | None
) -> Stream | None:
    """The rows to start from in the order of their resources, and all conditions.

    None where a search doesn't start from one value.
    """
    if not _is_of_one_parameter(start, looked):
        return None
    rows = TABLE[start.kind].alias()
    once = _once(start, rows)
    if once is None:
        return None
    first = [rows.c.param == looked.keys(start.param)[0], values(start, rows), *once]
    rest = [holds(looked, c) for c in conditions if c is not start]
    return Stream(rows, first, rest, [rows.c.resource])


def ranged(
    looked: Looked, conditions: Sequence[Condition], start: Condition | None
) -> Stream | None:
    """The rows to start from in their own order, and all conditions.

    None where a search doesn't start from a range of them.
    """
    if not _is_of_one_parameter(start, looked):
        return None
    asked = (start, *together(looked.types, start, conditions))
    if not all(map(_is_a_range, asked)):
        return None
    table = TABLE[start.kind]
    rows, param = table.alias(), looked.keys(start.param)[0]
    first = [rows.c.param == param, *(values(one, rows) for one in asked)]
    if is_of_a_moment(looked.types, start):
        first += [short(one.values, rows) for one in asked]
    else:
        first.append(_is_first(start, rows))
    done = {id(one) for one in asked}
    rest = [holds(looked, c) for c in conditions if id(c) not in done]
    return Stream(rows, first, rest, [rows.c[name] for name in _own_order(table)])


def _is_of_one_parameter(start: Condition | None, looked: Looked) -> TypeGuard[Criterion]:
    """Whether all rows to start from are of one."""
    if not isinstance(start, Criterion) or len(looked.types) > 1:
        return False
    return len(looked.keys(start.param)) == 1 and not looked.apart(start.param)


def _once(start: Criterion, rows: sa.FromClause) -> list[Sql] | None:
    """What more to ask so that each resource has one row; None where they aren't in order."""
    if start.modifier or len(start.values) != 1:
        return None
    match start.values[0]:
        case TokenValue(system, code) if code is not None:
            return [] if system is not None else [_first_of_its_systems(rows)]
        case ReferenceValue(type, id, url) if bool(type and id) != bool(url):
            return []
        case UriValue():
            return []
    return None


def _first_of_its_systems(rows: sa.FromClause) -> Sql:
    other = tables.token.alias()
    same = (other.c[name] == rows.c[name] for name in ("param", "code", "resource"))
    one: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(other)
    return sa.not_(one.where(*same, other.c.system < rows.c.system).correlate(rows).exists())


def _is_a_range(asked: Criterion) -> bool:
    """Whether its rows are found by going along its table's index."""
    if asked.kind == "reference" or asked.modifier not in ("", "exact", "below", "contains"):
        return False
    if asked.kind != "token":
        return len(asked.values) == 1
    tokens = [value for value in asked.values if isinstance(value, TokenValue)]
    if any(value.code is None for value in tokens):
        return len(tokens) == 1
    return len({value.system for value in tokens}) == 1


def _is_first(start: Criterion, rows: sa.FromClause) -> Sql:
    """Whether a row is its resource's first of those that match."""
    table = TABLE[start.kind]
    other = table.alias()
    names = [name for name in _own_order(table) if name != "resource"]
    here, there = (sa.tuple_(*(each.c[name] for name in names)) for each in (rows, other))
    same = (other.c.param == rows.c.param, other.c.resource == rows.c.resource)
    # In a CASE, or the planner would look through all that match instead of the resource's own.
    matches = sa.case((values(start, other), 1), else_=0) == 1
    one: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(other)
    return sa.not_(one.where(*same, matches, there < here).correlate(rows).exists())


def _own_order(table: sa.Table) -> list[str]:
    """The columns by which its index has the rows of a parameter."""
    return [column.name for column in table.primary_key if column.name != "param"]
