"""The modifiers of a search parameter (R4 search, 3.1.1.5.1), one function each, by its kind.

``:missing`` and ``:Type`` stand in ``criteria``: they aren't about values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast
from urllib.parse import urlsplit

from gateway.errors import InvalidSearch
from gateway.fhir.indexing import typed
from gateway.fhir.operands import OPERANDS, Place, exact, plain, split, wrong
from gateway.fhir.query import Criterion, Kind, Modifier, TokenValue, UriValue, Value
from gateway.fhir.search_parameters import Parameter, labels
from gateway.fhir.terminology import code_system, members, subsumes

Modify = Callable[[tuple[str, ...], Parameter, Place, list[str]], Criterion]
"""(types, parameter, place, the texts between commas) to what is asked of which rows."""

MAX_MEMBERS: Final = 5000


def _kept(modifier: Modifier) -> Modify:
    def modify(
        types: tuple[str, ...], parameter: Parameter, place: Place, parts: list[str]
    ) -> Criterion:
        kind = cast(Kind, parameter.kind)
        values = tuple(OPERANDS[kind](place, part) for part in parts)
        return Criterion(parameter.rows, kind, values, modifier, late=parameter.late)

    return modify


def _exact(types: tuple[str, ...], one: Parameter, place: Place, parts: list[str]) -> Criterion:
    values = tuple(exact(part) for part in parts)
    return Criterion(one.rows, "string", values, "exact", late=one.late)


def _text(types: tuple[str, ...], one: Parameter, place: Place, parts: list[str]) -> Criterion:
    if len(types) > 1 or one.late:
        raise InvalidSearch("this modifier is for one type's own parameters", place=one.code)
    values = tuple(OPERANDS["string"](place, part) for part in parts)
    return Criterion(f"{one.code}:text", "string", values, late=labels(types[0]))


def _of_type(types: tuple[str, ...], one: Parameter, place: Place, parts: list[str]) -> Criterion:
    values: list[Value] = []
    for part in parts:
        pieces = [plain(piece) for piece in split(part, "|")]
        if len(pieces) != 3 or not all(pieces):
            raise wrong(one.code, "system|code|value")
        values.append(TokenValue(typed(pieces[0], pieces[1]), pieces[2]))
    return Criterion(f"{one.rows}:of-type", "token", tuple(values), late=one.late)


def _identifier(
    types: tuple[str, ...], one: Parameter, place: Place, parts: list[str]
) -> Criterion:
    values = tuple(OPERANDS["token"](place, part) for part in parts)
    return Criterion(f"{one.rows}:identifier", "token", values, late=one.late)


# --- by terminology ------------------------------------------------------------------------------


def _in(modifier: Modifier) -> Modify:
    def modify(
        types: tuple[str, ...], parameter: Parameter, place: Place, parts: list[str]
    ) -> Criterion:
        values: set[tuple[str, str]] = set()
        for part in parts:
            found = members(plain(part))
            if found is None:
                raise InvalidSearch("this value set isn't known here", place=place.param)
            values |= found
        return _tokens(parameter, values, modifier)

    return modify


def _tokens(parameter: Parameter, values: set[tuple[str, str]], modifier: Modifier) -> Criterion:
    if len(values) > MAX_MEMBERS:
        raise InvalidSearch("too many codes", place=parameter.code, code="too-costly")
    tokens = tuple(TokenValue(system, code) for system, code in sorted(values))
    return Criterion(parameter.rows, "token", tokens, modifier, late=parameter.late)


def _above(types: tuple[str, ...], one: Parameter, place: Place, parts: list[str]) -> Criterion:
    return _by_hierarchy(one, place, parts, lambda code, other: (other, code))


def _below(types: tuple[str, ...], one: Parameter, place: Place, parts: list[str]) -> Criterion:
    return _by_hierarchy(one, place, parts, lambda code, other: (code, other))


def _by_hierarchy(
    one: Parameter,
    place: Place,
    parts: list[str],
    order: Callable[[str, str], tuple[str, str]],
) -> Criterion:
    """The codes above or below: of ``order`` the first subsumes the second."""
    values: set[tuple[str, str]] = set()
    for part in parts:
        value = OPERANDS["token"](place, part)
        assert isinstance(value, TokenValue)
        system = code_system(value.system or "")
        if system is None or value.code is None:
            raise InvalidSearch(
                "system|code of a code system whose hierarchy is known here is needed",
                place=place.param,
            )
        for other in {*system.concepts, value.code}:
            if subsumes(system, *order(value.code, other)):
                values.add((system.url, other))
    return _tokens(one, values, "")


# --- by path -------------------------------------------------------------------------------------


def _uri_below(types: tuple[str, ...], one: Parameter, place: Place, parts: list[str]) -> Criterion:
    values = tuple(UriValue(_url(place, part)) for part in parts)
    return Criterion(one.rows, "uri", values, "below", late=one.late)


def _uri_above(types: tuple[str, ...], one: Parameter, place: Place, parts: list[str]) -> Criterion:
    found = {above for part in parts for above in _all_above(_url(place, part))}
    values = tuple(UriValue(url) for url in sorted(found))
    return Criterion(one.rows, "uri", values, late=one.late)


def _url(place: Place, part: str) -> str:
    """Only URLs have a hierarchy: a URN has none."""
    url = plain(part)
    if not urlsplit(url).netloc:
        raise wrong(place.param, "a URL with this modifier")
    return url


def _all_above(url: str) -> list[str]:
    """The URL and each that its path leads through, with a slash at the end and without."""
    found = [url]
    root = len(urlsplit(url).scheme) + len("://")
    while (at := url.rstrip("/").rfind("/")) >= root:
        url = url[:at]
        found += [url + "/", url]
    return found


MODIFIERS: Final[Mapping[str, Mapping[str, Modify]]] = {
    "string": {"exact": _exact, "contains": _kept("contains")},
    "token": {
        "not": _kept("not"),
        "text": _text,
        "in": _in(""),
        "not-in": _in("not"),
        "above": _above,
        "below": _below,
        "of-type": _of_type,
    },
    "reference": {"identifier": _identifier},
    "uri": {"above": _uri_above, "below": _uri_below},
}
