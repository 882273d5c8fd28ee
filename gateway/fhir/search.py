"""From a search's parameters to a typed ``Query`` (R4 search, 3.1.1), strictly.

What isn't understood is refused by name with what would be: a search that quietly ignores a
parameter answers another question than the one asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, cast
from urllib.parse import parse_qsl

from gateway.errors import InvalidSearch
from gateway.fhir.compartments import compartment
from gateway.fhir.criteria import Asking, Custom, condition, known, lates, refuse, tested
from gateway.fhir.elements import resource_types
from gateway.fhir.matching import matches
from gateway.fhir.query import (
    Compartment,
    Condition,
    Include,
    Kind,
    Late,
    Query,
    Sort,
)
from gateway.fhir.search_parameters import parameters

__all__ = ["matches", "parse_criteria", "parse_query"]

DEFAULT_COUNT: Final = 20
MAX_COUNT: Final = 1000
MAX_VALUES: Final = 500
"""How many values all criteria of a search may have together."""


def parse_query(
    type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    lenient: bool = False,
    base_url: str = "",
    now: datetime | None = None,
    within: tuple[str, str] | None = None,
    custom: Custom | None = None,
    allows: Callable[[str], bool] | None = None,
) -> Query:
    """The search of ``type`` ("": of all, or those of ``_type``) that ``pairs`` ask for.

    ``pairs`` are decoded and in order. ``lenient`` (Prefer: handling=lenient) lets unknown
    parameters fall, and those of ``_sort`` that give no order. ``base_url`` is the server's own, so
    that its absolute references are found as relative ones; ``now`` (aware) serves the prefix "ap".
    ``within`` is the compartment (type, id) to stay in. ``custom`` gives a type's parameters beside
    the official ones; ``allows`` says which types the caller may search, where it names none.
    Raises InvalidSearch, whose place is the parameter.
    """
    types, asked = _types(type, pairs, within, allows)
    asking = Asking(
        types,
        base_url.rstrip("/"),
        now or datetime.now(UTC),
        custom or (lambda _: {}),
        allows or (lambda _: True),
    )
    query = Query(type, count=DEFAULT_COUNT, types=types, base=asking.base)
    criteria: list[Condition] = []
    values = 0
    kept: list[tuple[str, str]] = [pair for pair in pairs if pair[0] == "_type" and not type]
    for name, text in asked:
        if lenient and name == "_sort":
            text = _orderly(asking, text)
            if not text:
                continue
        if name.partition(":")[0] in _RESULT:
            query = _RESULT[name.partition(":")[0]](asking, query, name, text)
        elif lenient and not known(asking, name):
            continue
        else:
            criteria.append(condition(asking, name, text))
            values += text.count(",") + 1
        if name != "_cursor":
            kept.append((name, text))
    if values > MAX_VALUES:
        raise InvalidSearch(f"more than {MAX_VALUES} values", code="too-costly")
    if within is not None:
        criteria.append(_within(asking, within))
    return replace(query, criteria=tuple(criteria), pairs=tuple(kept))


def parse_criteria(text: str) -> Query:
    """A Subscription's criteria, "Task?owner=Organization/1", as the search that it is.

    Raises InvalidSearch.
    """
    type_, _, asked = text.partition("?")
    if type_ not in resource_types():
        raise InvalidSearch("criteria must start with a resource type", place="criteria")
    query = parse_query(type_, parse_qsl(asked, keep_blank_values=True))
    if query.includes or query.sort:
        raise InvalidSearch("criteria choose: they don't sort or include", place="criteria")
    return query


def awaited(query: Query) -> list[Late]:
    """What must be made of resources before the search can be answered, each once."""
    sorts = [sort.late for sort in query.sort if sort.late]
    return list({late.name: late for late in (*lates(query.criteria), *sorts)}.values())


def tested_types(query: Query) -> set[str]:
    """The types beside its own that a search asks something of, on the way or at the end."""
    return set().union(*(tested(one) for one in query.criteria))


# --- what is searched ----------------------------------------------------------------------------


def _types(
    type: str,
    pairs: Sequence[tuple[str, str]],
    within: tuple[str, str] | None,
    allows: Callable[[str], bool] | None,
) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """The types that are searched, and the parameters that are left."""
    if type:
        _check_member(type, within)
        return (type,), list(pairs)
    there = set(resource_types())
    if within is not None:
        there = {*compartment(within[0]), within[0]}
    if allows is not None:
        there = {each for each in there if allows(each)}
    named: set[str] | None = None
    for name, text in pairs:
        if name == "_type":
            wanted = set(text.split(","))
            if not wanted <= set(resource_types()):
                raise InvalidSearch("must be resource types", place="_type", code="value")
            named = wanted if named is None else named & wanted
    found = tuple(sorted(there if named is None else named))
    if not found:
        raise InvalidSearch("no type is left to search", place="_type", code="value")
    return found, [pair for pair in pairs if pair[0] != "_type"]


def _check_member(type: str, within: tuple[str, str] | None) -> None:
    if within is not None and type != within[0] and type not in compartment(within[0]):
        raise InvalidSearch(f"a {within[0]}'s compartment holds no {type}", place=type)


def _within(asking: Asking, within: tuple[str, str]) -> Compartment:
    type, id = within
    found = compartment(type)
    params = tuple((one, code) for one in asking.types for code in found.get(one, ()))
    url = f"{asking.base}/{type}/{id}" if asking.base else ""
    return Compartment(type, id, params, type in asking.types, url)


# --- what shapes the answer ----------------------------------------------------------------------


def _count(asking: Asking, query: Query, name: str, text: str) -> Query:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise InvalidSearch("must be a whole number from 0", place="_count", code="value")
    return replace(query, count=0 if query.count == 0 else min(int(text), MAX_COUNT))


def _total(asking: Asking, query: Query, name: str, text: str) -> Query:
    if text not in ("none", "estimate", "accurate"):
        raise InvalidSearch("must be none, estimate or accurate", place="_total", code="value")
    return replace(query, total="none" if text == "none" else "accurate")


def _total_method(asking: Asking, query: Query, name: str, text: str) -> Query:
    """Aidbox's name for ``_total``, which fhirpy's ``count()`` sends."""
    return _total(asking, query, name, "accurate" if text == "count" else text)


def _summary(asking: Asking, query: Query, name: str, text: str) -> Query:
    if text not in ("true", "text", "data", "count", "false"):
        raise InvalidSearch(
            "must be true, text, data, count or false", place="_summary", code="value"
        )
    return replace(query, count=0) if text == "count" else query


def _contained(asking: Asking, query: Query, name: str, text: str) -> Query:
    """R4 search, 3.1.1.5.10. What a resource contains has no rows of its own to be found by."""
    if text not in ("false", "true", "both"):
        raise InvalidSearch("must be false, true or both", place="_contained", code="value")
    if text != "false":
        raise InvalidSearch(
            "contained resources aren't searched apart: only _contained=false", place="_contained"
        )
    return query


def _contained_type(asking: Asking, query: Query, name: str, text: str) -> Query:
    """It says nothing where no contained resources are found."""
    if text not in ("container", "contained"):
        raise InvalidSearch("must be container or contained", place="_containedType", code="value")
    return query


_UNORDERED: Final = ("composite", "words", "sounds", "near")


def _orderly(asking: Asking, text: str) -> str:
    """What of ``_sort`` there is to sort by."""
    found = ((code, asking.find(code.removeprefix("-"))) for code in text.split(","))
    return ",".join(code for code, one in found if one and one.kind not in _UNORDERED)


def _sort(asking: Asking, query: Query, name: str, text: str) -> Query:
    found = []
    for code in text.split(","):
        descending, code = code.startswith("-"), code.removeprefix("-")
        one = asking.find(code)
        if one is None:
            refuse(asking, code, place="_sort")
        if one.kind in _UNORDERED:
            raise InvalidSearch(f"a {one.type} parameter gives no order", place="_sort")
        found.append(Sort(one.rows, cast(Kind, one.kind), descending, one.late))
    return replace(query, sort=(*query.sort, *found))


def _include(asking: Asking, query: Query, name: str, text: str) -> Query:
    what, _, modifier = name.partition(":")
    if modifier not in ("", "iterate"):
        raise InvalidSearch("only :iterate is known", place=what)
    type, _, rest = text.partition(":")
    param, _, target = rest.partition(":")
    reverse = what == "_revinclude"
    if text == "*":
        type, param = "*", "*"
    elif not _refers(type, param) or (target and target not in resource_types()):
        raise InvalidSearch(
            "must be Type:parameter, Type:parameter:Target, Type:* or *, and the parameter a "
            "reference",
            place=what,
            code="value",
        )
    one = Include(type, param, target, modifier == "iterate", reverse)
    return replace(query, includes=(*query.includes, one))


def _refers(type: str, param: str) -> bool:
    if type not in resource_types():
        return False
    one = parameters(type).get(param)
    return param == "*" or (one is not None and one.kind == "reference")


def _cursor(asking: Asking, query: Query, name: str, text: str) -> Query:
    return replace(query, cursor=text)


def _let_through(asking: Asking, query: Query, name: str, text: str) -> Query:
    return query


_RESULT: Final[Mapping[str, Callable[[Asking, Query, str, str], Query]]] = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    "_totalMethod": _total_method,
    "_cursor": _cursor,
    "_include": _include,
    "_revinclude": _include,
    "_summary": _summary,
    "_contained": _contained,
    "_containedType": _contained_type,
    "_elements": _let_through,
    "_format": _let_through,
    "_pretty": _let_through,
}
