"""A referral for food in Cedar County, and a pantry that suits it; tests change what they mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.fhir import codes
from gateway.route.facts import Area, Candidate, Capacity, Person, Place, Referral, Room

NOW: Final = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # a Monday, 11:00 in Iowa
FOOD: Final = (codes.SDOH_CODES, "food-insecurity")
SHELTER: Final = (codes.SDOH_CODES, "homelessness")
HERE: Final = Area(zips=frozenset({"52240"}))

REFERRAL: Final = Referral(
    id="r1",
    requester="clinic",
    categories=frozenset({FOOD}),
    person=Person(
        patient="Patient/p",
        age=34,
        gender="female",
        languages=("es", "en"),
        place=Place("52240", "johnson", "ia", (41.66, -91.53)),
    ),
)
PANTRY: Final = Candidate(
    service="HealthcareService/pantry",
    agency="pantry",
    name="Pantry",
    receives=True,
    categories=frozenset({FOOD}),
    area=HERE,
    timezone="America/Chicago",
    capacity=Capacity(Room.CAPACITY, NOW),
)


def referral(**more: Any) -> Referral:
    person = {name: more.pop(name) for name in list(more) if name in Person.__dataclass_fields__}
    return replace(REFERRAL, person=replace(REFERRAL.person, **person), **more)


def pantry(agency: str = "pantry", **more: Any) -> Candidate:
    named = {"service": f"HealthcareService/{agency}", "agency": agency, "name": agency}
    return replace(PANTRY, **{**named, **more})


def told(room: Room, *, ago: timedelta = timedelta(0), **more: Any) -> Capacity:
    return Capacity(room, NOW - ago, **more)
