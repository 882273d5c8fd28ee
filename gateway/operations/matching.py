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
from gateway.identify.ways import ways
from gateway.model import Context, Resource, Stored, ValidResource
from gateway.operations.everything import Note
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Reader

BLOCK = 100
"""The most candidates that one way of looking finds."""


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
