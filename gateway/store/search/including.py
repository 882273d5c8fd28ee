"""What a page brings with it: ``_include`` and ``_revinclude`` (R4 search, 3.1.1.5.4, 3.1.1.5.5).

From the rows of what is on the page to what they point to, and back from its ids to what points
there; each only as far as the caller sees it. ``:iterate`` goes on from what was included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from gateway.errors import InvalidSearch
from gateway.fhir.elements import resource_types
from gateway.fhir.expressions import LITERAL
from gateway.fhir.query import Include, Query
from gateway.fhir.search_parameters import APART, filed, parameters
from gateway.store import tables
from gateway.store.grants import owned, visible
from gateway.store.link import Row
from gateway.store.resources import CURRENT, STORED
from gateway.store.search.index import equal_text, param_key, param_keys
from gateway.store.tables import resource

MOST: Final = 2000
"""How many resources a page may bring along."""

_AT_ONCE: Final = 200
_SEEN: Final = sa.and_(CURRENT, sa.not_(resource.c.deleted), visible())
_ENTRY: Final = sa.select(resource.c.key, *STORED)

Select = Callable[[sa.Select[Any]], Sequence[Row]]
"""Runs a statement over what the caller sees."""


class Entry(NamedTuple):
    """A resource on the page: its key and the columns of a Stored."""

    key: int
    row: Row

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.row[0])

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.row[1])


def included(select: Select, query: Query, page: Sequence[Entry]) -> list[Row]:
    """What the page brings, each once and none that is on it. Raises InvalidSearch for too many."""
    known = {entry.key for entry in page}
    out: list[Entry] = []
    fresh, first = list(page), True
    while fresh:
        found: dict[int, Entry] = {}
        for one in query.includes:
            if first or one.again:
                find = _pointing if one.reverse else _pointed
                found.update({entry.key: entry for entry in find(select, one, fresh, query.base)})
        fresh, first = [each for key, each in found.items() if key not in known], False
        known.update(entry.key for entry in fresh)
        out += fresh
        if len(out) > MOST:
            raise InvalidSearch(
                f"a page brings more than {MOST} with it: ask for a smaller _count",
                place="_include",
                code="too-costly",
            )
    return [entry.row for entry in out]


def _pointed(select: Select, include: Include, page: Iterable[Entry], base: str) -> Iterable[Entry]:
    """What resources on the page refer to, by its id or its canonical URL."""
    rows = tables.reference
    sources = [entry for entry in page if include.type in ("*", entry.type)]
    stated: dict[int, set[tuple[str, str]]] = {}
    for some in _parts([entry.key for entry in sources]):
        statement = sa.select(rows.c.resource, rows.c.type, rows.c.target).where(
            rows.c.resource == resource.c.key,
            resource.c.key.in_(some),
            _readable(rows, {entry.type for entry in sources}, include.param),
        )
        for key, type, target in select(statement):
            stated.setdefault(key, set()).add((type, target))
    wanted = {found for each in stated.values() for row in each if (found := _named(*row, base))}
    by_type: dict[str, list[str]] = {}
    for type, id in sorted(wanted):
        if include.target in ("", type):
            by_type.setdefault(type, []).append(id)
    for type, ids in by_type.items():
        for part in _parts(ids):
            found_here = _ENTRY.where(_SEEN, resource.c.type == type, resource.c.id.in_(part))
            yield from _entries(select(found_here))
    urls = {url for each in stated.values() for url in _canonical(each, base)}
    for url in sorted(urls):
        yield from _entries(
            select(_ENTRY.where(_SEEN, _is_called(url, include.target)).limit(MOST))
        )


def _canonical(row: Iterable[tuple[str, str]], base: str) -> set[str]:
    """The canonical URLs that a resource names; what has a version stands there without it, too."""
    urls = {target for type, target in row if not type and not _named(type, target, base)}
    return urls - {url.partition("|")[0] for url in urls if "|" in url}


@cache
def _canonicals() -> list[str]:
    """The types whose resources have one. A Subscription's ``url`` is its endpoint."""
    having = (type for type in sorted(resource_types()) if "url" in parameters(type))
    return [type for type in having if f"{type}.url" in parameters(type)["url"].expression]


def _is_called(url: str, target: str) -> sa.ColumnElement[bool]:
    """Whether a resource, of type ``target`` unless that is "", has a canonical URL (R4 2.26)."""
    types = [type for type in ([target] if target else _canonicals()) if type in _canonicals()]
    name, bar, number = url.partition("|")
    uri, token = tables.uri, tables.token
    of = (
        uri.c.param.in_([key for type in types for key in param_keys(type, "url")]),
        uri.c.value == equal_text(name),
    )
    named = resource.c.key.in_(sa.select(uri.c.resource).where(*of))
    if not bar:
        return named
    versions = [key for type in types for key in param_keys(type, "version")]
    same = (
        token.c.param.in_(versions),
        token.c.code == equal_text(number),
        token.c.resource == resource.c.key,
    )
    one: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(token).where(*same)
    return sa.and_(named, one.correlate(resource).exists())


def _named(type: str, target: str, base: str) -> tuple[str, str] | None:
    """Type and id of what a reference's row points to, where it is here."""
    if type:
        return type, target
    if base and target.startswith(base + "/"):
        match = LITERAL.fullmatch(target.removeprefix(base + "/"))
        return (match["type"], match["id"]) if match else None
    return None


def _pointing(
    select: Select, include: Include, page: Iterable[Entry], base: str
) -> Iterable[Entry]:
    """What refers to resources on the page."""
    rows = tables.reference
    types = resource_types() if include.type == "*" else (include.type,)
    by_type: dict[str, list[str]] = {}
    for entry in page:
        if include.target in ("", entry.type):
            by_type.setdefault(entry.type, []).append(entry.id)
    for type, ids in by_type.items():
        for part in _parts(ids):
            at = _at(rows, type, part, base)
            found = select(_ENTRY.where(_SEEN, _stating(at, types, include.param)).limit(MOST + 1))
            yield from _entries(found)


def _stating(
    at: sa.ColumnElement[bool], types: Iterable[str], param: str
) -> sa.ColumnElement[bool]:
    """Whether a resource is one with such a row of the parameter, and shows it to the caller.

    By its key: joined to the rows, SQLite would rather look through all resources of the type.
    """
    rows = tables.reference
    open_, apart = (
        resource.c.key.in_(sa.select(rows.c.resource).where(rows.c.param.in_(keys), at))
        for keys in _params(types, param)
    )
    return sa.or_(open_, sa.and_(owned(), apart)) if "Patient" in types else open_


def _at(rows: sa.Table, type: str, ids: Sequence[str], base: str) -> sa.ColumnElement[bool]:
    if not base:
        return sa.and_(rows.c.target.in_(ids), rows.c.type == type)
    urls = [equal_text(f"{base}/{type}/{id}") for id in ids]
    return sa.and_(rows.c.target.in_([*ids, *urls]), rows.c.type.in_([type, ""]))


def _readable(rows: sa.Table, types: set[str], param: str) -> sa.ColumnElement[bool]:
    """Whether a row is of the parameter, of a resource that shows it to the caller."""
    open_, apart = _params(types, param)
    return sa.or_(
        rows.c.param.in_(open_), sa.and_(rows.c.param.in_(apart), owned()) if apart else sa.false()
    )


def _params(types: Iterable[str], param: str) -> tuple[list[int], list[int]]:
    """The keys of a parameter of types: of what all see, and of what an owner alone does."""
    named = sorted(
        {
            (type, name)
            for type in types
            for code in _references(type, param)
            for name in filed(type, code)
        }
    )
    apart = [param_key(type, APART + code) for type, code in named if type == "Patient"]
    return [param_key(type, code) for type, code in named], apart


def _references(type: str, param: str) -> list[str]:
    offered = parameters(type)
    if param != "*":
        return [param] if param in offered and offered[param].kind == "reference" else []
    return [code for code, one in offered.items() if one.kind == "reference"]


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _entries(found: Iterable[Row]) -> Iterable[Entry]:
    return (Entry(row[0], row[1:]) for row in found)
