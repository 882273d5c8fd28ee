"""A search without its values: what its statement is built and compiled by, once for all alike.

Building a statement takes longer than running it. So each value is taken out of the query and a
``Slot`` put in its place; what is left is the shape, which statements are kept by. In a statement a
slot is a bind whose name says what becomes of the value on its way into it (``FORMS``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import sqlalchemy as sa

from gateway.fhir.moments import YEAR
from gateway.fhir.query import (
    Chain,
    Compartment,
    Composite,
    Condition,
    Criterion,
    DateValue,
    Has,
    Near,
    NearValue,
    NumberValue,
    QuantityValue,
    Query,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
    Words,
)
from gateway.store.search.asked import for_fts5, for_tsquery
from gateway.store.search.index import cut_text, equal_text, hashed

_MARK: Final = "slot_"
LAST: Final = "\U0010ffff"
SHOWN: Final = 1000
"""A resource's time is shown, and so compared, to the millisecond."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value stood; equal values have the same number."""

    number: int


def _up(at: int) -> int:
    return -(-at // SHOWN) * SHOWN


FORMS: Final[Mapping[str, tuple[Callable[[Any], Any], sa.types.TypeEngine[Any]]]] = {
    "as_is": (lambda value: value, sa.Text()),
    "at": (lambda value: value, sa.BigInteger()),
    "up": (_up, sa.BigInteger()),
    "past": (lambda at: _up(at - SHOWN + 1), sa.BigInteger()),
    "year_before": (lambda at: at - YEAR, sa.BigInteger()),
    "number": (float, sa.Double()),
    "equal": (equal_text, sa.Text()),
    "cut": (cut_text, sa.Text()),
    "end": (lambda text: cut_text(text) + LAST, sa.Text()),
    "like": (lambda text: re.sub("[/%_]", r"/\g<0>", cut_text(text)), sa.Text()),
    "hash": (hashed, sa.BigInteger()),
    "fts5_narrative": (lambda asked: f"narrative : ({for_fts5(asked)})", sa.Text()),
    "fts5_content": (lambda asked: f"content : ({for_fts5(asked)})", sa.Text()),
    "tsquery": (for_tsquery, sa.Text()),
}
"""By name what is made of a value, and the type that it has then."""


def bind(value: Any, form: str) -> sa.ColumnElement[Any]:
    """A value in a statement: a slot's, or one that belongs to the shape ("")."""
    make, type_ = FORMS[form]
    if isinstance(value, Slot):
        return sa.bindparam(f"{_MARK}{form}_{value.number}", type_=type_)
    return sa.literal(make(value), type_)


def bound(names: Iterable[str], values: Sequence[Any]) -> dict[str, Any]:
    """What those of a statement's binds ask for that are slots'."""
    found = {}
    for name in names:
        if name.startswith(_MARK):
            form, _, number = name.removeprefix(_MARK).rpartition("_")
            found[name] = FORMS[form][0](values[int(number)])
    return found


def lifted(query: Query) -> tuple[tuple[Condition, ...], list[Any]]:
    """The criteria with slots for their values, and the values by their numbers.

    What must be made late is no part of the shape: it has been made.
    """
    values: dict[Any, int] = {}

    def slot(value: Any) -> Any:
        return Slot(values.setdefault((type(value), value), len(values)))

    shape = tuple(_lifted(one, slot) for one in query.criteria)
    return shape, [value for _, value in values]


_Put = Callable[[Any], Any]


def _lifted(condition: Condition, slot: _Put) -> Condition:
    match condition:
        case Criterion():
            return _criterion(condition, slot)
        case Composite(_, alternatives):
            each = tuple(tuple(_criterion(one, slot) for one in some) for some in alternatives)
            return replace(condition, alternatives=each)
        case Chain(_, targets):
            return replace(
                condition, targets=tuple((type, _lifted(one, slot)) for type, one in targets)
            )
        case Has():
            return replace(condition, meets=_lifted(condition.meets, slot))
        case Compartment():
            return replace(condition, id=slot(condition.id), url=_unless(condition.url, slot))
        case Words():
            return replace(condition, asked=slot(condition.asked), late=())
        case Near():
            near = tuple(_near(value, slot) for value in condition.values)
            return replace(condition, values=near, late=None)


def _criterion(criterion: Criterion, slot: _Put) -> Criterion:
    values = tuple(_LIFTED[type(value)](value, slot) for value in criterion.values)
    return replace(criterion, values=values, late=None)


def _unless(value: str | None, slot: _Put) -> Any:
    """A slot, but for what means something by being empty."""
    return slot(value) if value else value


def _token(value: TokenValue, slot: _Put) -> TokenValue:
    return TokenValue(_unless(value.system, slot), _unless(value.code, slot))


def _string(value: StringValue, slot: _Put) -> StringValue:
    return StringValue(slot(value.value), slot(value.exact))


def _reference(value: ReferenceValue, slot: _Put) -> ReferenceValue:
    return ReferenceValue(value.type, _unless(value.id, slot), _unless(value.url, slot))


def _date(value: DateValue, slot: _Put) -> DateValue:
    return DateValue(value.prefix, slot(value.low), slot(value.high))


def _number(value: NumberValue, slot: _Put) -> NumberValue:
    return NumberValue(value.prefix, slot(value.value), slot(value.low), slot(value.high))


def _quantity(value: QuantityValue, slot: _Put) -> QuantityValue:
    bounds = (slot(value.value), slot(value.low), slot(value.high))
    named = (_unless(value.system, slot), _unless(value.code, slot))
    return QuantityValue(value.prefix, *bounds, *named)


def _near(value: NearValue, slot: _Put) -> NearValue:
    cubes = tuple(map(slot, value.cubes))
    return NearValue(slot(value.x), slot(value.y), slot(value.z), slot(value.chord), cubes)


def _uri(value: UriValue, slot: _Put) -> UriValue:
    return UriValue(slot(value.value))


_LIFTED: Final = cast(
    "dict[type, Callable[[Any, _Put], Any]]",
    {
        TokenValue: _token,
        StringValue: _string,
        ReferenceValue: _reference,
        DateValue: _date,
        NumberValue: _number,
        QuantityValue: _quantity,
        UriValue: _uri,
    },
)
