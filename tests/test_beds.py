"""Stays are counted: a full shelter says so, and a place that is free again wakes who waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.beds import Beds
from gateway.fhir import gates, json
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.route.capacity import DETAIL, read_capacity
from gateway.route.facts import Capacity, Room
from gateway.settings import Settings
from gateway.store import Hub, open_hub
from tests.shipped import library


class Shelter:
    """A shelter of two beds, another agency, and the hub that counts."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        settings = Settings(data_dir=folder)
        self.hub = hub
        pipeline = Pipeline(hub, library(), settings, as_message)
        for agency in ("shelter", "clinic"):
            pipeline.add_agency(agency, None)
        self.pipeline = pipeline
        self.now = datetime.now(UTC)
        self.beds = Beds(hub, pipeline._hall, pipeline._submit, lambda: self.now)
        self.put({"resourceType": "Location", "id": "hall", "name": "Hall"})
        self.serve()

    def put(self, resource: dict[str, Any], owner: str = "shelter") -> None:
        context = Context(owner, "test")
        valid = gates.check(resource)
        self.hub.write(lambda tx: tx.put(context, valid, interaction="update"))

    def serve(self, **more: Any) -> None:
        parts: list[dict[str, Any]] = [
            {"url": "beds", "valueBoolean": True},
            {"url": "stays", "valueBoolean": True},
            {"url": "total", "valueInteger": 2},
        ]
        self.put(
            {
                "resourceType": "HealthcareService",
                "id": "nights",
                "active": True,
                "extension": [{"url": DETAIL, "extension": parts}],
                "location": [{"reference": "Location/hall"}],
                **more,
            }
        )

    def stay(self, who: str, status: str = "in-progress", owner: str = "shelter") -> None:
        klass = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
        self.put(
            {
                "resourceType": "Encounter",
                "id": f"stay-{who}-{owner}",
                "status": status,
                "class": klass,
                "subject": {"reference": f"Patient/{who}"},
                "location": [{"location": {"reference": "Location/hall"}}],
            },
            owner,
        )

    def says(self) -> Capacity | None:
        with self.hub.read() as reader:
            stored = reader.read(Context("shelter", "test"), "HealthcareService", "nights")
        return read_capacity(json.loads(stored.body))

    def room(self) -> tuple[Room, int | None]:
        found = self.says()
        assert found is not None
        return found.room, found.free


@pytest.fixture
def shelter(tmp_path: Path) -> Iterator[Shelter]:
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield Shelter(hub, tmp_path)
    hub.close()


def test_each_stay_takes_a_place_and_each_end_frees_one(shelter: Shelter) -> None:
    told = []
    for who, status in (("a", "in-progress"), ("b", "onleave"), ("a", "finished")):
        shelter.stay(who, status)
        assert shelter.beds.due()
        assert shelter.beds.run() == 1
        told.append(shelter.room())
    assert told == [(Room.CAPACITY, 1), (Room.NONE, 0), (Room.CAPACITY, 1)]
    said = shelter.says()
    assert said is not None
    assert (said.total, said.beds) == (2, True)


def test_one_person_takes_one_place_and_others_stays_none(shelter: Shelter) -> None:
    shelter.stay("a")
    shelter.stay("a", owner="clinic")
    shelter.stay("b", owner="clinic")
    shelter.stay("c", "planned")
    shelter.beds.run()
    assert shelter.room() == (Room.CAPACITY, 1)


def test_nothing_new_is_nothing_said(shelter: Shelter) -> None:
    shelter.stay("a")
    assert shelter.beds.run() == 1
    assert shelter.beds.run() == 0
    shelter.now += timedelta(seconds=10)
    shelter.beds.run()
    assert not shelter.beds.due()


def test_what_is_said_is_said_again_before_it_grows_stale(shelter: Shelter) -> None:
    shelter.beds.run()
    first = shelter.says()
    shelter.now += timedelta(hours=13)
    assert shelter.beds.due()
    assert shelter.beds.run() == 1
    second = shelter.says()
    assert first is not None
    assert second is not None
    assert second.at - first.at == timedelta(hours=13)


def test_a_service_that_no_longer_asks_is_left_alone(shelter: Shelter) -> None:
    shelter.beds.run()
    counts = [{"url": "total", "valueInteger": 2}]
    shelter.serve(extension=[{"url": DETAIL, "extension": counts}])
    shelter.stay("a")
    assert shelter.beds.run() == 0
    assert shelter.says() is None
    shelter.now += timedelta(hours=13)
    shelter.beds.run()
    assert not shelter.beds.due()


def test_a_start_counts_what_happened_before(shelter: Shelter) -> None:
    shelter.stay("a")
    shelter.beds.run()
    shelter.stay("b")
    later = Beds(shelter.hub, shelter.pipeline._hall, shelter.pipeline._submit)
    assert later.due()
    assert later.run() == 1
    assert shelter.room() == (Room.NONE, 0)
