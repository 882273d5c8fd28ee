"""The searches by which records of a person are found, before they are compared. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.fhir import codes
from gateway.fhir.search_values import normalise
from gateway.model import Resource

Pairs = list[tuple[str, str]]
"""A search of Patients, as its parameters."""


def ways(person: Resource) -> Iterator[Pairs]:
    """The searches by which records of a person are found; each needs little to agree."""
    for one in person.get("identifier") or []:
        if one.get("value") and one.get("system") != codes.SSN_HASH:
            system = f"{escaped(one['system'])}|" if one.get("system") else ""
            yield [("identifier", system + escaped(one["value"]))]
    if isinstance(person.get("birthDate"), str):
        for name in _first(person, "family"):
            yield [("birthdate", person["birthDate"]), ("family", name[:2])]
        for name in _first(person, "given"):
            yield [("birthdate", person["birthDate"]), ("given", name[:2])]
    for family in _first(person, "family"):
        for given in _first(person, "given"):
            yield [("family", family), ("given", given[:2])]
    for one in person.get("telecom") or []:
        if one.get("value"):
            yield [("telecom", escaped(one["value"]))]


def described(person: Resource) -> Resource:
    """Of a Patient what its records are found by: numbers, contacts, birth date, the first given
    name of each name. A hashed number finds nobody.
    """
    numbers = [one for one in person.get("identifier") or [] if one.get("system") != codes.SSN_HASH]
    names = [
        {"family": name.get("family"), "given": (name.get("given") or [])[:1]}
        for name in person.get("name") or []
    ]
    rest = {name: person[name] for name in ("telecom", "birthDate") if person.get(name)}
    said = {**rest, "identifier": numbers, "name": names}
    return {"resourceType": "Patient", **{name: value for name, value in said.items() if value}}


def _first(person: Resource, part: str) -> list[str]:
    """The family names, or the first given names, as a search takes them."""
    found = []
    for name in person.get("name") or []:
        given = name.get(part)
        text = given[0] if isinstance(given, list) and given else given
        if isinstance(text, str) and normalise(text):  # "-" is nobody's name
            found.append(escaped(normalise(text)))
    return list(dict.fromkeys(found))


def escaped(text: str) -> str:
    """A text that a search takes as it stands (R4 search, 3.1.1.4.1)."""
    for mark in ("\\", "$", ",", "|"):
        text = text.replace(mark, f"\\{mark}")
    return text
