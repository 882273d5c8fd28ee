"""A query evaluated in memory, against R4's own words for each comparison."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from gateway.fhir.search import matches, parse_query
from gateway.fhir.search_parameters import parameters
from gateway.model import Resource
from tests.corpora import needs_corpora
from tests.fhir.examples import official

TASK: Resource = {
    "resourceType": "Task",
    "id": "t1",
    "meta": {"lastUpdated": "2024-03-01T10:00:00.123Z", "tag": [{"code": "demo"}]},
    "status": "requested",
    "intent": "order",
    "owner": {"reference": "Organization/harbor"},
    "authoredOn": "2024-03-01",
    "executionPeriod": {"start": "2024-03-05"},
    "identifier": [{"system": "urn:oid:1", "value": "42"}, {"value": "bare"}],
}
PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "O'Brien", "given": ["Zoë"]}],
    "birthDate": "1980-05",
}
OBSERVATION: Resource = {
    "resourceType": "Observation",
    "id": "o1",
    "valueQuantity": {"value": 5.4, "unit": "milligram", "system": "http://u.org", "code": "mg"},
}

TRUE = [
    "status=requested",
    "status=draft,requested",
    "status=http://hl7.org/fhir/task-status|requested",
    "status:not=draft",
    "business-status:not=x",
    "identifier=42",
    "identifier=urn:oid:1|42",
    "identifier=urn:oid:1|",
    "identifier=|bare",
    "owner=Organization/harbor",
    "owner=harbor",
    "owner:Organization=harbor",
    "owner:missing=false",
    "requester:missing=true",
    "_id=t1,t2",
    "_tag=demo",
    "_lastUpdated=2024-03-01",
    "_lastUpdated=gt2024-03-01T10:00:00.122Z",
    "_lastUpdated=lt2024-03-01T10:00:01Z",
    "authored-on=2024-03-01",
    "authored-on=2024-03",
    "authored-on=ge2024-03-01",
    "authored-on=le2024-03-01",
    "authored-on=gt2024-02",
    "authored-on=sa2024-02",
    "authored-on=eb2024-03-02",
    "authored-on=ne2024-03-02",
    "authored-on=gt2024-03-01T00:00:00Z",
    "period=gt2030",
    "period=ge2024-03-05",
    "period=sa2024-03-04",
    "status=requested&owner=harbor",
]
FALSE = [
    "status=draft",
    "status=Requested",
    "status=http://other|requested",
    "status=|requested",
    "status:not=requested",
    "identifier=urn:oid:2|42",
    "identifier=|42",
    "owner=Practitioner/harbor",
    "owner:Practitioner=harbor",
    "owner=Organization/harbo",
    "owner:missing=true",
    "requester:missing=false",
    "requester=harbor",
    "_id=t2",
    "_lastUpdated=gt2024-03-01T10:00:00.123Z",
    "authored-on=2024-03-02",
    "authored-on=2024-03-01T10:00:00Z",
    "authored-on=gt2024-03-01",
    "authored-on=lt2024-03-01",
    "authored-on=sa2024-03-01",
    "authored-on=eb2024-03-01",
    "authored-on=ne2024-03-01",
    "period=eb2030",
    "period=2024",
    "status=requested&owner=other",
]


def found(text: str, resource: Resource) -> bool:
    return matches(parse_query(resource["resourceType"], parse_qsl(text)), resource)


@pytest.mark.parametrize("text", TRUE)
def test_a_task_is_found(text: str) -> None:
    assert found(text, TASK)


@pytest.mark.parametrize("text", FALSE)
def test_a_task_is_not_found(text: str) -> None:
    assert not found(text, TASK)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name=obri", True),
        ("name=O%27BRIEN", True),
        ("name=zoe", True),
        ("name=brien", False),
        ("name:contains=brien", True),
        ("family:exact=O%27Brien", True),
        ("family:exact=o%27brien", False),
        ("birthdate=1980", True),
        ("birthdate=1980-05-03", False),
        ("birthdate=ge1980-05-03", True),
    ],
)
def test_a_patient_is_found_by_texts_and_partial_dates(text: str, expected: bool) -> None:
    assert found(text, PATIENT) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.4", True),
        ("5", True),
        ("6", False),
        ("5.4|http://u.org|mg", True),
        ("5.4||mg", True),
        ("5.4||milligram", True),
        ("5.4|http://u.org|milligram", False),
        ("5.4|http://other|mg", False),
        ("5.40", True),
        ("5.41", False),
        ("gt5.3", True),
        ("gt5.4", False),
        ("ge5.4", True),
        ("lt5.5", True),
        ("le5.4", True),
        ("ne5.4", False),
        ("ap5", True),
        ("ap4", False),
        ("sa5.3", True),
        ("eb5.5", True),
    ],
)
def test_a_quantity_is_found_by_value_and_unit(text: str, expected: bool) -> None:
    assert found(f"value-quantity={text}", OBSERVATION) is expected


def test_another_type_is_never_found() -> None:
    assert not matches(parse_query("Task", []), PATIENT)


def test_rows_at_hand_are_used() -> None:
    assert not matches(parse_query("Task", [("status", "requested")]), TASK, rows=[])


@needs_corpora
@pytest.mark.corpora
def test_of_every_example_each_parameter_is_either_missing_or_not() -> None:
    for name, resource in official("r4-spec-examples"):
        type_ = resource["resourceType"]
        for code, one in parameters(type_).items():
            if not code.startswith("_") and one.late is None:
                missing = parse_query(type_, [(f"{code}:missing", "true")])
                present = parse_query(type_, [(f"{code}:missing", "false")])
                assert matches(missing, resource) is not matches(present, resource), name
