"""From a search's parameters to a typed ``Query`` (R4 search, 3.1.1), strictly.

What isn't understood is refused by name with what would be: a search that quietly ignores a
parameter answers another question than the one asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn, cast
from urllib.parse import parse_qsl

from gateway.errors import InvalidSearch
from gateway.fhir.elements import resource_types
from gateway.fhir.expressions import LITERAL
from gateway.fhir.matching import matches
from gateway.fhir.query import (
    Criterion,
    DateValue,
    Modifier,
    NumberValue,
    Prefix,
    QuantityValue,
    Query,
    ReferenceValue,
    Sort,
    StringValue,
    TokenValue,
    UriValue,
    Value,
)
from gateway.fhir.search_parameters import Parameter, parameters, unsupported
from gateway.fhir.search_values import normalise, precision, span

__all__ = ["matches", "parse_criteria", "parse_query"]

DEFAULT_COUNT: Final = 20
MAX_COUNT: Final = 1000
MAX_VALUES: Final = 500
"""How many values all criteria of a search may have together."""

RESULT_PARAMETERS: Final = ("_count", "_sort", "_total", "_cursor")
"""What shapes the answer. ``_cursor`` is the store's own mark in its page links."""

_NOT_YET = ("_contained", "_elements", "_has", "_include", "_list", "_revinclude", "_summary")
_MODIFIERS: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("exact", "contains"),
    "token": ("not",),
}
_PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_MAX_DIGITS = 40


def parse_query(
    type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    lenient: bool = False,
    base_url: str = "",
    now: datetime | None = None,
) -> Query:
    """The search of ``type`` that ``pairs`` (decoded, in order) ask for.

    ``lenient`` (Prefer: handling=lenient) lets unknown parameters fall. ``base_url`` is the
    server's own, so that its absolute references are found as relative ones; ``now`` (aware)
    serves the prefix "ap". Raises InvalidSearch, whose place is the parameter.
    """
    asking = _Asking(type, base_url.rstrip("/"), now or datetime.now(UTC))
    query = Query(type, count=DEFAULT_COUNT)
    criteria: list[Criterion] = []
    kept: list[tuple[str, str]] = []
    for name, text in pairs:
        if name in _RESULT:
            query = _RESULT[name](query, text)
        elif lenient and not _known(type, name):
            continue
        else:
            criteria.append(_criterion(asking, name, text))
        if name != "_cursor":
            kept.append((name, text))
    if sum(len(one.values) for one in criteria) > MAX_VALUES:
        raise InvalidSearch(f"more than {MAX_VALUES} values", code="too-costly")
    return replace(query, criteria=tuple(criteria), pairs=tuple(kept))


def parse_criteria(text: str) -> Query:
    """A Subscription's criteria, "Task?owner=Organization/1", as the search that it is."""
    type_, _, asked = text.partition("?")
    if type_ not in resource_types():
        raise InvalidSearch("criteria must start with a resource type", place="criteria")
    return parse_query(type_, parse_qsl(asked, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class _Asking:
    """What is the same for all parameters of one search."""

    type: str
    base_url: str
    now: datetime


# --- what shapes the answer ----------------------------------------------------------------------


def _count(query: Query, text: str) -> Query:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise InvalidSearch("must be a whole number from 0", place="_count", code="value")
    return replace(query, count=min(int(text), MAX_COUNT))


def _total(query: Query, text: str) -> Query:
    if text not in ("none", "estimate", "accurate"):
        raise InvalidSearch("must be none, estimate or accurate", place="_total", code="value")
    return replace(query, total="none" if text == "none" else "accurate")


def _sort(query: Query, text: str) -> Query:
    found = []
    for name in text.split(","):
        descending, name = name.startswith("-"), name.removeprefix("-")
        parameter = parameters(query.type).get(name)
        if parameter is None:
            _refuse(query.type, name, place="_sort")
        found.append(Sort(name, parameter.kind, descending))
    return replace(query, sort=(*query.sort, *found))


def _cursor(query: Query, text: str) -> Query:
    return replace(query, cursor=text)


_RESULT: Final[Mapping[str, Callable[[Query, str], Query]]] = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    "_cursor": _cursor,
}


# --- criteria ------------------------------------------------------------------------------------


def _known(type: str, name: str) -> bool:
    return name.partition(":")[0].partition(".")[0] in parameters(type)


def _refuse(type: str, name: str, *, place: str | None = None) -> NoReturn:
    """Says why a parameter isn't one, and which are."""
    known = ", ".join(sorted({*parameters(type), *RESULT_PARAMETERS} - {"_cursor"}))
    named = name if re.fullmatch(r"[\w:.\-]{1,64}", name, re.ASCII) else None
    if name in unsupported(type) or name.partition(":")[0] in _NOT_YET:
        text = f"not supported by this server; {type} knows {known}"
    else:
        text = f"not a search parameter of {type}, which knows {known}"
    raise InvalidSearch(text, place=place or named)


def _criterion(asking: _Asking, name: str, text: str) -> Criterion:
    code, _, modifier = name.partition(":")
    parameter = _parameter(asking.type, name)
    if not text:
        raise InvalidSearch("has no value", place=code, code="value")
    if modifier == "missing" and code not in ("_id", "_lastUpdated"):
        return _missing(parameter, text)
    target = modifier if parameter.kind == "reference" and modifier in resource_types() else ""
    modifier = "" if target else modifier
    if name.endswith(":") or modifier not in ("", *_MODIFIERS.get(parameter.kind, ())):
        _refuse_modifier(parameter)
    parse = _VALUES[parameter.kind]
    values = tuple(parse(asking, parameter, one, target) for one in _split(text, ","))
    return Criterion(code, parameter.kind, values, cast(Modifier, modifier))


def _parameter(type: str, name: str) -> Parameter:
    code = name.partition(":")[0].partition(".")[0]
    parameter = parameters(type).get(code)
    if parameter is None:
        _refuse(type, name)
    if "." in name:
        raise InvalidSearch("chained parameters are not supported by this server", place=code)
    return parameter


def _refuse_modifier(parameter: Parameter) -> NoReturn:
    allowed = [":" + name for name in (*_MODIFIERS.get(parameter.kind, ()), "missing")]
    text = f"this modifier is not supported; {parameter.kind} parameters take {', '.join(allowed)}"
    raise InvalidSearch(text, place=parameter.code)


def _missing(parameter: Parameter, text: str) -> Criterion:
    if text not in ("true", "false"):
        raise InvalidSearch(
            "must be true or false", place=f"{parameter.code}:missing", code="value"
        )
    return Criterion(parameter.code, parameter.kind, (), "missing", text == "true")


# --- values --------------------------------------------------------------------------------------


def _split(text: str, mark: str) -> list[str]:
    r"""The parts between unescaped marks, still escaped (\, \| \$ \\)."""
    parts = [""]
    for piece in re.findall(r"\\.|.", text, re.DOTALL):
        if piece == mark:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _wrong(parameter: Parameter, wanted: str) -> InvalidSearch:
    return InvalidSearch(f"must be {wanted}", place=parameter.code, code="value")


def _token(asking: _Asking, parameter: Parameter, text: str, _: str) -> Value:
    if parameter.code == "_id":
        return TokenValue(None, text)
    system, *rest = (_plain(part) for part in _split(text, "|"))
    if not rest:
        return TokenValue(None, system)
    code = "|".join(rest)
    if not system and not code:
        raise _wrong(parameter, "code, system|code, |code or system|")
    return TokenValue(system, code or None)


def _string(asking: _Asking, parameter: Parameter, text: str, _: str) -> Value:
    return StringValue(normalise(_plain(text)), _plain(text))


def _uri(asking: _Asking, parameter: Parameter, text: str, _: str) -> Value:
    return UriValue(_plain(text))


def _reference(asking: _Asking, parameter: Parameter, text: str, type_: str) -> Value:
    plain = _plain(text)
    own = asking.base_url + "/"
    if len(own) > 1 and plain.startswith(own):
        plain = plain.removeprefix(own)
    match = LITERAL.fullmatch(plain)
    if match and not match["base"]:
        if match["type"] not in resource_types() or type_ not in ("", match["type"]):
            raise _wrong(parameter, "a reference to a resource type that there is")
        return ReferenceValue(match["type"], match["id"], "")
    if ":" in plain:
        return ReferenceValue("", "", plain.partition("/_history/")[0])
    if not _ID.fullmatch(plain):
        raise _wrong(parameter, "Type/id, id or a URL")
    one_target = parameter.targets[0] if len(parameter.targets) == 1 else ""
    return ReferenceValue(type_ or one_target, plain, "")


def _prefixed(text: str) -> tuple[Prefix, str]:
    if text[:2] in _PREFIXES:
        return cast(Prefix, text[:2]), text[2:]
    return "eq", text


def _date(asking: _Asking, parameter: Parameter, text: str, _: str) -> Value:
    prefix, rest = _prefixed(text)
    found = span(rest.replace(" ", "+"))  # a "+" that somebody forgot to encode
    if found is None:
        raise _wrong(parameter, "a date or time, as 2024-03-01 or 2024-03-01T10:00:00Z")
    low, high = found
    if prefix == "ap":
        wide = abs(int(asking.now.timestamp() * 1_000_000) - low) // 10
        low, high = low - wide, high + wide
    return DateValue(prefix, low, high)


def _number(asking: _Asking, parameter: Parameter, text: str, _: str) -> Value:
    return NumberValue(*_meant(parameter, text))


def _meant(parameter: Parameter, text: str) -> tuple[Prefix, float, float, float]:
    """The prefix, the number and what it may mean by its digits (for "ap": 10 % around it)."""
    prefix, rest = _prefixed(text)
    try:
        number = Decimal(rest) if len(rest) <= _MAX_DIGITS else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > 300:
        raise _wrong(parameter, "a number")
    wide = abs(number) / 10 if prefix == "ap" else precision(number)
    return prefix, float(number), float(number - wide), float(number + wide)


def _quantity(asking: _Asking, parameter: Parameter, text: str, _: str) -> Value:
    parts = [_plain(part) for part in _split(text, "|")]
    if len(parts) not in (1, 3):
        raise _wrong(parameter, "a number, or number|system|code")
    meant = _meant(parameter, parts[0])
    system, code = (parts[1] or None, parts[2] or None) if len(parts) == 3 else (None, None)
    return QuantityValue(*meant, system, code)


_VALUES: Final[Mapping[str, Callable[[_Asking, Parameter, str, str], Value]]] = {
    "token": _token,
    "string": _string,
    "reference": _reference,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
}
