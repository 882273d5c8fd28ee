"""From the text of a search's value to what it asks of a row, by the kind of its parameter.

R4 search, 3.1.1.4 and 3.1.1.5. What is no value of the kind is ``InvalidSearch``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final, cast

from gateway.errors import InvalidSearch
from gateway.fhir.elements import resource_types
from gateway.fhir.expressions import LITERAL
from gateway.fhir.query import (
    DateValue,
    Kind,
    NumberValue,
    Prefix,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
    Value,
)
from gateway.fhir.search_values import normalise, precision, span

_PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_SIGNS: Final[Mapping[str, Prefix]] = {"<=": "le", ">=": "ge", "<": "lt", ">": "gt"}
"""What prefixes were before R4; fhirclient's ``$gt`` still writes them. The longer ones first."""
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_MAX_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its parameter, the types that a reference may have, the server's own
    address ("" if unknown) and the time; ``type`` is the one that the search names (:Patient)."""

    param: str
    targets: tuple[str, ...]
    base: str
    now: datetime
    type: str = ""


def split(text: str, mark: str) -> list[str]:
    r"""The parts between unescaped marks, still escaped (\, \| \$ \\)."""
    if "\\" not in text:
        return text.split(mark)
    parts = [""]
    for piece in re.findall(r"\\.|.", text, re.DOTALL):
        if piece == mark:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def plain(text: str) -> str:
    """Without escapes."""
    return re.sub(r"\\(.)", r"\1", text)


def wrong(param: str, wanted: str) -> InvalidSearch:
    """What to raise for a value that isn't ``wanted``."""
    return InvalidSearch(f"must be {wanted}", place=param, code="value")


def _token(place: Place, text: str) -> Value:
    if place.param == "_id":
        return TokenValue(None, text)
    system, *rest = (plain(part) for part in split(text, "|"))
    if not rest:
        return TokenValue(None, system)
    code = "|".join(rest)
    if not system and not code:
        raise wrong(place.param, "code, system|code, |code or system|")
    return TokenValue(system, code or None)


def exact(text: str) -> StringValue:
    """A string as it stands, for ``:exact``."""
    return StringValue(normalise(plain(text)), plain(text))


def _string(place: Place, text: str) -> Value:
    value = exact(text)
    if not value.value:  # every text begins with nothing: "-" would find everybody
        raise wrong(place.param, "letters or digits, or with :exact a whole text")
    return value


def _uri(place: Place, text: str) -> Value:
    return UriValue(plain(text))


def _reference(place: Place, text: str) -> Value:
    asked = plain(text)
    own = place.base + "/"
    if place.base and asked.startswith(own):
        asked = asked.removeprefix(own)
    match = LITERAL.fullmatch(asked)
    if match and not match["base"]:
        type_, id_ = match["type"], match["id"]
        if type_ not in resource_types() or place.type not in ("", type_):
            raise wrong(place.param, "a reference to a resource type that there is")
        return ReferenceValue(type_, id_, _at_home(place, type_, id_))
    if ":" in asked:
        return ReferenceValue("", "", asked.partition("/_history/")[0])
    if not _ID.fullmatch(asked):
        raise wrong(place.param, "Type/id, id or a URL")
    only = place.type or (place.targets[0] if len(place.targets) == 1 else "")
    return ReferenceValue(only, asked, _at_home(place, only, asked) if only else "")


def _at_home(place: Place, type: str, id: str) -> str:
    return f"{place.base}/{type}/{id}" if place.base else ""


def _prefixed(text: str) -> tuple[Prefix, str]:
    if text[:2] in _PREFIXES:
        return cast(Prefix, text[:2]), text[2:]
    for sign, prefix in _SIGNS.items():
        if text.startswith(sign):
            return prefix, text.removeprefix(sign)
    return "eq", text


def _date(place: Place, text: str) -> Value:
    prefix, rest = _prefixed(text)
    found = span(rest.replace(" ", "+"))  # a "+" that somebody forgot to encode
    if found is None:
        raise wrong(place.param, "a date or time, as 2024-03-01 or 2024-03-01T10:00:00Z")
    low, high = found
    if prefix == "ap":
        wide = abs(int(place.now.timestamp() * 1_000_000) - low) // 10
        low, high = low - wide, high + wide
    return DateValue(prefix, low, high)


def _number(place: Place, text: str) -> Value:
    return NumberValue(*_meant(place.param, text))


def _meant(param: str, text: str) -> tuple[Prefix, float, float, float]:
    """The prefix, the number and what it may mean by its digits (for "ap": 10 % around it)."""
    prefix, rest = _prefixed(text)
    try:
        number = Decimal(rest) if len(rest) <= _MAX_DIGITS else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > 300:
        raise wrong(param, "a number")
    wide = abs(number) / 10 if prefix == "ap" else precision(number)
    # More digits than a float has mean that float alone; the end isn't part of what is meant.
    high = max(float(number + wide), math.nextafter(float(number), math.inf))
    return prefix, float(number), float(number - wide), high


def _quantity(place: Place, text: str) -> Value:
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) not in (1, 3):
        raise wrong(place.param, "a number, or number|system|code")
    meant = _meant(place.param, parts[0])
    system, code = (parts[1] or None, parts[2] or None) if len(parts) == 3 else (None, None)
    return QuantityValue(*meant, system, code)


OPERANDS: Final[Mapping[Kind, Callable[[Place, str], Value]]] = {
    "token": _token,
    "string": _string,
    "reference": _reference,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
}
