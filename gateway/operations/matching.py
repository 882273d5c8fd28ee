"""``$match``: which Patients that the caller may see are the person described (R4 patient-match).

Candidates are found by search, and compared as the caller is shown them: what is hidden from a
caller neither finds a record nor raises its score, so a match is no way to ask about the hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.fhir import json
from gateway.fhir.search import parse_query
from gateway.identify.scoring import Score, score
from gateway.model import Context, Resource, Stored, ValidResource
from gateway.operations.everything import Note
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Reader

BLOCK = 100
"""The most candidates that one way of looking finds."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Match:
    """A record as the caller may see it, and how like it is."""

    stored: Stored
    score: Score


class Matching:
    """Finds records of a person."""

    def __init__(self, hub: Hub, note: Note) -> None:
        self._hub = hub
        self._note = note

    def __call__(
        self, context: Context, person: ValidResource, *, only_certain: bool, count: int
    ) -> list[Match]:
        """The best matches first. ``only_certain``: the one certain match, or nothing.

        Raises Denied.
        """
        scopes.require(context, "Patient", "s")
        with self._hub.read() as reader:
            candidates = {one.id: one for one in _candidates(reader, context, person)}
        found = [Match(one, score(person, json.loads(one.body))) for one in candidates.values()]
        found = [one for one in found if one.score.grade != "certainly-not"]
        found.sort(key=lambda one: (-one.score.value, one.stored.id))
        if only_certain:
            certain = [one for one in found if one.score.grade == "certain"]
            found = certain if len(certain) == 1 else []
        found = found[:count]
        self._note(context, "match", [one.stored for one in found])
        return found


def _candidates(reader: Reader, context: Context, person: Resource) -> Iterator[Stored]:
    for pairs in ways(person):
        query = parse_query("Patient", [*pairs, ("_count", str(BLOCK)), ("_total", "none")])
        for one in reader.search(context, query).entries:
            yield shown(context, one)


def ways(person: Resource) -> Iterator[Pairs]:
    """The searches by which records of a person are found; each needs little to agree."""
    for one in person.get("identifier") or []:
        if one.get("value"):
            system = f"{_escaped(one['system'])}|" if one.get("system") else ""
            yield [("identifier", system + _escaped(one["value"]))]
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
            yield [("telecom", _escaped(one["value"]))]


def _first(person: Resource, part: str) -> list[str]:
    """The family names, or the first given names, as a search takes them."""
    found = []
    for name in person.get("name") or []:
        given = name.get(part)
        text = given[0] if isinstance(given, list) and given else given
        if isinstance(text, str) and text.strip():
            found.append(_escaped(text.strip()))
    return list(dict.fromkeys(found))


def _escaped(text: str) -> str:
    """A text that a search takes as it stands (R4 search, 3.1.1.4.1)."""
    for mark in ("\\", "$", ",", "|"):
        text = text.replace(mark, f"\\{mark}")
    return text
