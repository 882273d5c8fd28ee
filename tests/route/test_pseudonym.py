"""What tells who a person is: whatever isn't known to be harmless."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.route.pseudonym import persons, telling

ANON = {"coding": [{"code": "ANON"}]}
MRN = {"coding": [{"code": "MR"}]}
SSN = "http://hl7.org/fhir/sid/us-ssn"
HERON = {"reference": "Patient/heron"}


@pytest.mark.parametrize(
    ("patient", "told"),
    [
        ({}, ""),
        ({"id": "p", "meta": {}, "active": True, "gender": "unknown"}, ""),
        ({"identifier": [{"system": "urn:dv", "value": "x"}]}, ""),
        ({"identifier": [{"type": ANON, "value": "x"}]}, ""),
        ({"name": [{"use": "anonymous", "text": "Blue heron"}]}, ""),
        ({"name": [{"use": "anonymous"}, {"family": "Novak"}]}, "Patient.name"),
        ({"identifier": [{"type": MRN, "value": "x"}]}, "Patient.identifier"),
        ({"identifier": [{"system": SSN, "value": "x"}]}, "Patient.identifier"),
        ({"gender": "female"}, "Patient.gender"),
        *(
            ({element: [{}]}, f"Patient.{element}")
            for element in (
                "address", "birthDate", "_birthDate", "communication", "contact", "contained",
                "deceasedDateTime", "extension", "generalPractitioner", "link", "maritalStatus",
                "photo", "telecom", "text",
            )
        ),
    ],
)  # fmt: skip
def test_of_a_patient_a_pseudonym_alone_tells_nothing(patient: Any, told: str) -> None:
    assert telling({"resourceType": "Patient", **patient}) == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"subject": HERON, "code": {"text": "A bed"}}, ""),
        ({"subject": {**HERON, "type": "Patient"}}, ""),
        ({"subject": {**HERON, "display": "Elena Novak"}}, "subject"),
        ({"subject": {"identifier": {"system": SSN, "value": "x"}}}, "subject"),
        ({"note": [{"authorReference": {**HERON, "display": "Elena"}}]}, "note"),
        ({"requester": {"reference": "Practitioner/p", "display": "Dr Who"}}, ""),
        ({"contained": [{"resourceType": "Patient"}]}, "contained"),
        ({"text": {"status": "generated"}}, "text"),
        ({"insurance": [{"reference": "Coverage/c"}]}, "insurance"),
    ],
)
def test_of_a_request_its_codes_tell_nothing(said: Any, told: str) -> None:
    place = f"ServiceRequest.{told}" if told else ""
    assert telling({"resourceType": "ServiceRequest", **said}) == place


def test_who_is_referred_to_is_told_once_and_without_a_version() -> None:
    link = {"reference": "Patient/heron/_history/3"}
    task = {"resourceType": "Task", "for": link, "requester": HERON, "focus": {"reference": "X/1"}}
    assert persons(task) == ["Patient/heron"]
