"""FHIR's search as a use case: who may ask, what must be made first, what is shown.

Scopes bound the types that are looked for, tested on the way and brought along; the hub's
predicate bounds the resources of each; a Patient that isn't the caller's own is shown as the least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.errors import NotFound
from gateway.exchange.trail import Trail
from gateway.fhir import custom_parameters
from gateway.fhir.query import Late, Query
from gateway.fhir.search import awaited, parse_query, tested_types
from gateway.fhir.search_parameters import Parameter
from gateway.model import HUB, Context
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Page, Reader

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked: ``pairs`` of ``type`` ("": of all types).

    ``base`` is this server's address as the caller knows it ("" if unknown); ``within`` the
    compartment (type, id) to stay in; ``lenient`` lets fall what isn't understood.
    """

    type: str
    pairs: Pairs
    lenient: bool = False
    base: str = ""
    within: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A page, and the parameters that it answers (those that weren't understood left out)."""

    page: Page
    pairs: Pairs


class Searching:
    """Searches of a type, of the system and of a compartment."""

    def __init__(self, hub: Hub, trail: Trail) -> None:
        self._hub = hub
        self._trail = trail

    def __call__(self, context: Context, asked: Search) -> Found:
        """A page of what the caller may see.

        Raises Denied, InvalidSearch, Unavailable, and NotFound where the caller doesn't see whose
        compartment it is.
        """
        with self._hub.read() as reader:
            query = understood(reader, context, asked)
            waits = awaited(query)
            page = None if waits else answered(reader, context, query)
        if page is None:
            page = self._late(context, query, waits)
        self._trail.note(context, "search", (*page.entries, *page.included))
        return Found(page, query.pairs)

    def _late(self, context: Context, query: Query, waits: Sequence[Late]) -> Page:
        """Make what isn't made yet, and look again."""
        for late in waits:
            self._hub.catch_up(late)
        with self._hub.read() as reader:
            return answered(reader, context, query)

    def reindex(self) -> int:
        """Make all search rows again, and those of custom parameters now. How many resources."""
        count = self._hub.reindex()
        with self._hub.read() as reader:
            found = _active(reader, Context(HUB, "reindex", admin=True), "")
        for one in found:
            if one.late:
                self._hub.catch_up(one.late, most=2**62)
        return count


def understood(reader: Reader, context: Context, asked: Search) -> Query:
    """The query that is asked, by who may ask it. Raises Denied, NotFound, InvalidSearch."""

    def allows(type: str) -> bool:
        return scopes.allows(context.scopes, type, "s")

    if asked.type:
        scopes.require(context, asked.type, "s")
    if asked.within is not None and not reader.visible(context, "/".join(asked.within)):
        raise NotFound("no such resource", place=asked.within[0])
    query = parse_query(
        asked.type,
        asked.pairs,
        lenient=asked.lenient,
        base_url=asked.base,
        within=asked.within,
        custom=_custom(reader, context),
        allows=allows,
    )
    for one in (*query.looks_for, *sorted(tested_types(query))):
        scopes.require(context, one, "s")
    return query


def answered(reader: Reader, context: Context, query: Query) -> Page:
    """A page as the caller may see it. Raises InvalidSearch for another's cursor."""
    page = reader.search(context, query)
    brought = (
        one
        for one in page.included
        if scopes.allows(context.scopes, one.type, "r")
        or scopes.allows(context.scopes, one.type, "s")
    )
    return replace(
        page,
        entries=tuple(shown(context, each) for each in page.entries),
        included=tuple(shown(context, each) for each in brought),
    )


def _custom(reader: Reader, context: Context) -> Callable[[str], Mapping[str, Parameter]]:
    """The parameters that the caller has beside the official ones, looked up when asked for."""

    def of(type: str) -> Mapping[str, Parameter]:
        return {one.code: one for one in reversed(_active(reader, context, type))}

    return of


def _active(reader: Reader, context: Context, type: str) -> list[Parameter]:
    """What the SearchParameters define that the caller sees, the oldest first; "" of all types."""
    asked = [("status", "active"), ("_count", "1000"), ("_total", "none")]
    query = parse_query("SearchParameter", [*asked, ("base", type)] if type else asked)
    return [
        one
        for entry in reader.search(context, query).entries
        for base, one in custom_parameters.from_json(entry.body).items()
        if type in ("", base)
    ]
