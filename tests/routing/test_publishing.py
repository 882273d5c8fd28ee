"""Who sees the directory: everybody what is active, nobody where a victim service provider is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.errors import InvalidResource
from gateway.fhir.search import parse_query
from gateway.members import Members
from gateway.model import Context, Resource
from gateway.routing import publishing
from gateway.store import Hub, Written
from tests.routing.county import CLINIC, hide, join, put, service

PLACE = {"resourceType": "Location", "id": "l", "address": {"postalCode": "52240"}}
THERE = [{"reference": "Location/l"}]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def members(hub: Hub, tmp_path: Path) -> Members:
    members = join(hub, "clinic", "haven", "bank")
    hide(members, "haven", tmp_path)
    return members


def published(hub: Hub, members: Members, owner: str, resource: Resource) -> Written:
    with hub.read() as reader:
        query = parse_query("HealthcareService", [("_id", "s")])
        found = reader.search(Context(owner, "test"), query)
        before = json.loads(found.entries[0].body) if found.entries else None
    written = put(hub, owner, resource)
    hub.write(lambda tx: publishing.publish(tx, members, before, written))
    return written


def sees(hub: Hub, *references: str) -> list[bool]:
    with hub.read() as reader:
        return [reader.visible(CLINIC, each) for each in references]


def test_an_active_service_and_its_places_are_everybodys(hub: Hub, members: Members) -> None:
    put(hub, "bank", PLACE)
    published(hub, members, "bank", service("s", location=THERE))
    assert sees(hub, "HealthcareService/s", "Location/l") == [True, True]
    published(hub, members, "bank", service("s"))
    assert sees(hub, "HealthcareService/s", "Location/l") == [True, False]
    published(hub, members, "bank", service("s", coverageArea=THERE))
    assert sees(hub, "HealthcareService/s", "Location/l") == [True, True]
    published(hub, members, "bank", service("s", coverageArea=THERE) | {"active": False})
    assert sees(hub, "HealthcareService/s", "Location/l") == [False, False]


def test_another_agencys_place_is_not_given_away(hub: Hub, members: Members) -> None:
    put(hub, "haven", PLACE)
    published(hub, members, "bank", service("s", location=THERE))
    assert sees(hub, "HealthcareService/s", "Location/l") == [True, False]


def test_a_victim_service_providers_place_is_nobodys(hub: Hub, members: Members) -> None:
    put(hub, "haven", PLACE)
    published(hub, members, "haven", service("s", location=THERE))
    assert sees(hub, "HealthcareService/s", "Location/l") == [True, False]


@pytest.mark.parametrize("element", ["location", "coverageArea"])
def test_a_victim_service_providers_service_names_no_place(
    hub: Hub, members: Members, element: str
) -> None:
    told = service("s", **{element: THERE})
    with pytest.raises(InvalidResource) as caught:
        publishing.check(members, Context("haven", "test"), told)
    assert caught.value.place == f"HealthcareService.{element}"
    plain = service("s")
    assert publishing.check(members, Context("haven", "test"), plain) is plain
    assert publishing.check(members, Context("bank", "test"), told) is told
