"""Capacity: what was said, how long it counts, the one-tap update and what bed stays tell."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from gateway.fhir import codes, gates
from gateway.route.capacity import (
    DETAIL,
    after_stays,
    has_room,
    is_full,
    opened,
    read_capacity,
    told,
    weight,
)
from gateway.route.facts import Capacity, Room
from tests.corpora import CORPORA
from tests.route import samples
from tests.route.samples import NOW, pantry, referral

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def service(**more: Any) -> dict[str, Any]:
    return {"resourceType": "HealthcareService", "id": "s", "active": True, **more}


def shelter(room: Room = Room.CAPACITY, **more: Any) -> dict[str, Any]:
    """Sixty beds."""
    beds = {"url": DETAIL, "extension": [{"url": "beds", "valueBoolean": True}]}
    return told(service(extension=[beds]), room, NOW, total=60, **more)


@pytest.mark.parametrize(
    ("capacity", "says", "points"),
    [
        (None, "confirm", 0),
        (samples.told(Room.CAPACITY), "for", 20),
        (samples.told(Room.ASSESSMENT), "for", 10),
        (samples.told(Room.WAITLIST), "against", -10),
        (samples.told(Room.NONE), "against", -20),
        (samples.told(Room.CAPACITY, ago=7 * DAY), "for", 20),
        (samples.told(Room.CAPACITY, ago=14 * DAY), "confirm", 10),
        (samples.told(Room.CAPACITY, ago=21 * DAY), "confirm", 5),
        (samples.told(Room.CAPACITY, ago=24 * HOUR, beds=True), "for", 20),
        (samples.told(Room.CAPACITY, ago=48 * HOUR, beds=True), "confirm", 10),
        (samples.told(Room.NONE, ago=48 * HOUR, beds=True), "confirm", -10),
        (samples.told(Room.CAPACITY, ago=-DAY), "for", 20),  # a clock that runs ahead
    ],
)
def test_room_counts_less_as_it_grows_stale(
    capacity: Capacity | None, says: str, points: int
) -> None:
    found = has_room(referral(), pantry(capacity=capacity), NOW)
    assert (found.says, found.points) == (says, points)


def test_a_stale_word_never_counts_more_than_a_fresh_one() -> None:
    weights = [weight(samples.told(Room.CAPACITY, ago=DAY * each), NOW) for each in range(60)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == 1
    assert weights[-1] > 0


def test_full_is_only_believed_while_it_is_fresh() -> None:
    assert is_full(pantry(capacity=samples.told(Room.NONE)), NOW)
    assert not is_full(pantry(capacity=samples.told(Room.NONE, ago=8 * DAY)), NOW)
    assert not is_full(pantry(capacity=None), NOW)


def test_what_was_told_is_read_back_and_is_valid_r4() -> None:
    said = told(service(), Room.WAITLIST, NOW, free=0, total=12, notes="two weeks")
    assert read_capacity(said) == Capacity(Room.WAITLIST, NOW, beds=False, free=0, total=12)
    gates.check(said)
    again = told(said, Room.CAPACITY, NOW + HOUR, free=2)
    assert read_capacity(again) == Capacity(Room.CAPACITY, NOW + HOUR, False, 2, 12)
    urls = [each["url"] for each in again["extension"]]
    assert sorted(urls) == sorted([codes.CAPACITY_STATUS, DETAIL])


def test_other_extensions_stay_where_one_tells_of_room() -> None:
    other = {"url": "http://example.org/x", "valueBoolean": True}
    assert other in told(service(extension=[other]), Room.NONE, NOW)["extension"]


def test_without_a_time_of_its_own_it_is_as_old_as_its_version() -> None:
    said = told(service(), Room.CAPACITY, NOW)
    said["extension"] = [each for each in said["extension"] if each["url"] != DETAIL]
    assert read_capacity(said) is None
    dated = {**said, "meta": {"lastUpdated": "2026-11-20T08:00:00.000Z"}}
    found = read_capacity(dated)
    assert found is not None
    assert found.at.isoformat() == "2026-11-20T08:00:00+00:00"
    assert read_capacity(said, NOW) == Capacity(Room.CAPACITY, NOW)


@pytest.mark.parametrize("code", ["homelessness", "intimate-partner-violence"])
def test_needs_that_a_bed_meets_are_counted_by_the_day(code: str) -> None:
    coding = {"system": codes.SDOH_CODES, "code": code}
    found = read_capacity(told(service(category=[{"coding": [coding]}]), Room.NONE, NOW))
    assert found is not None
    assert found.beds


def test_sdoh_clinical_cares_own_example_is_read() -> None:
    folder = CORPORA / "sdoh-clinicalcare"
    if not folder.is_dir():
        pytest.skip("needs the corpora beside the checkout")
    file = folder / "HealthcareService-SDOHCC-HealthcareServiceSocialCareProgram.json"
    found = read_capacity(json.loads(file.read_bytes()), NOW)
    assert found == Capacity(Room.CAPACITY, NOW)


@pytest.mark.parametrize(
    ("before", "occupied", "room", "free"),
    [
        (Room.CAPACITY, 59, Room.CAPACITY, 1),
        (Room.CAPACITY, 60, Room.NONE, 0),
        (Room.CAPACITY, 61, Room.NONE, 0),
        (Room.NONE, 58, Room.CAPACITY, 2),
        (Room.WAITLIST, 60, Room.WAITLIST, 0),
        (Room.WAITLIST, 59, Room.CAPACITY, 1),
        (Room.ASSESSMENT, 40, Room.ASSESSMENT, 20),
    ],
)
def test_bed_stays_tell_of_room(before: Room, occupied: int, room: Room, free: int) -> None:
    found = read_capacity(after_stays(shelter(before), occupied, NOW + HOUR))
    assert found == Capacity(room, NOW + HOUR, beds=True, free=free, total=60)


def test_a_service_that_counts_no_places_is_left_alone() -> None:
    for plain in (service(), told(service(), Room.CAPACITY, NOW)):
        assert after_stays(plain, 3, NOW) is plain


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [
        (shelter(Room.NONE), shelter(Room.CAPACITY), True),
        (shelter(Room.WAITLIST), shelter(Room.CAPACITY), True),
        (shelter(Room.NONE), shelter(Room.WAITLIST), False),
        (shelter(Room.CAPACITY), shelter(Room.CAPACITY), False),
        (shelter(Room.CAPACITY, free=1), shelter(Room.CAPACITY, free=2), True),
        (shelter(Room.CAPACITY, free=2), shelter(Room.CAPACITY, free=1), False),
        (None, shelter(Room.CAPACITY), True),
        (shelter(Room.NONE), service(), False),
    ],
)
def test_a_place_opens(before: Any, after: Any, woken: bool) -> None:
    assert opened(before, after, NOW) is woken


def test_an_old_word_of_room_opens_nothing() -> None:
    assert not opened(shelter(Room.NONE), shelter(Room.CAPACITY), NOW + 2 * DAY)
