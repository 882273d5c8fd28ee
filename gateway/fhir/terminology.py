"""The code systems and value sets that the gateway knows (R4 terminology-module, 4.6 to 4.8).

HL7's own code systems, and the value sets of R4 and of the guides it serves that are made of these
alone (``definitions/build_terms.py``). What draws on SNOMED CT, LOINC or another foreign system
isn't known here: asking for it gives None, and never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gateway.fhir.definitions import load


@dataclass(frozen=True, slots=True)
class Concept:
    """A code of a system; ``display`` is "" where it has none."""

    system: str
    code: str
    display: str


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """A code system, whole. ``parents`` gives the code above a code, where there is one."""

    url: str
    name: str
    version: str
    concepts: Mapping[str, Concept]
    parents: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A value set, listed whole and in its order."""

    url: str
    name: str
    title: str
    version: str
    concepts: tuple[Concept, ...]
    status: str = "active"


def members(url: str) -> frozenset[tuple[str, str]] | None:
    """The (system, code) pairs of a value set, by its canonical URL; None where it isn't known."""
    return _members(url.partition("|")[0])


def coded_in(node: Any, members: frozenset[tuple[str, str]]) -> bool:
    """Whether a code, Coding, Quantity or one of a CodeableConcept's codings is among members."""
    if isinstance(node, str):
        return any(code == node for _, code in members)
    if not isinstance(node, dict):
        return False
    codings = node.get("coding", [node])
    return any((each.get("system"), each.get("code")) in members for each in codings)


@cache
def code_system(url: str) -> CodeSystem | None:
    """The code system of that URI; None where it isn't known."""
    raw = _table()["systems"].get(url)
    if raw is None:
        return None
    rows = raw["concept"]
    return CodeSystem(
        url,
        raw.get("name", ""),
        raw.get("version", ""),
        {code: Concept(url, code, display) for code, display, _ in rows},
        {code: rows[parent][0] for code, _, parent in rows if parent >= 0},
    )


def code_systems() -> Iterator[tuple[str, str]]:
    """The URI and version ("" for none) of each code system that is known whole."""
    for url, raw in sorted(_table()["systems"].items()):
        yield url, raw.get("version", "")


@cache
def value_set(url: str) -> ValueSet | None:
    """The value set of that canonical URL, without a version; None where it isn't known.

    The set of a whole code system goes by the system's URI with ``?fhir_vs``, too (4.8.5).
    """
    raw = _table()["sets"].get(url)
    if raw is None and url.endswith("?fhir_vs"):
        return _implicit(url)
    if raw is None:
        return None
    found = (concept for part in raw["include"] for concept in _concepts(*part))
    return ValueSet(
        url,
        raw.get("name", ""),
        raw.get("title", ""),
        raw.get("version", ""),
        tuple(dict.fromkeys(found)),
    )


def subsumes(system: CodeSystem, above: str, below: str) -> bool:
    """Whether ``below`` is ``above`` or stands under it."""
    code: str | None = below
    seen: set[str] = set()
    while code is not None and code not in seen:
        if code == above:
            return True
        seen.add(code)
        code = system.parents.get(code)
    return False


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = load("terminology")
    return table


@cache
def _members(url: str) -> frozenset[tuple[str, str]] | None:
    found = value_set(url)
    return None if found is None else frozenset((one.system, one.code) for one in found.concepts)


def _implicit(url: str) -> ValueSet | None:
    system = code_system(url.removesuffix("?fhir_vs"))
    if system is None:
        return None
    return ValueSet(url, system.name, "", system.version, tuple(system.concepts.values()))


def _concepts(url: str, codes: list[str] | None, own: Mapping[str, str]) -> Iterator[Concept]:
    """One system's part of a set; ``own`` are the displays that the set gives of itself."""
    system = code_system(url)
    known: Mapping[str, Concept] = system.concepts if system is not None else {}
    if codes is None:
        yield from known.values()
        return
    for code in codes:
        concept = known.get(code)
        if concept is None or code in own:
            concept = Concept(url, code, own.get(code, concept.display if concept else ""))
        yield concept
