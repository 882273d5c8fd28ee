"""Terminology: lookup, subsumes, validate-code, expand, translate (R4, 4.6).

Of what the gateway itself uses: the code systems and value sets of ``fhir.terminology``, and as
concept maps the tables that messages are translated by, the caller's own before the standard ones.
And of the CodeSystems, ValueSets and ConceptMaps that the caller sees here. What isn't known is an
error that says so, and never "no such code".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from gateway.close.vocabulary import vocabularies
from gateway.errors import NotFound
from gateway.fhir import json, stored_terms, terminology
from gateway.fhir.codes import TABLE_MAP
from gateway.fhir.search import parse_query
from gateway.fhir.terminology import CodeSystem, Concept, ValueSet, subsumes
from gateway.members import Members
from gateway.model import Context, Resource
from gateway.protect import scopes
from gateway.store import Hub, Reader

LARGEST: Final = 1000
"""The most concepts of one page of an expansion."""


DEEPEST: Final = 8
"""How many value sets may draw on each other in a row."""

_Known = TypeVar("_Known", CodeSystem, ValueSet)
Relation = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]


@dataclass(frozen=True, slots=True)
class Source:
    """What is asked about: the resource itself, the one of that id here, or the one of a URL."""

    url: str = ""
    id: str = ""
    resource: Resource | None = None


@dataclass(frozen=True, slots=True)
class Expansion:
    """A page of a value set: ``total`` of all pages."""

    of: ValueSet
    concepts: tuple[Concept, ...]
    total: int
    offset: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a code is valid, why not (""), and its right display ("" where there is none)."""

    valid: bool
    why: str
    display: str


@dataclass(frozen=True, slots=True)
class Translated:
    """What a code became: a concept, the map that says so, and how near it comes (R4
    concept-map-equivalence). ``code`` "" maps to nothing."""

    concept: Concept
    source: str
    equivalence: str = "equivalent"


class Terms:
    """Answers about codes, as far as the caller sees what they stand in."""

    def __init__(self, members: Members, hub: Hub) -> None:
        self._members = members
        self._hub = hub

    def lookup(self, context: Context, url: str, code: str) -> tuple[CodeSystem, Concept]:
        """A concept and its system. Raises Denied, NotFound."""
        with self._hub.read() as reader:
            system = _Shelf(reader, context).needed_system(Source(url), "system")
        return system, _code_of(system, code, "code")

    def relation(self, context: Context, of: Source, above: str, below: str) -> Relation:
        """How two codes of a system stand to each other. Raises Denied, NotFound."""
        with self._hub.read() as reader:
            system = _Shelf(reader, context).needed_system(of, "system")
        first, second = _code_of(system, above, "codeA"), _code_of(system, below, "codeB")
        if first == second:
            return "equivalent"
        if subsumes(system, above, below):
            return "subsumes"
        return "subsumed-by" if subsumes(system, below, above) else "not-subsumed"

    def expand(
        self, context: Context, of: Source, filter: str, offset: int, count: int | None
    ) -> Expansion:
        """The concepts whose code or display holds ``filter`` (whatever its case), page by page.

        Raises Denied, NotFound.
        """
        with self._hub.read() as reader:
            whole = _Shelf(reader, context).needed_set(of)
        wanted = filter.casefold()
        found = tuple(one for one in whole.concepts if _holds(one, wanted))
        size = LARGEST if count is None else min(count, LARGEST)
        return Expansion(whole, found[offset : offset + size], len(found), offset)

    def in_set(
        self, context: Context, of: Source, codes: list[tuple[str | None, str]], display: str
    ) -> Verdict:
        """Whether one of some (system, code) is in a value set; a None system is any.

        Raises Denied, NotFound.
        """
        with self._hub.read() as reader:
            concepts = _Shelf(reader, context).needed_set(of).concepts
        found = [
            one
            for system, code in codes
            for one in concepts
            if one.code == code and system in (None, one.system)
        ]
        return _verdict(found, display, "not in the value set")

    def in_system(self, context: Context, of: Source, code: str, display: str) -> Verdict:
        """Whether a code is one of a code system. Raises Denied, NotFound."""
        with self._hub.read() as reader:
            concept = _Shelf(reader, context).needed_system(of, "url").concepts.get(code)
        return _verdict([concept] if concept else [], display, "not in the code system")

    def translate(
        self,
        context: Context,
        of: Source,
        code: str,
        target: str | None,
        system: str | None = None,
    ) -> list[Translated]:
        """What a map makes of a code: of the tables the caller's own first, one answer in all; of
        a ConceptMap all its matches.

        ``target`` is the code system that it must be of, if given, ``system`` the code's own.
        Raises Denied, and NotFound for a map that isn't here.
        """
        if of.url.startswith(TABLE_MAP):
            return self._by_table(context, of.url, code, target, system)
        with self._hub.read() as reader:
            shelf = _Shelf(reader, context)
            found = shelf.resource("ConceptMap", of)
            if found is None:
                raise NotFound("no such map here", place="url")
            return [
                Translated(shelf.named(concept), str(found.get("url", "")), equivalence)
                for concept, equivalence in stored_terms.translations(found, code, system, target)
            ]

    def _by_table(
        self, context: Context, url: str, code: str, target: str | None, system: str | None
    ) -> list[Translated]:
        name = url.partition("|")[0].removeprefix(TABLE_MAP)
        vocabulary = vocabularies().get(name)
        if vocabulary is not None:
            return [
                Translated(_concept(*each[:3]), vocabulary.url, each.equivalence)
                for each in vocabulary.translate(code, system or "")
                if target in (None, each.system)
            ]
        tables = self._members.library.table(self._members.get(context.agency), name)
        if not tables:
            raise NotFound("no such map here", place="url")
        for table in tables:
            row = table.find(code)
            if row is not None:
                system = row.system or self._members.library.table_system(name) or ""
                if not row.target or (target is not None and target != system):
                    return []
                return [Translated(_concept(system, row.target, row.display), TABLE_MAP + name)]
        return []


class _Shelf:
    """What a caller can ask about: the gateway's own, then what stands here and they may see."""

    def __init__(self, reader: Reader, context: Context) -> None:
        self._reader = reader
        self._context = context
        self._depth = 0
        self._sets: dict[str, ValueSet | None] = {}

    def system(self, url: str) -> CodeSystem | None:
        """The code system of a URI; None where it isn't known, or not whole."""
        own = terminology.code_system(url)
        found = None if own is not None else self.resource("CodeSystem", Source(url))
        return stored_terms.code_system_of(found) if found is not None else own

    def value_set(self, url: str) -> ValueSet | None:
        """The value set of a canonical URL; None where it isn't known, or can't be listed whole."""
        if url not in self._sets:
            self._sets[url] = None  # while it is made: one that draws on itself is never whole
            own = terminology.value_set(url)
            found = None if own is not None else self.resource("ValueSet", Source(url))
            self._sets[url] = self._whole(found) if found is not None else own
        return self._sets[url]

    def needed_system(self, of: Source, place: str) -> CodeSystem:
        """A code system. Raises NotFound."""
        found = self._found("CodeSystem", of, self.system, stored_terms.code_system_of)
        if found is None:
            raise NotFound("the code system isn't known here", place=place)
        return found

    def needed_set(self, of: Source) -> ValueSet:
        """A value set. Raises NotFound."""
        found = self._found("ValueSet", of, self.value_set, self._whole)
        if found is None:
            raise NotFound("the value set isn't known here, or can't be listed whole", place="url")
        return found

    def _found(
        self,
        type: str,
        of: Source,
        named: Callable[[str], _Known | None],
        made: Callable[[Resource], _Known | None],
    ) -> _Known | None:
        """By its URL what is ``named`` so; else what is ``made`` of the resource."""
        if of.url and of.resource is None:
            return named(of.url.partition("|")[0])
        kept = self.resource(type, of)
        return None if kept is None else made(kept)

    def resource(self, type: str, of: Source) -> Resource | None:
        """The resource itself, or the newest that the caller sees; None without one.

        Raises Denied, NotFound, Gone.
        """
        if of.resource is not None:
            return of.resource
        if of.id:
            scopes.require(self._context, type, "r")
            return json.loads(self._reader.read(self._context, type, of.id).body)
        if not scopes.allows(self._context.scopes, type, "s"):
            return None
        url, _, version = of.url.partition("|")
        asked = [("url", url.replace(",", "\\,")), ("_sort", "-_lastUpdated"), ("_count", "1")]
        asked += [("version", version.replace(",", "\\,"))] if version else []
        page = self._reader.search(self._context, parse_query(type, [*asked, ("_total", "none")]))
        return json.loads(page.entries[0].body) if page.entries else None

    def named(self, concept: Concept) -> Concept:
        """The concept with its display, where its system knows one."""
        system = None if concept.display else self.system(concept.system)
        return concept if system is None else system.concepts.get(concept.code, concept)

    def _whole(self, resource: Resource) -> ValueSet | None:
        if self._depth == DEEPEST:
            return None
        self._depth += 1
        try:
            return stored_terms.value_set_of(resource, self)
        finally:
            self._depth -= 1


def _code_of(system: CodeSystem, code: str, place: str) -> Concept:
    concept = system.concepts.get(code)
    if concept is None:
        raise NotFound("no such code in the code system", place=place)
    return concept


def _concept(system: str, code: str, display: str) -> Concept:
    known = terminology.code_system(system)
    concept = known.concepts.get(code) if known is not None else None
    return Concept(system, code, display or (concept.display if concept else ""))


def _holds(concept: Concept, wanted: str) -> bool:
    return wanted in concept.code.casefold() or wanted in concept.display.casefold()


def _verdict(found: list[Concept], display: str, why: str) -> Verdict:
    if not found:
        return Verdict(False, why, "")
    right = found[0].display
    if display and right and all(one.display.casefold() != display.casefold() for one in found):
        return Verdict(False, "the display isn't the code's", right)
    return Verdict(True, "", right)
