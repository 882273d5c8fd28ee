"""What a grant shows of a Patient."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.fhir.codes import SSN_HASH
from gateway.fhir.least import hidden
from gateway.model import Context, Stored
from gateway.protect.least import least, narrowed, shown

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"versionId": "1"},
    "extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"}],
    "identifier": [
        {"system": "urn:oid:1.2.3", "value": "MRN"},
        {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "900-00-0000"},
        {"type": {"coding": [{"code": "DL"}]}, "value": "licence"},
    ],
    "name": [{"family": "Everyman"}],
    "_birthDate": {"extension": [{"url": "http://example.org/time", "valueTime": "10:00:00"}]},
    "birthDate": "1961-06-15",
    "maritalStatus": {"text": "married"},
    "photo": [{"url": "http://example.org/face"}],
}


def stored(type: str = "Patient", owner: str = "clinic", deleted: bool = False) -> Stored:
    body = b"" if deleted else json.dumps(PATIENT).encode()
    return Stored(type, "p", 1, datetime(2026, 3, 1, tzinfo=UTC), owner, body, deleted)


def test_a_grant_shows_who_and_how_to_reach_them_and_no_number_of_the_states() -> None:
    part = least(PATIENT)
    assert part["identifier"] == [{"system": "urn:oid:1.2.3", "value": "MRN"}]
    assert set(part) == {
        "resourceType",
        "id",
        "meta",
        "identifier",
        "name",
        "birthDate",
        "_birthDate",
    }


def test_a_patient_with_national_numbers_alone_shows_no_identifier() -> None:
    assert "identifier" not in least({**PATIENT, "identifier": PATIENT["identifier"][1:]})


@pytest.mark.parametrize(
    "said",
    [
        {"system": "urn:oid:2.16.840.1.113883.4.1"},
        {"system": "URN:OID:2.16.840.1.113883.4.1"},
        {"system": "http://hl7.org/fhir/sid/us-mbi"},
        {"system": SSN_HASH},
        {"type": {"text": "SSN"}},
        {"type": {"text": "Social-Security number"}},
        {"type": {"coding": [{"code": "x", "display": "Driver's license"}]}},
        {"type": {"coding": [{"code": "SS"}]}},
    ],
)
def test_a_number_of_the_states_is_hidden_however_it_is_called(said: dict[str, object]) -> None:
    """Hidden from reading, and from searching by what comes from it."""
    numbers = [{**said, "value": "900-00-0000"}, {"type": {"text": "Record"}, "value": "MRN"}]
    patient = {"resourceType": "Patient", "identifier": numbers}
    assert least(patient)["identifier"] == numbers[1:]
    assert hidden(patient) == {"identifier": numbers[1:]}


@pytest.mark.parametrize("text", ["Taxi card", "Missing number", "Lessness"])
def test_another_number_is_shown(text: str) -> None:
    numbers = [{"type": {"text": text}, "value": "7"}]
    assert least({"resourceType": "Patient", "identifier": numbers})["identifier"] == numbers


@pytest.mark.parametrize("agency", ["clinic", "bank"])
def test_the_owner_sees_the_whole_to_the_byte(agency: str) -> None:
    whole = stored()
    seen = shown(Context(agency, "key"), whole)
    assert (seen == whole) == (agency == "clinic")
    assert (b"900-00-0000" in seen.body) == (agency == "clinic")


def test_an_admin_a_deletion_and_other_types_are_not_narrowed() -> None:
    admin = Context("hub", "key", admin=True)
    assert not narrowed(admin, stored())
    assert not narrowed(Context("bank", "key"), stored("Observation"))
    gone = stored(deleted=True)
    assert shown(Context("bank", "key"), gone) is gone
