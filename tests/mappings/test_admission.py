"""ADT and ORU by the standard library: visits, deletions, results without loss."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model import Translation
from gateway.translate import Library, merge
from tests.mappings.said import PATIENT, made, message


@pytest.mark.parametrize("event", ["A01", "A04", "A08", "A28", "A31"])
def test_the_same_person_is_the_same_patient_whatever_the_event(
    library: Library, event: str
) -> None:
    (one,) = made(message(library, f"ADT^{event}", PATIENT), "Patient")
    (other,) = made(message(library, "ORU^R01", PATIENT), "Patient")
    assert one["id"] == other["id"]


def test_the_order_of_identifiers_does_not_matter(library: Library) -> None:
    number = "12^^^OTHER^PI"
    turned = PATIENT.replace("77^^^CLINIC^MR", f"{number}~77^^^CLINIC^MR")
    both = PATIENT.replace("77^^^CLINIC^MR", f"77^^^CLINIC^MR~{number}")
    ids = {made(message(library, "ADT^A08", pid), "Patient")[0]["id"] for pid in (turned, both)}
    assert len(ids) == 1


def test_a_person_update_without_a_visit_makes_no_encounter(library: Library) -> None:
    assert not made(message(library, "ADT^A31", PATIENT, "PV1|1|N"), "Encounter")


def test_a_discharge_time_finishes_the_visit(library: Library) -> None:
    visit = "PV1|1|I|||||||||||||||||V1^^^CLINIC" + "|" * 25 + "20260101080000|20260102090000"
    (encounter,) = made(message(library, "ADT^A08", PATIENT, visit), "Encounter")
    assert encounter["status"] == "finished"
    assert encounter["period"]["end"] == "2026-01-02T09:00:00-06:00"


def test_two_quotes_take_an_element_away_and_an_empty_field_does_not(library: Library) -> None:
    married = message(library, "ADT^A08", f"{PATIENT}||||||||M")
    silent = message(library, "ADT^A08", PATIENT)
    deleted = message(library, "ADT^A08", f'{PATIENT}||||||||""')
    (held,) = made(married, "Patient")
    assert "maritalStatus" in held
    assert "maritalStatus" in merge(held, _patient(silent))
    assert "maritalStatus" not in merge(held, _patient(deleted))


def test_a_value_that_is_no_number_is_kept_as_text(library: Library) -> None:
    (one,) = _observations(library, "OBX|1|NM|2345-7^Glucose^LN||see note|mg/dL^^UCUM")
    assert one["valueString"] == "see note"


def test_a_comparator_goes_with_its_number(library: Library) -> None:
    (one,) = _observations(library, "OBX|1|SN|2345-7^Glucose^LN||>^600|mg/dL^^UCUM")
    assert one["valueQuantity"]["comparator"] == ">"
    assert str(one["valueQuantity"]["value"]) == "600"


def test_several_codes_in_one_observation_become_components(library: Library) -> None:
    (one,) = _observations(library, "OBX|1|CWE|75325-1^Symptom^LN||1^Fever^L~2^Cough^L")
    assert [c["valueCodeableConcept"]["text"] for c in one["component"]] == ["Fever", "Cough"]


def test_observations_of_one_code_without_sub_ids_are_all_kept(library: Library) -> None:
    lines = [f"OBX|{n}|TX|8251-1^Comment^LN||line {n}" for n in (1, 2, 3)]
    texts = [one["valueString"] for one in _observations(library, *lines)]
    assert texts == ["line 1", "line 2", "line 3"]


def test_an_embedded_document_is_a_document(library: Library) -> None:
    embedded = "OBX|1|ED|18842-5^Discharge summary^LN||^application^PDF^Base64^JVBERg=="
    report = message(library, "ORU^R01", PATIENT, "OBR|1||F1|18842-5^Summary^LN", embedded)
    (document,) = made(report, "DocumentReference")
    attachment = document["content"][0]["attachment"]
    assert (attachment["contentType"], attachment["data"]) == ("application/pdf", "JVBERg==")


def _patient(translation: Translation) -> Any:
    return next(one for one in translation.entries if one.resource["resourceType"] == "Patient")


def _observations(library: Library, *lines: str) -> list[dict[str, Any]]:
    panel = "OBR|1||F1^LAB|24323-8^Panel^LN|||202601010800|||||||||||||||||F"
    return made(message(library, "ORU^R01", PATIENT, panel, *lines), "Observation")
