"""``$match``: which Patients that the caller may see are the person described (R4 patient-match).

Candidates are found by search, and compared as the caller is shown them: what is hidden from a
caller neither finds a record nor raises its score, so a match is no way to ask about the hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.fhir import json
from gateway.fhir.search_parameters import extract
from gateway.identify.scoring import Score, score
from gateway.identify.ways import described
from gateway.model import Context, Resource, Stored, ValidResource
from gateway.operations.everything import Note
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Reader

BLOCK = 100
"""The most candidates that one way of looking finds."""

FOUND_BY: Final = frozenset({"identifier", "telecom", "birthdate", "family", "given"})
"""Search parameters by whose rows a person's records are found."""


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
            candidates = _candidates(reader, context, person)
        found = [Match(one, score(person, json.loads(one.body))) for one in candidates]
        found = [one for one in found if one.score.grade != "certainly-not"]
        found.sort(key=lambda one: (-one.score.value, one.stored.id))
        if only_certain:
            certain = [one for one in found if one.score.grade == "certain"]
            found = certain if len(certain) == 1 else []
        found = found[:count]
        self._note(context, "match", [one.stored for one in found])
        return found


def _candidates(reader: Reader, context: Context, person: Resource) -> list[Stored]:
    rows = extract(described(person), FOUND_BY)
    return [shown(context, one) for one in reader.alike(context, rows, BLOCK)]
