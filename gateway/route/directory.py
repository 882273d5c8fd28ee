"""The directory of members, and which of them a referral names as its performer.

A name, alias or identifier must be the same but for case, accents, punctuation and spaces.
Nothing is guessed: where two members answer to what the referral says, none is chosen.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gateway.model import Agency, Reference, Resource

_LINKS: Final[Mapping[str, tuple[str, ...]]] = {
    "PractitionerRole": ("organization", "practitioner"),
    "HealthcareService": ("providedBy",),
}


class Directory:
    """The members by every name and number that they go by."""

    def __init__(self, agencies: Iterable[Agency]) -> None:
        self._references: dict[Reference, str] = {}
        self._identifiers: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._names: dict[str, set[str]] = defaultdict(set)
        for agency in agencies:
            self._references[agency.organization] = agency.id
            for system, value in agency.identifiers:
                self._identifiers[system, normal(value)].add(agency.id)
            for name in (agency.id, agency.name, *agency.aliases):
                self._names[normal(name)].add(agency.id)

    def by_reference(self, reference: Reference) -> str | None:
        """The member whose entry in the directory that is."""
        return self._references.get(reference)

    def by_identifier(self, system: str, value: str) -> str | None:
        """The one member with that identifier; one declared without a system fits any."""
        key = normal(value)
        found = self._identifiers.get((system, key)) or self._identifiers.get(("", key))
        return _only(found) if key else None

    def by_name(self, name: str) -> str | None:
        """The one member of that id, name or alias."""
        key = normal(name)
        return _only(self._names.get(key)) if key else None


def performer(
    directory: Directory, request: Resource, resources: Mapping[Reference, Resource]
) -> str | None:
    """The member that ``request`` (a ServiceRequest) asks, or None.

    ``resources`` holds what its ``performer`` refers to, by ``Type/id``. A reference into the
    directory counts before an identifier, an identifier before a name; among equals the order of
    ``performer`` decides.
    """
    asked = [each for each in request.get("performer") or [] if isinstance(each, dict)]
    parties = [party for each in asked for party in _parties(each, resources)]
    literal = (*asked, *(_provider(each, resources) for each in asked))
    references = (directory.by_reference(each.get("reference") or "") for each in literal)
    identifiers = (
        directory.by_identifier(str(i.get("system") or ""), str(i["value"]))
        for party in parties
        for i in party.get("identifier") or []
        if i.get("value")
    )
    names = (directory.by_name(name) for party in parties for name in _names(party))
    for candidates in (references, identifiers, names):
        found = next(filter(None, candidates), None)
        if found:
            return found
    return None


def performers(
    directory: Directory, request: Resource, resources: Mapping[Reference, Resource]
) -> tuple[str, ...]:
    """Every member that ``request`` asks, in the order of its ``performer``."""
    each = [{"performer": [one]} for one in request.get("performer") or []]
    found = (performer(directory, one, resources) for one in each)
    return tuple(dict.fromkeys(filter(None, found)))


def normal(text: str) -> str:
    """Text as it is compared: no accents, case, punctuation or runs of spaces."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    kept = (c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join("".join(kept).split())


def _parties(asked: Resource, resources: Mapping[Reference, Resource]) -> Iterator[Resource]:
    """What a performer reference stands for: itself, what it names, and their organization.

    Of a HealthcareService that is whoever provides it.
    """
    identifier = asked.get("identifier")
    yield {"identifier": [identifier] if identifier else [], "alias": [asked.get("display")]}
    named = resources.get(asked.get("reference") or "")
    if named is None:
        return
    if named.get("resourceType") != "HealthcareService":
        yield named
    for element in _LINKS.get(str(named.get("resourceType")), ()):
        link = named.get(element)
        if isinstance(link, dict):
            yield from _parties(link, resources)


def _provider(asked: Resource, resources: Mapping[Reference, Resource]) -> Resource:
    named = resources.get(asked.get("reference") or "") or {}
    link = named.get("providedBy") if named.get("resourceType") == "HealthcareService" else None
    return link if isinstance(link, dict) else {}


def _names(party: Resource) -> Iterator[str]:
    """The names of an Organization, a Practitioner (both ways round) or a bare display."""
    name = party.get("name")
    if isinstance(name, str):
        yield name
    for alias in party.get("alias") or []:
        if isinstance(alias, str):
            yield alias
    for human in name if isinstance(name, list) else []:
        yield from _human(human)


def _human(name: Mapping[str, Any]) -> Iterator[str]:
    given, family = " ".join(name.get("given") or []), str(name.get("family") or "")
    yield from filter(None, (name.get("text"), f"{given} {family}", f"{family} {given}"))


def _only(found: set[str] | None) -> str | None:
    return next(iter(found)) if found and len(found) == 1 else None
