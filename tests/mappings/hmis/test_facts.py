"""What HMIS rows become, fact by fact, on the samples beside the maps."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.fhir.gates import check
from gateway.model import Agency
from gateway.rows import Made, lying, read
from tests.shipped import library

SAMPLES = Path(__file__).parents[3] / "mappings" / "hmis" / "samples"
AGENCY = Agency("sample", "Sample", timezone="America/Chicago")
OWN = "https://care-gateway.example/fhir/agency/sample/hmis/"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
SSN = "http://hl7.org/fhir/sid/us-ssn"


@cache
def rows(sample: str) -> list[Made]:
    """The rows of a sample, translated."""
    return list(read(library(), AGENCY, "hmis", list(lying(SAMPLES / sample))))


def made(sample: str, id_: str, type_: str, map_: str = "") -> list[dict[str, Any]]:
    """The resources of a type that the rows of that id made."""
    return [
        entry.resource
        for row in rows(sample)
        if row.id == id_
        for entry in row.entries
        if entry.resource["resourceType"] == type_ and (not map_ or row.file.startswith(map_))
    ]


def patient(sample: str, id_: str) -> dict[str, Any]:
    (found,) = made(sample, id_, "Patient")
    return found


def absent(element: dict[str, Any]) -> str:
    """Why a primitive or an element isn't there."""
    (reason,) = (each["valueCode"] for each in element["extension"] if each["url"] == ABSENT)
    return str(reason)


def number(resource: dict[str, Any]) -> dict[str, Any]:
    (found,) = (each for each in resource["identifier"] if each["system"] == SSN)
    return found


@pytest.mark.parametrize("sample", ["fy2024", "fy2026", "hashed", "hashed-otherwise"])
def test_every_resource_passes_both_gates(sample: str) -> None:
    for row in rows(sample):
        for entry in row.entries:
            check(entry.resource, models=True)


def test_a_full_name_is_a_name_and_a_code_name_is_none() -> None:
    full, coded = patient("fy2026", "1"), patient("fy2026", "2")
    assert full["name"] == [
        {"use": "official", "family": "Alder", "given": ["Ada", "M"], "suffix": ["Jr."]}
    ]
    assert [absent(each) for each in coded["name"]] == ["unknown"]
    assert "Star" not in str(coded["name"])


def test_what_is_not_known_is_absent_with_its_reason() -> None:
    third = patient("fy2026", "3")
    assert absent(third["name"][0]) == "asked-declined"
    assert absent(number(third)["_value"]) == "asked-unknown"
    assert absent(third["_birthDate"]) == "not-asked"
    assert "birthDate" not in third
    assert absent(patient("fy2026", "2")["_gender"]) == "not-asked"


def test_a_social_security_number_shows_four_digits_and_has_no_value() -> None:
    found = number(patient("fy2026", "1"))
    assert "value" not in found
    assert absent(found["_value"]) == "masked"
    assert "900001234" not in str(rows("fy2026")[0].entries) + str(patient("fy2026", "1"))
    assert "xxx-xx-1234" in str(found)


def test_a_hashed_export_is_never_taken_for_a_plain_one() -> None:
    hashed = patient("hashed", "1")
    assert [absent(each) for each in hashed["name"]] == ["masked"]
    systems = {each["system"] for each in hashed["identifier"]}
    assert SSN not in systems
    (value,) = (e["value"] for e in hashed["identifier"] if e["system"].endswith("hmis-ssn-hash"))
    assert len(value) == 64
    assert "6789" not in value[:4]


def test_a_status_that_is_said_of_plain_and_hashed_alike_is_told_by_the_values() -> None:
    plain, hashed = patient("hashed-otherwise", "1"), patient("hashed-otherwise", "2")
    assert plain["name"][0]["family"] == "Gorse"
    assert "xxx-xx-8888" in str(number(plain))
    assert [absent(each) for each in hashed["name"]] == ["masked"]
    assert SSN not in {each["system"] for each in hashed["identifier"]}


def test_sex_and_gender_of_both_years() -> None:
    told = {id_: patient("fy2026", id_).get("gender") for id_ in ("1", "2", "3")}
    assert told == {"1": "female", "2": None, "3": "male"}
    told = {id_: patient("fy2024", id_).get("gender") for id_ in ("1", "2", "3")}
    assert told == {"1": "female", "2": None, "3": "other"}


def test_a_stay_has_its_project_its_end_and_its_household() -> None:
    (stay,) = made("fy2026", "11", "EpisodeOfCare")
    assert stay["status"] == "finished"
    assert stay["period"] == {"start": "2025-02-03", "end": "2025-06-01"}
    (group,) = made("fy2026", "11", "Group")
    people = {f"Patient/{patient('fy2026', id_)['id']}" for id_ in ("1", "3")}
    assert {each["entity"]["reference"] for each in group["member"]} == people
    assert not made("fy2026", "12", "Group")


def test_where_one_lived_is_homelessness_where_it_is() -> None:
    (condition,) = made("fy2026", "11", "Condition")
    assert condition["code"]["coding"][0]["code"] == "Z59.02"
    assert not made("fy2026", "13", "Condition")


@pytest.mark.parametrize(
    ("id_", "status"),
    [("v1", "completed"), ("v2", "requested"), ("v3", "rejected"), ("v4", "completed")],
)
def test_an_event_is_a_referral_with_its_result(id_: str, status: str) -> None:
    ((task,), (request,)) = made("fy2026", id_, "Task"), made("fy2026", id_, "ServiceRequest")
    assert task["status"] == status
    assert task["focus"] == {"reference": f"ServiceRequest/{request['id']}"}
    assert ("statusReason" in task) == (status == "rejected")


def test_who_was_asked_owns_the_referral() -> None:
    (task,), (organization,) = made("fy2026", "v1", "Task"), made("fy2026", "O1", "Organization")
    assert task["owner"]["reference"] == f"Organization/{organization['id']}"


@pytest.mark.parametrize(
    ("id_", "type_", "label"),
    [
        ("d1", "Observation", "SDV"),
        ("i1", "Condition", "HIV"),
        ("i1", "Observation", "HIV"),
        ("i2", "Condition", "SUD"),
        ("i4", "Condition", "MH"),
    ],
)
def test_what_is_sensitive_is_labelled(id_: str, type_: str, label: str) -> None:
    found = [
        [each["code"] for each in one.get("meta", {}).get("security", [])]
        for one in made("fy2026", id_, type_)
    ]
    assert [label] in found
    assert made("fy2026", "i3", "Condition")[0].get("meta") is None


def test_a_disability_that_is_not_is_refuted_and_one_not_told_has_its_reason() -> None:
    (refuted,), (untold,) = made("fy2026", "i3", "Condition"), made("fy2026", "i4", "Condition")
    assert refuted["verificationStatus"]["coding"][0]["code"] == "refuted"
    assert absent(untold["verificationStatus"]) == "asked-unknown"


def test_services_are_nights_procedures_and_referrals() -> None:
    assert made("fy2026", "n1", "Encounter")[0]["status"] == "finished"
    assert made("fy2026", "n2", "Task")[0]["status"] == "completed"
    (paid,) = made("fy2026", "n3", "Procedure")
    assert paid["performedPeriod"] == {"start": "2025-02-01", "end": "2025-02-28"}
    assert "1250.50" in str(paid["extension"])


def test_the_clients_of_victim_service_providers_and_comparable_databases_are_refused() -> None:
    refused = {row.id for row in rows("fy2026") if row.issue is not None}
    assert refused == {"4", "5", "14", "15", "16", "x14", "v5"}
    assert patient("fy2026", "6")
    places = [each for each in made("fy2026", "C2", "Location") if "address" in each]
    assert not places
