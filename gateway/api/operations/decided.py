"""A routing decision as Parameters: who was, or would be, asked, and all that was found of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.api import examples
from gateway.model import Resource
from gateway.route.decision import Told

BANK: Final = f"HealthcareService/{examples.ID}"

EXAMPLE: Final[Told] = {
    "referral": examples.ID,
    "at": "2026-03-02T15:04:05.123+00:00",
    "outcome": "ask",
    "why": "the most speaks for it",
    "chosen": BANK,
    "agency": "food-bank",
    "asked": ["eastside-pantry"],
    "candidates": [
        {
            "service": BANK,
            "agency": "food-bank",
            "name": "County Food Bank",
            "standing": "chosen",
            "score": 45,
            "findings": [
                {"rule": "need", "says": "for", "text": "the need's category", "points": 5},
                {"rule": "consent", "says": "confirm", "text": "consent: none is on record"},
                {
                    "rule": "area",
                    "says": "for",
                    "text": "serves where the person is",
                    "points": 20,
                },
                {"rule": "capacity", "says": "for", "text": "has room", "points": 20},
            ],
        }
    ],
}


def decided(decisions: Iterable[Told], task: str = "") -> Resource:
    """Parameters: a ``decision`` for each, and the ``task`` that was made or found, if any."""
    parts: list[Resource] = [
        {"name": "decision", "part": list(_decision(each))} for each in decisions
    ]
    if task:
        parts.insert(0, {"name": "task", "valueReference": {"reference": task}})
    return {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}


def _decision(told: Told) -> Iterator[Resource]:
    yield {"name": "at", "valueInstant": told["at"]}
    yield {"name": "outcome", "valueCode": told["outcome"]}
    yield {"name": "why", "valueString": told["why"]}
    if told["chosen"]:
        yield _reference("service", told["chosen"])
        yield _reference("agency", f"Organization/{told['agency']}")
    for agency in told["asked"]:
        yield _reference("asked", f"Organization/{agency}")
    for candidate in told["candidates"]:
        yield {"name": "candidate", "part": list(_candidate(candidate))}


def _candidate(told: Told) -> Iterator[Resource]:
    yield _reference("service", told["service"])
    yield _reference("agency", f"Organization/{told['agency']}")
    yield {"name": "name", "valueString": told["name"]}
    yield {"name": "standing", "valueCode": told["standing"]}
    yield {"name": "score", "valueInteger": told["score"]}
    for finding in told["findings"]:
        yield {"name": "finding", "part": list(_finding(finding))}


def _finding(told: Told) -> Iterator[Resource]:
    yield {"name": "rule", "valueCode": told["rule"]}
    yield {"name": "says", "valueCode": told["says"]}
    yield {"name": "text", "valueString": told["text"]}
    if told.get("points"):
        yield {"name": "points", "valueInteger": told["points"]}


def _reference(name: str, reference: str) -> dict[str, Any]:
    return {"name": name, "valueReference": {"reference": reference}}
