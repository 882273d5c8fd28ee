"""A HealthcareService as a candidate: each element that routing reads, odd ones too."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, time
from typing import Any

import pytest

from gateway.fhir import codes, gates
from gateway.model import Agency
from gateway.route.facts import Area, Candidate, Circle, Eligibility, Opening
from gateway.route.services import GEOJSON, Beside, candidate

PANTRY = Agency("pantry", "Eastside Pantry", timezone="America/Chicago")
HAVEN = Agency("haven", "Safe Harbor", confidential=True)
BARE = {"resourceType": "HealthcareService", "id": "s"}
BOX = [[[-92.0, 41.0], [-91.0, 41.0], [-91.0, 42.0], [-92.0, 42.0], [-92.0, 41.0]]]
RING = ((41.0, -92.0), (41.0, -91.0), (42.0, -91.0), (42.0, -92.0), (41.0, -92.0))


def read(
    service: dict[str, Any] | None = None, *locations: dict[str, Any], agency: Agency = PANTRY
) -> Candidate:
    named = {f"Location/{number}": each for number, each in enumerate(locations)}
    covered = [{"reference": each} for each in named]
    whole = {**BARE, **({"coverageArea": covered} if covered else {}), **(service or {})}
    gates.check(whole)
    return candidate(whole, agency, Beside(named))


def extension(name: str, **value: Any) -> dict[str, Any]:
    return {"url": name if ":" in name else codes.ROUTE + name, **value}


def place(**address: Any) -> dict[str, Any]:
    return {"resourceType": "Location", "id": "l", "address": address}


def shape(text: str) -> dict[str, Any]:
    data = base64.b64encode(text.encode()).decode()
    return {
        "resourceType": "Location",
        "id": "l",
        "extension": [extension(GEOJSON, valueAttachment={"data": data})],
    }


def around(code: str, value: float = 10) -> dict[str, Any]:
    radius = {"value": value, "system": "http://unitsofmeasure.org", "code": code}
    return {
        "resourceType": "Location",
        "id": "l",
        "position": {"latitude": 41.66, "longitude": -91.53},
        "extension": [extension("coverage-radius", valueQuantity=radius)],
    }


def eligible(code: str, **more: Any) -> dict[str, Any]:
    return {"code": {"coding": [{"system": codes.ELIGIBILITY, "code": code}]}, **more}


def test_a_bare_service_states_nothing_and_is_its_agencys() -> None:
    assert read() == Candidate(
        "HealthcareService/s", "pantry", "Eastside Pantry", timezone="America/Chicago"
    )


@pytest.mark.parametrize(
    ("service", "element", "value"),
    [
        ({"name": "Night pantry"}, "name", "Night pantry"),
        ({"active": False}, "active", False),
        ({"active": True}, "active", True),
        (
            {"extension": [extension("receives-referrals", valueBoolean=False)]},
            "receives",
            False,
        ),
        ({"extension": [extension("routing-weight", valuePositiveInt=3)]}, "weight", 3),
        (
            {"category": [{"coding": [{"system": "s", "code": "a"}, {"display": "x"}]}]},
            "categories",
            {("s", "a")},
        ),
        (
            {"type": [{"coding": [{"code": "a"}]}], "specialty": [{"coding": [{"code": "b"}]}]},
            "codes",
            {("", "a"), ("", "b")},
        ),
        (
            {"communication": [{"coding": [{"code": "es-MX"}]}, {"coding": [{"code": "EN"}]}]},
            "languages",
            {"es", "en"},
        ),
    ],
)
def test_an_element_is_read(service: dict[str, Any], element: str, value: Any) -> None:
    assert getattr(read(service), element) == value


@pytest.mark.parametrize(
    ("location", "area"),
    [
        (place(postalCode="52240-1234", state="IA"), Area(zips=frozenset({"52240"}))),
        (
            place(district="Cedar County", state="IA"),
            Area(counties=frozenset({("ia", "cedar")})),
        ),
        (place(district="Cedar"), Area(counties=frozenset({("", "cedar")}))),
        (place(state="IA"), Area(states=frozenset({"ia"}))),
        (place(city="Tipton", state="IA"), Area()),
        (around("km"), Area(circles=(Circle((41.66, -91.53), 10.0),))),
        (around("[mi_i]"), Area(circles=(Circle((41.66, -91.53), 16.09344),))),
        (around("s"), Area()),
        (shape(json.dumps({"type": "Polygon", "coordinates": BOX})), Area(shapes=(RING,))),
        (
            shape(json.dumps({"type": "MultiPolygon", "coordinates": [BOX, BOX]})),
            Area(shapes=(RING, RING)),
        ),
        (
            shape(
                json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": BOX}})
            ),
            Area(shapes=(RING,)),
        ),
        (shape("not json"), Area()),
        (shape("[]"), Area()),
        (shape('{"type": "Polygon", "coordinates": [["x"]]}'), Area()),
    ],
)
def test_a_location_tells_the_area_by_the_narrowest_it_has(
    location: dict[str, Any], area: Area
) -> None:
    assert read(None, location).area == area


def test_several_locations_are_one_area() -> None:
    both = read(None, place(postalCode="52240"), place(postalCode="52601"), around("km"))
    assert both.area.zips == {"52240", "52601"}
    assert len(both.area.circles) == 1


def test_of_a_victim_service_providers_place_nothing_is_read() -> None:
    hidden = read({"name": "x"}, place(postalCode="52240"), around("km"), agency=HAVEN)
    assert hidden.confidential
    assert hidden.area == Area()


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([eligible("veterans")], Eligibility(veterans_only=True)),
        ([eligible("women")], Eligibility(genders=frozenset({"female"}))),
        (
            [eligible("with-children"), eligible("only-children")],
            Eligibility(households=frozenset({"with-children", "only-children"})),
        ),
        (
            [
                {
                    "extension": [
                        extension(
                            "eligibility-age",
                            valueRange={"low": {"value": 18}, "high": {"value": 24}},
                        )
                    ]
                }
            ],
            Eligibility(youngest=18, oldest=24),
        ),
        (
            [
                eligible(
                    "men",
                    extension=[extension("eligibility-age", valueRange={"low": {"value": 60}})],
                )
            ],
            Eligibility(youngest=60, genders=frozenset({"male"})),
        ),
        ([{"comment": "Proof of address"}, {"code": {"text": "Income"}}], Eligibility(others=2)),
        ([eligible("left-handed")], Eligibility(others=1)),
    ],
)
def test_eligibility_is_read_and_what_isnt_understood_is_counted(
    conditions: list[dict[str, Any]], found: Eligibility
) -> None:
    assert read({"eligibility": conditions}).eligibility == found


def test_opening_hours_are_read() -> None:
    found = read(
        {
            "availableTime": [
                {
                    "daysOfWeek": ["tue", "thu"],
                    "availableStartTime": "09:00:00",
                    "availableEndTime": "12:30:00.5",
                },
                {"daysOfWeek": ["sun"], "allDay": True},
                {"availableStartTime": "18:00:00"},
            ]
        }
    )
    week = frozenset(range(7))
    assert found.openings == (
        Opening(frozenset({1, 3}), time(9), time(12, 30)),
        Opening(frozenset({6}), time(0), time(0)),
        Opening(week, time(18), time(0)),
    )


def test_when_it_is_closed_is_read_in_its_own_time() -> None:
    def periods(*during: dict[str, str]) -> tuple[tuple[datetime, datetime], ...]:
        away = [{"description": "closed", "during": each} for each in during]
        return read({"notAvailable": away}).closed

    ((start, end),) = periods({"start": "2026-12-24", "end": "2026-12-26"})
    assert start == datetime(2026, 12, 24, 6, tzinfo=UTC)
    assert end == datetime(2026, 12, 27, 6, tzinfo=UTC)
    ((start, end),) = periods({"start": "2026-12-24T12:00:00Z"})
    assert (start, end.year) == (datetime(2026, 12, 24, 12, tzinfo=UTC), 9999)
    ((start, end),) = periods({"start": "2026-12-31T23:59:60Z", "end": "9999-12-31"})
    assert (start.second, end.year) == (59, 9999)
    assert read({"notAvailable": [{"description": "now and then"}]}).closed == ()


def test_a_leap_second_is_its_minute() -> None:
    (hours,) = read({"availableTime": [{"availableEndTime": "23:59:60"}]}).openings
    assert hours.end == time(23, 59)


@pytest.mark.parametrize("name", ["receives-referrals", "routing-weight", "required-document"])
def test_an_extension_with_a_value_of_another_type_says_nothing(name: str) -> None:
    assert read({"extension": [extension(name, valueString="yes")]}) == read()


def test_nor_do_those_of_its_places_and_conditions() -> None:
    odd = {"extension": [extension("eligibility-age", valueString="18 to 24")]}
    assert read({"eligibility": [odd]}).eligibility == Eligibility(others=1)
    wide = around("km")
    wide["extension"] = [extension("coverage-radius", valueString="10 km")]
    assert read(None, wide).area == Area()
    far = "9" * 400
    assert read(None, shape(f'{{"type": "Polygon", "coordinates": [[[{far}, 1]]]}}')).area == Area()
    deep = "[" * 100_000
    assert read(None, shape(f'{{"type": "Polygon", "coordinates": {deep}')).area == Area()


def test_insurance_accessibility_and_documents_are_read() -> None:
    payer, own = "https://nahdo.org/sopt", codes.ROUTE + "required-document"
    photo = {"coding": [{"system": "urn:x", "code": "id", "display": "Photo ID"}]}
    found = read(
        {
            "name": "x",
            "eligibility": [{"code": {"coding": [{"system": payer, "code": "2"}]}}],
            "characteristic": [
                {"coding": [{"system": codes.ACCESSIBILITY, "code": "wheelchair"}]},
                {"text": "parking"},
            ],
            "extension": [
                {"url": own, "valueCodeableConcept": photo},
                {"url": own, "valueCodeableConcept": {"text": "Proof of address"}},
            ],
        }
    )
    assert found.eligibility == Eligibility(insurances=frozenset({(payer, "2")}))
    assert found.accessible == {(codes.ACCESSIBILITY, "wheelchair")}
    assert found.papers == (
        {("urn:x", "id"), ("", "photo id")},
        {("", "proof of address")},
    )
