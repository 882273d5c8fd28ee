"""CodeSystems, ValueSets and ConceptMaps that stand somewhere as resources (R4, 4.8 to 4.10).

They are read as ``terminology`` has HL7's own. What can't be told whole (a fragment, a filter that
isn't known here, a set of a system that isn't) is None, and never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from gateway.fhir.terminology import CodeSystem, Concept, ValueSet, subsumes
from gateway.model import Resource


class Known(Protocol):
    """The code systems and value sets that a resource may draw on."""

    def system(self, url: str) -> CodeSystem | None:
        """The code system of that URI; None where it isn't known."""

    def value_set(self, url: str) -> ValueSet | None:
        """The value set of that canonical URL; None where it isn't known, or not whole."""


def code_system_of(resource: Resource) -> CodeSystem | None:
    """A CodeSystem with all its codes; None where it doesn't hold them."""
    if resource.get("content") != "complete" or "url" not in resource:
        return None
    url = str(resource["url"])
    rows = list(_walked(resource.get("concept") or [], None))
    return CodeSystem(
        url,
        str(resource.get("name", "")),
        str(resource.get("version", "")),
        {each["code"]: Concept(url, each["code"], each.get("display", "")) for each, _ in rows},
        {each["code"]: parent for each, parent in rows if parent is not None},
    )


def value_set_of(resource: Resource, known: Known) -> ValueSet | None:
    """A ValueSet listed whole; None where it can't be."""
    compose = resource.get("compose")
    if compose is None:
        found: list[Concept] | None = list(_expanded(resource.get("expansion") or {}))
    else:
        found = _composed(compose, known)
    if found is None:
        return None
    said = {name: str(resource.get(name, "")) for name in ("url", "name", "title", "version")}
    concepts = tuple({(one.system, one.code): one for one in reversed(found)}.values())[::-1]
    return ValueSet(**said, concepts=concepts, status=str(resource.get("status", "active")))


def translations(
    resource: Resource, code: str, system: str | None, target: str | None
) -> Iterator[tuple[Concept, str]]:
    """What a ConceptMap makes of a code, each with its equivalence.

    ``system`` is the code's own and ``target`` the one that the answer must be of; None: any.
    """
    for group in resource.get("group") or ():
        if system not in (None, group.get("source")) or target not in (None, group.get("target")):
            continue
        for each in _targets(group, code):
            if "code" in each:
                concept = Concept(group.get("target", ""), each["code"], each.get("display", ""))
                yield concept, str(each.get("equivalence", "equivalent"))


def _targets(group: Resource, code: str) -> Iterable[Resource]:
    for element in group.get("element") or ():
        if element.get("code") == code:
            return element.get("target") or ()
    unmapped = group.get("unmapped") or {}
    if unmapped.get("mode") == "provided":
        return ({"code": code, "equivalence": "equal"},)
    return ({"equivalence": "inexact", **unmapped},) if unmapped.get("mode") == "fixed" else ()


def _walked(concepts: Iterable[Any], parent: str | None) -> Iterator[tuple[Any, str | None]]:
    for each in concepts:
        yield each, parent
        yield from _walked(each.get("concept") or (), each["code"])


def _expanded(node: Resource) -> Iterator[Concept]:
    for each in node.get("contains") or ():
        if "code" in each and not each.get("abstract"):
            yield Concept(each.get("system", ""), each["code"], each.get("display", ""))
        yield from _expanded(each)


# --- composed ------------------------------------------------------------------------------------


def _composed(compose: Resource, known: Known) -> list[Concept] | None:
    out: list[Concept] = []
    for part in compose.get("include") or ():
        found = _part(part, known)
        if found is None:
            return None
        out += found
    for part in compose.get("exclude") or ():
        found = _part(part, known)
        if found is None:
            return None
        gone = {(one.system, one.code) for one in found}
        out = [one for one in out if (one.system, one.code) not in gone]
    return out


def _part(part: Resource, known: Known) -> list[Concept] | None:
    """One include or exclude: what its system and all its value sets have in common."""
    lists = [_listed(part, known)] if "system" in part else []
    for url in part.get("valueSet") or ():
        whole = known.value_set(url.partition("|")[0])
        lists.append(None if whole is None else list(whole.concepts))
    first, *others = lists or [[]]
    for each in others:
        if each is None or first is None:
            return None
        both = {(one.system, one.code) for one in each}
        first = [one for one in first if (one.system, one.code) in both]
    return first


def _listed(part: Resource, known: Known) -> list[Concept] | None:
    url = str(part["system"])
    system = known.system(url)
    if "concept" in part:
        named: Mapping[str, Concept] = system.concepts if system is not None else {}
        return [_named(each, url, named) for each in part["concept"]]
    if system is None:
        return None
    found = list(system.concepts.values())
    for each in part.get("filter") or ():
        keeps = _filter(each, system)
        if keeps is None:
            return None
        found = [one for one in found if keeps(one.code)]
    return found


def _named(each: Resource, url: str, named: Mapping[str, Concept]) -> Concept:
    known = named.get(each["code"])
    return Concept(url, each["code"], each.get("display") or (known.display if known else ""))


def _filter(asked: Resource, system: CodeSystem) -> Callable[[str], bool] | None:
    make = _FILTERS.get(asked.get("op", "")) if asked.get("property") in _OF_CODES else None
    return None if make is None else make(system, str(asked.get("value", "")))


_OF_CODES: Final = ("concept", "code")
_FILTERS: Final[Mapping[str, Callable[[CodeSystem, str], Callable[[str], bool]]]] = {
    "=": lambda system, value: lambda code: code == value,
    "is-a": lambda system, value: lambda code: subsumes(system, value, code),
    "is-not-a": lambda system, value: lambda code: not subsumes(system, value, code),
    "descendent-of": lambda system, value: (
        lambda code: code != value and subsumes(system, value, code)
    ),
    "generalizes": lambda system, value: lambda code: subsumes(system, code, value),
    "in": lambda system, value: lambda code: code in value.split(","),
    "not-in": lambda system, value: lambda code: code not in value.split(","),
}
