"""What a name sounds like (``phonetic``) and what is near a point (``near``), on both engines."""

from __future__ import annotations

import random
from math import asin, copysign, cos, radians, sin, sqrt
from typing import Any

import pytest

from gateway.fhir.matching import in_memory
from gateway.fhir.near import EARTH
from gateway.fhir.search import parse_query
from gateway.model import Resource
from gateway.store import Hub
from tests.store.found import found, grant, page, put
from tests.store.samples import CLINIC, PANTRY, STRANGER

Point = tuple[float, float]

PLACES = ((41.9, -91.6), (89.9, 12.0), (-89.95, -60.0), (0.0, 179.95), (10.0, 0.0))
"""Somewhere, near both poles, across the antimeridian, across the first meridian."""

ASKED: tuple[tuple[Point, str, float], ...] = (
    ((41.9, -91.6), "20", 20),
    ((41.9, -91.6), "20|km", 20),
    ((41.9, -91.6), "9000|m", 9),
    ((41.9, -91.6), "10|[mi_i]", 16.09344),
    ((41.9, -91.6), "0.5|mi", 0.804672),
    ((41.9, -91.6), "", 50),
    ((89.97, -170.0), "25", 25),
    ((-90.0, 0.0), "15", 15),
    ((0.0, -179.99), "15", 15),
    ((10.0, 0.01), "6000", 6000),
    ((41.9, -91.6), "30000", 30000),
)


def location(id: str, at: Point) -> Resource:
    position = {"latitude": at[0], "longitude": at[1]}
    return {"resourceType": "Location", "id": id, "position": position}


def scattered(rng: random.Random) -> dict[str, Point]:
    """Some points around each place."""
    out = {}
    for number in range(60):
        latitude, longitude = (
            round(each + rng.uniform(-0.3, 0.3), 5) for each in rng.choice(PLACES)
        )
        if abs(longitude) > 180:
            longitude -= copysign(360, longitude)
        out[f"l{number}"] = (max(-90, min(90, latitude)), longitude)
    return out


def distance(one: Point, other: Point) -> float:
    """Kilometres, by another formula than the one searched by (haversine)."""
    (lat, long), (lat2, long2) = (tuple(map(radians, each)) for each in (one, other))
    half = sin((lat2 - lat) / 2) ** 2 + cos(lat) * cos(lat2) * sin((long2 - long) / 2) ** 2
    return 2 * EARTH * asin(sqrt(min(1.0, half)))


def test_what_is_near_is_what_is_near_by_the_great_circle(hub: Hub) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    points = scattered(random.Random(seed))
    put(hub, CLINIC, *(location(id, at) for id, at in points.items()))
    put(hub, CLINIC, {"resourceType": "Location", "id": "nowhere", "name": "Nowhere"})
    for (latitude, longitude), far, km in ASKED:
        text = f"Location?near={latitude}|{longitude}|{far}".rstrip("|") + "&_count=1000"
        near = {id for id, at in points.items() if distance((latitude, longitude), at) <= km}
        assert set(found(hub, CLINIC, text)) == near, text
        assert found(hub, PANTRY, text) == []
    assert found(hub, CLINIC, "Location?near:missing=true") == ["nowhere"]
    assert set(found(hub, CLINIC, "Location?near:missing=false&_count=99")) == set(points)


def test_nearness_is_of_the_newest_position_and_of_what_is_seen(hub: Hub) -> None:
    text = "Location?near=41.9|-91.6|1"
    put(hub, CLINIC, location("a", (41.9, -91.6)), location("b", (42.9, -91.6)))
    assert found(hub, CLINIC, text) == ["a"]
    put(hub, CLINIC, location("a", (42.9, -91.6)), location("b", (41.9, -91.6)))
    assert found(hub, CLINIC, text) == ["b"]
    assert found(hub, CLINIC, f"{text},42.9|-91.6|1") == ["a", "b"]
    assert found(hub, PANTRY, text) == []
    grant(hub, PANTRY.agency, "Location/b")
    assert found(hub, PANTRY, f"{text},42.9|-91.6|1") == ["b"]
    hub.reindex()
    assert found(hub, CLINIC, text) == ["b"]


def test_services_are_found_by_where_they_are(hub: Hub) -> None:
    service = {
        "resourceType": "HealthcareService",
        "id": "s",
        "location": [{"reference": "Location/a"}],
    }
    put(hub, CLINIC, location("a", (41.9, -91.6)), service)
    put(hub, PANTRY, service | {"id": "t"})
    assert found(hub, CLINIC, "HealthcareService?location.near=41.91|-91.61|5") == ["s"]
    assert found(hub, CLINIC, "HealthcareService?location.near=42.91|-91.61|5") == []
    assert found(hub, PANTRY, "HealthcareService?location.near=41.91|-91.61|5") == []


# --- sounds --------------------------------------------------------------------------------------

NAMES = {
    "smyth": {"family": "Smyth", "given": ["Kathryn", "Ann"]},
    "smith": {"family": "Smith", "given": ["John"]},
    "nunez": {"text": "Zoë Núñez-Garcia"},
    "yamada": {"family": "山田"},
    "schmidt": {"family": "Schmidt", "given": ["Ana"]},
}

SOUNDS = {
    "smith": ["smith", "smyth"],
    "SMITH": ["smith", "smyth"],
    "catherine smith": ["smyth"],
    "nunes": ["nunez"],
    "garcia": ["nunez"],
    "山田": ["yamada"],
    "catherine,jon": ["smith", "smyth"],
    "smith jon,anna smith": ["smith", "smyth"],
    "jones": [],
}


def person(id: str, name: dict[str, Any]) -> Resource:
    return {"resourceType": "Patient", "id": id, "name": [name]}


def test_names_are_found_by_what_they_sound_like(hub: Hub) -> None:
    put(hub, CLINIC, *(person(id, name) for id, name in NAMES.items()))
    put(hub, CLINIC, {"resourceType": "Patient", "id": "nameless"})
    for asked, ids in SOUNDS.items():
        assert sorted(found(hub, CLINIC, f"Patient?phonetic={asked}")) == ids, asked
        assert found(hub, PANTRY, f"Patient?phonetic={asked}") == []
    assert found(hub, CLINIC, "Patient?phonetic:missing=true") == ["nameless"]
    put(hub, CLINIC, person("smith", {"family": "Jones"}))
    assert found(hub, CLINIC, "Patient?phonetic=smith") == ["smyth"]
    grant(hub, PANTRY.agency, "Patient/smyth")
    assert found(hub, PANTRY, "Patient?phonetic=smith") == ["smyth"]
    assert found(hub, STRANGER, "Patient?phonetic=smith") == []


@pytest.mark.parametrize(
    ("type", "name"),
    [
        ("Practitioner", [{"family": "Wright"}]),
        ("Person", [{"family": "Wright"}]),
        ("RelatedPerson", [{"given": ["Wright"]}]),
        ("Organization", "Wright & Sons"),
    ],
)
def test_whoever_has_a_name_is_found_by_its_sound(hub: Hub, type: str, name: Any) -> None:
    put(hub, CLINIC, {"resourceType": type, "id": "a", "name": name})
    assert found(hub, CLINIC, f"{type}?phonetic=rite") == ["a"]
    assert found(hub, CLINIC, f"{type}?phonetic=left") == []


def test_a_sound_is_none_of_what_a_resource_alone_tells() -> None:
    for asked in ("smith", "john smith"):
        (one,) = parse_query("Patient", [("phonetic", asked)]).criteria
        assert not in_memory(one)


def test_a_patients_tasks_are_found_by_its_names_sound(hub: Hub) -> None:
    task = {"resourceType": "Task", "id": "t", "for": {"reference": "Patient/smyth"}}
    put(hub, CLINIC, person("smyth", NAMES["smyth"]), task)
    put(hub, PANTRY, task | {"id": "u"})
    for asked in ("smith", "catherine smith"):
        assert found(hub, CLINIC, f"Task?patient.phonetic={asked}") == ["t"]
        assert page(hub, PANTRY, f"Task?patient.phonetic={asked}").entries == ()
