"""Candidates for a match: by number, by birth date and name, by name; what may be seen alone."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.fhir.search_parameters import extract
from gateway.identify.ways import described
from gateway.model import Context
from gateway.operations.matching import FOUND_BY
from gateway.store import Hub
from gateway.store.search import alike
from tests.store import plans
from tests.store.found import grant, put

CLINIC, PANTRY = Context("clinic", "test"), Context("pantry", "test")
SSN = "http://hl7.org/fhir/sid/us-ssn"


def person(id: str = "ana", **changed: Any) -> dict[str, Any]:
    made = {
        "resourceType": "Patient",
        "id": id,
        "identifier": [{"system": "urn:x", "value": "7"}, {"system": SSN, "value": "999-1"}],
        "name": [{"family": "Rivera", "given": ["Ana", "Luz"]}],
        "birthDate": "1984-07-19",
        "telecom": [{"system": "phone", "value": "555-0100"}],
        **changed,
    }
    return {name: value for name, value in made.items() if value is not None}


def found(hub: Hub, who: dict[str, Any], context: Context = CLINIC, most: int = 10) -> list[str]:
    with hub.read() as reader:
        rows = extract(described(who), FOUND_BY)
        return sorted(one.id for one in reader.alike(context, rows, most))


@pytest.mark.parametrize(
    "known",
    [
        {"identifier": [{"system": "urn:x", "value": "7"}]},
        {"identifier": [{"value": "7"}]},
        {"telecom": [{"system": "phone", "value": "555-0100"}]},
        {"name": [{"family": "Rivas"}], "birthDate": "1984-07-19"},
        {"name": [{"given": ["Anna"]}], "birthDate": "1984-07-19"},
        {"name": [{"family": "RIVERA", "given": ["Andrea"]}]},
        {"name": [{"family": "Rivera", "given": ["Ana"]}], "birthDate": "1984"},
    ],
)
def test_each_way_finds_a_person(hub: Hub, known: dict[str, Any]) -> None:
    other = person("bo", identifier=None, telecom=None, name=[{"family": "Okafor"}])
    put(hub, CLINIC, person(), other)
    assert found(hub, {"resourceType": "Patient", **known}) == ["ana"]


@pytest.mark.parametrize(
    "known",
    [
        {"identifier": [{"system": "urn:y", "value": "7"}]},
        {"birthDate": "1984-07-19"},
        {"name": [{"family": "Rivera"}]},
        {"name": [{"given": ["Ana"]}]},
        {"name": [{"family": "Rivera", "given": ["Bo"]}], "birthDate": "1990-01-01"},
        {},
    ],
)
def test_one_fact_that_many_share_finds_nobody(hub: Hub, known: dict[str, Any]) -> None:
    put(hub, CLINIC, person())
    assert found(hub, {"resourceType": "Patient", **known}) == []


def test_what_a_grant_hides_finds_nobody(hub: Hub) -> None:
    put(hub, CLINIC, person())
    by_ssn = {"resourceType": "Patient", "identifier": [{"system": SSN, "value": "999-1"}]}
    assert found(hub, by_ssn) == ["ana"]
    assert found(hub, person(), PANTRY) == []
    grant(hub, "pantry", "Patient/ana")
    assert found(hub, person(), PANTRY) == ["ana"]
    assert found(hub, by_ssn, PANTRY) == []


def test_no_way_finds_more_than_is_asked_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    namesakes = [person(f"p{number}", identifier=None, telecom=None) for number in range(6)]
    put(hub, CLINIC, *namesakes)
    by_name = {"resourceType": "Patient", "name": [{"family": "Rivera", "given": ["Ana"]}]}
    assert len(found(hub, by_name)) == 6
    assert len(found(hub, by_name, most=4)) == 4
    monkeypatch.setattr(alike, "_NAME", alike._by_name(looked=3))
    assert len(found(hub, by_name)) == 3


def test_each_way_goes_by_an_index(hub: Hub) -> None:
    put(hub, CLINIC, person())
    seen = plans.watched(hub)
    assert found(hub, person()) == ["ana"]
    asked = [(text, values) for text, values in seen if text.startswith("SELECT")]
    assert len(asked) == 5  # two numbers, a contact, a birth date, a name
    for text, values in asked:
        assert not any(map(plans.is_whole, plans.plan(hub, text, values)))
