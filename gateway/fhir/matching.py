"""Whether a resource is in a search's answer: the Query evaluated in memory, as SQL would.

For Subscriptions, which ask it of one resource at a time. Each comparison stands in
``gateway.fhir.query`` beside its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gateway.fhir.query import (
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


def matches(query: Query, resource: Resource, rows: Iterable[IndexRow] | None = None) -> bool:
    """Whether ``resource`` meets all criteria of ``query``; ``rows`` are its, if at hand."""
    if resource.get("resourceType") != query.type:
        return False
    by_param: dict[str, list[IndexRow]] = {"_id": _id(resource), "_lastUpdated": _updated(resource)}
    asked = frozenset(one.param for one in query.criteria)
    for row in extract(resource, asked) if rows is None else rows:
        by_param.setdefault(row.param, []).append(row)
    return all(_meets(one, by_param.get(one.param, ())) for one in query.criteria)


def _id(resource: Resource) -> list[IndexRow]:
    return [TokenRow("_id", "", resource["id"])] if "id" in resource else []


def _updated(resource: Resource) -> list[IndexRow]:
    found = span(resource.get("meta", {}).get("lastUpdated", ""))
    return [DateRow("_lastUpdated", *found)] if found else []


def _meets(criterion: Criterion, rows: Iterable[IndexRow]) -> bool:
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
    if value.url:
        return row.url == value.url
    return row.id == value.id and value.type in ("", row.type)


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


def _uri(value: UriValue, row: UriRow, _: str) -> bool:
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
