"""What publishers' pairs (``test_facts``) showed that a message says, as the library has it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.translate import Library
from tests.mappings import said
from tests.mappings.said import PATIENT


def made(library: Library, event: str, type_: str, *segments: str) -> list[dict[str, Any]]:
    return said.made(said.message(library, event, *segments), type_)


def test_a_visit_number_is_one_whatever_its_sender_calls_it(library: Library) -> None:
    visit = "PV1|1|I|||||||||||||||||V1^^^CLINIC^XYZ"
    (encounter,) = made(library, "ADT^A01", "Encounter", PATIENT, visit)
    (number,) = encounter["identifier"]
    assert number["type"]["text"] == "visit number"
    assert number["type"]["coding"][0]["code"] == "VN"
    assert number["type"]["coding"][1]["display"] == "XYZ"


def test_a_place_is_part_of_its_site(library: Library) -> None:
    visit = "PV1|1|I|WARD^12^B^SITE&1.2.3&ISO"
    (place,) = made(library, "ADT^A01", "Location", PATIENT, visit)
    assert place["partOf"]["display"] == "SITE"
    assert place["partOf"]["identifier"]["value"] == "urn:oid:1.2.3"


def test_what_the_system_does_not_say_of_an_authority_stands_in_assigner(library: Library) -> None:
    person = "PID|1||77^^^CLINIC&1.2.3&ISO^MR~88^^^LAB&lab-7&L^PI||Doe^Jo"
    (patient,) = made(library, "ADT^A04", "Patient", person)
    by_oid, by_name = patient["identifier"]
    assert by_oid["system"] == "urn:oid:1.2.3"
    assert by_oid["assigner"] == {"display": "CLINIC"}
    assert by_name["assigner"]["identifier"]["value"] == "lab-7"


@pytest.mark.parametrize("sent", ["EN", "eng^English^ISO639", "ENGLISH"])
def test_a_language_is_one_of_bcp_47(library: Library, sent: str) -> None:
    (patient,) = made(library, "ADT^A04", "Patient", f"{PATIENT}|||||||{sent}")
    (spoken,) = patient["communication"]
    assert spoken["language"]["coding"][0]["system"] == "urn:ietf:bcp:47"
    assert spoken["language"]["coding"][0]["code"] == "en"


def test_the_author_of_a_note_is_named_in_full(library: Library) -> None:
    note = "NTE|1||fasting||12^Attend^Aaron^A^^Dr^MD"
    (order,) = made(library, "ORM^O01", "ServiceRequest", PATIENT, "ORC|NW|1", "OBR|1|1||A^B", note)
    (said,) = order["note"]
    assert said["authorReference"]["display"] == "Dr Aaron A Attend MD"
    assert said["authorReference"]["identifier"]["value"] == "12"


def test_an_orders_times_keep_their_end_count_and_units(library: Library) -> None:
    times = "TQ1|1|5^&lbs|||1^d|2^d|20260101|20260201|||||2^hr|7"
    (order,) = made(
        library, "OML^O21", "ServiceRequest", PATIENT, "ORC|NW|1", times, "OBR|1|1||A^B"
    )
    repeat = order["occurrenceTiming"]["repeat"]
    assert repeat["boundsPeriod"] == {"start": "2026-01-01", "end": "2026-02-01"}
    assert (repeat["duration"], repeat["durationUnit"]) == (2, "h")
    assert (repeat["count"], repeat["countMax"]) == (7, 7)
    assert order["quantityQuantity"]["unit"] == "lbs"


def test_an_interval_before_v25_is_a_code_of_the_dosage(library: Library) -> None:
    order = ("ORC|NW|1|||||5&ml^BID^S50^20260101^20260115", "RXO|1^Aspirin")
    (asked,) = made(library, "ORM^O01", "MedicationRequest", PATIENT, *order)
    (dosage,) = asked["dosageInstruction"]
    assert dosage["timing"]["code"]["coding"][0]["code"] == "BID"
    assert dosage["timing"]["repeat"]["boundsPeriod"]["end"] == "2026-01-15"
    assert (dosage["timing"]["repeat"]["duration"], dosage["timing"]["repeat"]["durationUnit"]) == (
        50,
        "s",
    )


@pytest.mark.parametrize(
    ("sent", "stated"),
    [
        ("<15", {"valueQuantity": {"comparator": "<", "value": 15, "unit": "mg/dL"}}),
        (">=7", {"valueQuantity": {"comparator": ">=", "value": 7, "unit": "mg/dL"}}),
        ("<1/2", {"valueString": "<1/2 mg/dL"}),
    ],
)
def test_a_number_with_a_comparator_keeps_its_unit(
    library: Library, sent: str, stated: dict[str, Any]
) -> None:
    result = ("OBR|1||F1|1^P^L", f"OBX|1|NM|2^G^L||{sent}|mg/dL|||||F")
    (observation,) = made(library, "ORU^R01", "Observation", PATIENT, *result)
    assert {name: observation[name] for name in observation if name.startswith("value")} == stated


def test_a_report_without_a_code_is_one_of_an_unknown_code(library: Library) -> None:
    (report,) = made(
        library, "ORU^R01", "DiagnosticReport", PATIENT, "OBR|1||F1", "OBX|1|ST|2^G||x"
    )
    assert report["code"]["coding"][0]["code"] == "unknown"


def test_a_document_order_keeps_its_notes(library: Library) -> None:
    order = ("ORC|NW|1", "OBR|1|1||A^B", "NTE|1||by phone", "TXA|1|CN||||20260101|||||D1||||||AU")
    (asked,) = made(library, "MDM^T02", "ServiceRequest", PATIENT, *order)
    assert asked["note"] == [{"text": "by phone"}]


def test_a_procedure_says_where_it_was_done(library: Library) -> None:
    done = "PR1|1||1^Biopsy^L||20260101||||||||||||||||||OT^201"
    (procedure,) = made(library, "ADT^A01", "Procedure", PATIENT, done)
    (place,) = made(library, "ADT^A01", "Location", PATIENT, done)
    assert procedure["location"] == {"reference": f"Location/{place['id']}"}
    assert place["name"] == "OT 201"


def test_a_guarantor_answers_for_a_time(library: Library) -> None:
    person = f"{PATIENT}||||||||||ACC1"
    answers = "GT1|1||Roe^Ann||||||||||20250101|20261231"
    (account,) = made(library, "ADT^A01", "Account", person, answers)
    (guarantor,) = account["guarantor"]
    assert guarantor["period"] == {"start": "2025-01-01", "end": "2026-12-31"}


def test_a_specimen_says_how_to_handle_it(library: Library) -> None:
    specimen = "SPM|1|P1^F1||BLD^Blood|||||||||||AMB^Ambient^HL70376"
    (found,) = made(library, "OML^O21", "Specimen", PATIENT, "ORC|NW|1", "OBR|1|1||A^B", specimen)
    (handling,) = found["collection"]["extension"]
    assert handling["valueCodeableConcept"]["coding"][0]["code"] == "AMB"
    assert [one["type"]["coding"][0]["code"] for one in found["identifier"]] == ["PGN", "FGN"]
