"""Terminology for what the gateway itself uses: lookup, validate-code, expand, translate (R4, 4.6).

The code systems and value sets of ``fhir.terminology``; as concept maps the tables that messages
are translated by, the caller's own before the standard ones. What isn't known here is an error that
says so, and never "no such code".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.close.vocabulary import vocabularies
from gateway.errors import NotFound
from gateway.fhir import terminology
from gateway.fhir.codes import TABLE_MAP
from gateway.fhir.terminology import CodeSystem, Concept, ValueSet
from gateway.members import Members
from gateway.model import Context

LARGEST: Final = 1000
"""The most concepts of one page of an expansion."""


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
    """Answers about codes. All but ``translate`` are the same for everybody."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def system(self, url: str) -> CodeSystem:
        """A code system. Raises NotFound for one that isn't known here."""
        found = terminology.code_system(url)
        if found is None:
            raise NotFound("the code system isn't known here", place="system")
        return found

    def lookup(self, url: str, code: str) -> tuple[CodeSystem, Concept]:
        """A concept and its system. Raises NotFound."""
        system = self.system(url)
        concept = system.concepts.get(code)
        if concept is None:
            raise NotFound("no such code in the code system", place="code")
        return system, concept

    def value_set(self, url: str) -> ValueSet:
        """A value set. Raises NotFound for one that isn't known here, or can't be listed whole."""
        found = terminology.value_set(url.partition("|")[0])
        if found is None:
            raise NotFound("the value set isn't known here, or can't be listed whole", place="url")
        return found

    def expand(self, url: str, filter: str, offset: int, count: int | None) -> Expansion:
        """The concepts whose code or display holds ``filter`` (whatever its case), page by page."""
        whole = self.value_set(url)
        wanted = filter.casefold()
        found = tuple(one for one in whole.concepts if _holds(one, wanted))
        size = LARGEST if count is None else min(count, LARGEST)
        return Expansion(whole, found[offset : offset + size], len(found), offset)

    def in_set(self, url: str, codes: list[tuple[str | None, str]], display: str) -> Verdict:
        """Whether one of some (system, code) is in a value set; a None system is any."""
        concepts = self.value_set(url).concepts
        found = [
            one
            for system, code in codes
            for one in concepts
            if one.code == code and system in (None, one.system)
        ]
        return _verdict(found, display, "not in the value set")

    def in_system(self, url: str, code: str, display: str) -> Verdict:
        """Whether a code is one of a code system."""
        concept = self.system(url).concepts.get(code)
        return _verdict([concept] if concept else [], display, "not in the code system")

    def translate(
        self, context: Context, url: str, code: str, target: str | None, system: str | None = None
    ) -> list[Translated]:
        """What a table makes of a code: the caller's own table first, one answer in all; or what
        a ConceptMap of referrals' words does, all its matches.

        ``target`` is the code system that it must be of, if given, ``system`` the code's own.
        Raises NotFound for a map that isn't one of ours.
        """
        name = url.partition("|")[0].removeprefix(TABLE_MAP)
        vocabulary = vocabularies().get(name) if url.startswith(TABLE_MAP) else None
        if vocabulary is not None:
            return [
                Translated(_concept(*each[:3]), vocabulary.url, each.equivalence)
                for each in vocabulary.translate(code, system or "")
                if target in (None, each.system)
            ]
        tables = self._members.library.table(self._members.get(context.agency), name)
        if not url.startswith(TABLE_MAP) or not tables:
            raise NotFound("no such map here", place="url")
        for table in tables:
            row = table.find(code)
            if row is not None:
                system = row.system or self._members.library.table_system(name) or ""
                if not row.target or (target is not None and target != system):
                    return []
                return [Translated(_concept(system, row.target, row.display), TABLE_MAP + name)]
        return []


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
