"""From a value of a FHIR type to its search rows: one small function for each kind and type.

R4 search, 3.1.1.4: which parts of which data type each kind of parameter looks at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from gateway.fhir import codes
from gateway.fhir.elements import Element
from gateway.fhir.expressions import LITERAL, values_of
from gateway.fhir.rows import (
    BEGINNING,
    END,
    DateRow,
    IndexRow,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from gateway.fhir.search_values import normalise, span

Rows = Sequence[IndexRow]
Maker = Callable[[str, Any, Element | None], Rows]
"""(parameter, value, its element) to rows. The value has passed gate 1."""


# --- token ---------------------------------------------------------------------------------------


def _coding(param: str, value: Any, _: Element | None) -> Rows:
    if "code" in value or "system" in value:
        return (TokenRow(param, value.get("system", ""), value.get("code", "")),)
    return ()


def _concept(param: str, value: Any, element: Element | None) -> Rows:
    return [row for coding in value.get("coding", ()) for row in _coding(param, coding, element)]


def _identifier(param: str, value: Any, _: Element | None) -> Rows:
    if "value" not in value and "system" not in value:
        return ()
    row = TokenRow(param, value.get("system", ""), value.get("value", ""))
    return [row, *_of_type(param, value)] if "type" in value else (row,)


def _of_type(param: str, value: Any) -> Rows:
    """What ``:of-type`` asks for: the type's system and code, and the value."""
    return [
        TokenRow(
            f"{param}:of-type", typed(coding.get("system", ""), coding["code"]), value["value"]
        )
        for coding in value["type"].get("coding", ())
        if "code" in coding and "value" in value
    ]


def typed(system: str, code: str) -> str:
    """An identifier's type as one text."""
    return f"{system}|{code}"


def _contact(param: str, value: Any, _: Element | None) -> Rows:
    return (TokenRow(param, "", value["value"]),) if "value" in value else ()


def _code(param: str, value: Any, element: Element | None) -> Rows:
    binding = element.binding if element else None
    return (TokenRow(param, (binding.system if binding else None) or "", value),)


def _plain_token(param: str, value: Any, _: Element | None) -> Rows:
    return (TokenRow(param, "", value),)


def _boolean(param: str, value: Any, _: Element | None) -> Rows:
    return (TokenRow(param, "", "true" if value else "false"),)


# --- string --------------------------------------------------------------------------------------


def _string(param: str, value: Any, _: Element | None) -> Rows:
    return (StringRow(param, normalise(value), value),)


def _parts(*names: str) -> Maker:
    def make(param: str, value: Any, _: Element | None) -> Rows:
        texts = [text for name in names for text in values_of(value.get(name))]
        return [StringRow(param, normalise(text), text) for text in texts]

    return make


# --- reference -----------------------------------------------------------------------------------


def _reference(param: str, value: Any, _: Element | None) -> Rows:
    literal = value.get("reference")
    if "identifier" in value:
        return _logical(param, value, literal)
    return () if literal is None else (ReferenceRow(param, *_literal(literal)),)


def _logical(param: str, value: Any, literal: str | None) -> Rows:
    """A reference with an identifier, too: what ``:identifier`` asks for."""
    where = ("", "", "") if literal is None else _literal(literal)
    row = ReferenceRow(param, *where)
    if literal is None:
        row = row._replace(type=value.get("type", ""))
    return [row, *_identifier(f"{param}:identifier", value["identifier"], None)]


@lru_cache(1024)
def _literal(reference: str) -> tuple[str, str, str]:
    """Type and id of a relative reference, else a URL. Most are asked for several times."""
    match = LITERAL.fullmatch(reference)
    if match is None or match["base"]:
        return "", "", reference.partition("/_history/")[0]
    return match["type"], match["id"], ""


def _canonical(param: str, value: Any, _: Element | None) -> Rows:
    unversioned, bar, _version = value.partition("|")
    urls = (value, unversioned) if bar else (value,)
    return [ReferenceRow(param, *_literal(url)) for url in urls]


def _resource(param: str, value: Any, _: Element | None) -> Rows:
    return (ReferenceRow(param, value.get("resourceType", ""), value.get("id", ""), ""),)


# --- date ----------------------------------------------------------------------------------------


def _date(param: str, value: Any, _: Element | None) -> Rows:
    found = span(value)
    return (DateRow(param, *found),) if found else ()


def _period(param: str, value: Any, _: Element | None) -> Rows:
    low, high = _ends(value)
    return (DateRow(param, low, high),) if low != BEGINNING or high != END else ()


def _ends(period: Mapping[str, Any]) -> tuple[int, int]:
    start, end = span(period.get("start", "")), span(period.get("end", ""))
    return start[0] if start else BEGINNING, end[1] if end else END


def _timing(param: str, value: Any, _: Element | None) -> Rows:
    """Only the outer limits of a Timing count."""
    spans = [found for event in value.get("event", ()) if event and (found := span(event))]
    bounds = value.get("repeat", {}).get("boundsPeriod")
    if bounds:
        spans.append(_ends(bounds))
    if not spans:
        return ()
    return (DateRow(param, min(low for low, _ in spans), max(high for _, high in spans)),)


# --- number and quantity -------------------------------------------------------------------------


def _number(param: str, value: Any, _: Element | None) -> Rows:
    return (NumberRow(param, float(value), float(value)),)


def _number_range(param: str, value: Any, _: Element | None) -> Rows:
    low, high = _range(value)
    return (NumberRow(param, low, high),)


def _quantity(param: str, value: Any, _: Element | None) -> Rows:
    if "value" not in value:
        return ()
    number = float(value["value"])
    below = value.get("comparator", "")[:1] == "<"
    above = value.get("comparator", "")[:1] == ">"
    low, high = -math.inf if below else number, math.inf if above else number
    return (QuantityRow(param, low, high, *_unit(value)),)


def _money(param: str, value: Any, _: Element | None) -> Rows:
    if "value" not in value:
        return ()
    number, currency = float(value["value"]), value.get("currency", "")
    return (QuantityRow(param, number, number, codes.CURRENCY, currency, currency),)


def _quantity_range(param: str, value: Any, _: Element | None) -> Rows:
    unit = _unit(value.get("low") or value.get("high") or {})
    return (QuantityRow(param, *_range(value), *unit),)


def _range(value: Mapping[str, Any]) -> tuple[float, float]:
    low, high = value.get("low", {}).get("value"), value.get("high", {}).get("value")
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def _unit(value: Mapping[str, Any]) -> tuple[str, str, str]:
    return value.get("system", ""), value.get("code", ""), value.get("unit", "")


# --- uri -----------------------------------------------------------------------------------------


def _uri(param: str, value: Any, _: Element | None) -> Rows:
    return (UriRow(param, value),)


# --- labels --------------------------------------------------------------------------------------


def _display(param: str, value: Any, _: Element | None) -> Rows:
    return _string(param, value["display"], None) if "display" in value else ()


def _wording(param: str, value: Any, _: Element | None) -> Rows:
    rows = [row for coding in value.get("coding", ()) for row in _display(param, coding, None)]
    return [*_string(param, value["text"], None), *rows] if "text" in value else rows


def _type_wording(param: str, value: Any, _: Element | None) -> Rows:
    return _wording(param, value["type"], None) if "type" in value else ()


LABELS: Final[Mapping[str, Maker]] = {
    "Coding": _display,
    "CodeableConcept": _wording,
    "Identifier": _type_wording,
}
"""By type of value: what ``:text`` reads of it (R4 search, 3.1.1.5.3)."""

# --- the table -----------------------------------------------------------------------------------

_QUANTITIES: dict[str, Maker] = dict.fromkeys(
    ("Quantity", "Age", "Duration", "Distance", "Count"), _quantity
)
_NAME = _parts("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")
_ADDRESS = _parts(*_ADDRESS_PARTS)

PARTS: Final[Mapping[Maker, tuple[str, ...]]] = {_ADDRESS: _ADDRESS_PARTS}
"""Of what makers make the rows: those that a parameter of that part alone makes, too. Not of names:
people are sorted by them, and an order wants its rows in one place."""

MAKERS: Final[Mapping[str, Mapping[str, Maker]]] = {
    "token": {
        "Coding": _coding,
        "CodeableConcept": _concept,
        "Identifier": _identifier,
        "ContactPoint": _contact,
        "code": _code,
        "boolean": _boolean,
        **dict.fromkeys(("id", "string", "uri", "canonical", "oid"), _plain_token),
    },
    "string": {
        **dict.fromkeys(("string", "markdown", "code"), _string),
        "HumanName": _NAME,
        "Address": _ADDRESS,
    },
    "reference": {
        "Reference": _reference,
        "canonical": _canonical,
        "uri": _canonical,
        "Resource": _resource,
    },
    "date": {
        **dict.fromkeys(("date", "dateTime", "instant"), _date),
        "Period": _period,
        "Timing": _timing,
    },
    "number": {
        **dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), _number),
        "Range": _number_range,
    },
    "quantity": {**_QUANTITIES, "Money": _money, "Range": _quantity_range},
    "uri": dict.fromkeys(("uri", "url", "canonical", "oid", "uuid"), _uri),
}
"""By kind of parameter and type of value."""
