"""Whether a resource is in a search's answer: the Query evaluated in memory, as SQL would.

For Subscriptions, which ask it of one resource at a time: a condition on others, or on rows that
are made late, isn't for them (``in_memory``). Each comparison stands in ``gateway.fhir.query``
beside its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gateway.errors import InvalidSearch
from gateway.fhir.query import (
    Composite,
    Condition,
    Criterion,
    DateValue,
    NumberValue,
    QuantityValue,
    Query,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)
from gateway.fhir.rows import (
    DateRow,
    IndexRow,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from gateway.fhir.search_parameters import extract
from gateway.fhir.search_values import span
from gateway.model import Resource


def in_memory(condition: Condition) -> bool:
    """Whether a condition can be told from a resource alone."""
    if isinstance(condition, Criterion):
        return condition.late is None
    if isinstance(condition, Composite):
        return all(one.late is None for each in condition.alternatives for one in each)
    return False


def matches(query: Query, resource: Resource, rows: Iterable[IndexRow] | None = None) -> bool:
    """Whether ``resource`` meets all criteria of ``query``, each of which is ``in_memory``.

    ``rows`` are its, if at hand. Raises InvalidSearch for a criterion that isn't.
    """
    if resource.get("resourceType") not in query.looks_for:
        return False
    by_param: dict[str, list[IndexRow]] = {"_id": _id(resource), "_lastUpdated": _updated(resource)}
    for row in _extracted(query, resource) if rows is None else rows:
        by_param.setdefault(row.param, []).append(row)
    return all(_meets(one, by_param) for one in query.criteria)


def _extracted(query: Query, resource: Resource) -> list[IndexRow]:
    asked = {one.param.partition(":")[0] for each in query.criteria for one in _criteria(each)}
    also = {one.param for one in query.criteria if isinstance(one, Composite)}
    return extract(resource, frozenset(asked | also))


def _criteria(condition: Condition) -> Iterable[Criterion]:
    if isinstance(condition, Composite):
        return [_alone(one) for all_of in condition.alternatives for one in all_of]
    return [_alone(condition)]


def _alone(condition: Condition) -> Criterion:
    if not isinstance(condition, Criterion) or condition.late is not None:
        raise InvalidSearch("asks of more than one resource alone: not here", code="not-supported")
    return condition


def _id(resource: Resource) -> list[IndexRow]:
    return [TokenRow("_id", "", resource["id"])] if "id" in resource else []


def _updated(resource: Resource) -> list[IndexRow]:
    found = span(resource.get("meta", {}).get("lastUpdated", ""))
    return [DateRow("_lastUpdated", *found)] if found else []


_Rows = Mapping[str, list[IndexRow]]


def _meets(condition: Condition, by_param: _Rows) -> bool:
    if isinstance(condition, Composite):
        found = any(
            all(_has_row(one, by_param) for one in all_of) for all_of in condition.alternatives
        )
        return found is not (condition.missing or False)
    return _has_row(_alone(condition), by_param)


def _has_row(criterion: Criterion, by_param: _Rows) -> bool:
    rows = by_param.get(criterion.param, ())
    if criterion.modifier == "missing":
        return criterion.missing is (not rows)
    matching = _MATCHING[criterion.kind]
    found = any(
        matching(value, row, criterion.modifier) for row in rows for value in criterion.values
    )
    return not found if criterion.modifier == "not" else found


def _token(value: TokenValue, row: TokenRow, _: str) -> bool:
    return value.system in (None, row.system) and value.code in (None, row.code)


def _string(value: StringValue, row: StringRow, modifier: str) -> bool:
    if modifier == "exact":
        return row.exact == value.exact
    if modifier == "contains":
        return value.value in row.value
    return row.value.startswith(value.value)


def _reference(value: ReferenceValue, row: ReferenceRow, _: str) -> bool:
    if value.url and row.url == value.url:
        return True
    return bool(value.id) and row.id == value.id and value.type in ("", row.type)


_DATES: Final[Mapping[str, Callable[[DateValue, DateRow], bool]]] = {
    "eq": lambda v, r: v.low <= r.low and r.high <= v.high,
    "ne": lambda v, r: not (v.low <= r.low and r.high <= v.high),
    "gt": lambda v, r: r.high > v.high,
    "lt": lambda v, r: r.low < v.low,
    "ge": lambda v, r: r.low >= v.low or r.high > v.high,
    "le": lambda v, r: r.high <= v.high or r.low < v.low,
    "sa": lambda v, r: r.low >= v.high,
    "eb": lambda v, r: r.high <= v.low,
    "ap": lambda v, r: r.low < v.high and r.high > v.low,
}

_Numeric = NumberValue | QuantityValue
_NUMBERS: Final[Mapping[str, Callable[[_Numeric, NumberRow | QuantityRow], bool]]] = {
    "eq": lambda v, r: v.low <= r.low and r.high < v.high,
    "ne": lambda v, r: not (v.low <= r.low and r.high < v.high),
    "gt": lambda v, r: r.high > v.value,
    "lt": lambda v, r: r.low < v.value,
    "ge": lambda v, r: r.high >= v.value,
    "le": lambda v, r: r.low <= v.value,
    "sa": lambda v, r: r.low > v.value,
    "eb": lambda v, r: r.high < v.value,
    "ap": lambda v, r: r.low <= v.high and r.high >= v.low,
}


def _date(value: DateValue, row: DateRow, _: str) -> bool:
    return _DATES[value.prefix](value, row)


def _number(value: NumberValue, row: NumberRow, _: str) -> bool:
    return _NUMBERS[value.prefix](value, row)


def _quantity(value: QuantityValue, row: QuantityRow, _: str) -> bool:
    if value.system is not None and row.system != value.system:
        return False
    codes = (row.code, row.unit) if value.system is None else (row.code,)
    return (value.code is None or value.code in codes) and _NUMBERS[value.prefix](value, row)


def _uri(value: UriValue, row: UriRow, modifier: str) -> bool:
    if modifier == "below":
        return row.value.startswith(value.value)
    return row.value == value.value


_MATCHING: Final[Mapping[str, Callable[[Any, Any, str], bool]]] = {
    "token": _token,
    "string": _string,
    "reference": _reference,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
}
