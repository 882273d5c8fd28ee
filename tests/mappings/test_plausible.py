"""What senders plausibly say that no published sample says, and what must not be lost of it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.fhir.gates import check
from gateway.model import Translation
from gateway.translate import Library
from tests.mappings import said
from tests.mappings.said import PATIENT, made

PANEL = "OBR|1|P1|F1^LAB|24323-8^Panel^LN|||202601010800|||||||||||||||||F"


def message(library: Library, event: str, *segments: str) -> Translation:
    told = said.message(library, event, *segments)
    for entry in told.entries:
        check(entry.resource)
    return told


def only(library: Library, type_: str, event: str, *segments: str) -> dict[str, Any]:
    (one,) = made(message(library, event, PATIENT, *segments), type_)
    return one


@pytest.mark.parametrize("sent", ['""', "^^^", '""~""', '^""'])
def test_of_nothing_no_telephone_is_made(library: Library, sent: str) -> None:
    (patient,) = message(library, "ADT^A08", f"PID|1||77^^^C^MR{'|' * 10}{sent}").entries[1:]
    assert "telecom" not in patient.resource
    assert ("telecom" in patient.removes) == ('""' in sent)


@pytest.mark.parametrize(
    ("sent", "comparator", "value"),
    [("<0.5", "<", "0.5"), (">= 12.50", ">=", "12.50"), ("<.5", "<", "0.5"), ("> 7", ">", "7")],
)
def test_a_fraction_below_a_limit_is_a_quantity(
    library: Library, sent: str, comparator: str, value: str
) -> None:
    seen = only(library, "Observation", "ORU^R01", PANEL, f"OBX|1|NM|X||{sent}|mg")
    found = seen["valueQuantity"]
    assert (found["comparator"], str(found["value"]), found["unit"]) == (comparator, value, "mg")


def test_a_text_keeps_its_unit(library: Library) -> None:
    line = "OBX|1|ST|X||<2.8|umol/L^micromole per liter^UCUM"
    seen = only(library, "Observation", "ORU^R01", PANEL, line)
    (unit,) = (one["valueCodeableConcept"] for one in seen["extension"])
    assert seen["valueString"] == "<2.8"
    assert unit["coding"][0]["code"] == "umol/L"
    assert "extension" not in only(library, "Observation", "ORU^R01", PANEL, "OBX|1|NM|X||2|mg")


def test_a_titer_keeps_its_comparator_among_others(library: Library) -> None:
    seen = only(library, "Observation", "ORU^R01", PANEL, "OBX|1|SN|X||>=^1^:^64~^1^:^8")
    ratios = [each["valueRatio"]["numerator"] for each in seen["component"]]
    assert [each.get("comparator") for each in ratios] == [">=", None]


ASKED = ("MSA|AA|1", "QAK|1|OK|Z34", "QPD|Z34|1")


@pytest.mark.parametrize("event", ["RSP^K11", "VXR^V03"])
def test_a_registrys_history_is_vaccinations_and_what_is_due_is_none(
    library: Library, event: str
) -> None:
    given = ("ORC|RE||F1", "RXA|0|1|20251022||20^DTaP^CVX|1|||01|||||||||||CP")
    due = ("ORC|RE||0", "RXA|0|1|20251228||998^None^CVX|999", "OBX|1|NM|30973-2^Dose^LN||2||||||F")
    told = message(library, event, *ASKED, PATIENT, *given, *due)
    first, second = made(told, "Immunization")
    assert [first["status"], second["status"]] == ["completed", "not-done"]
    assert "protocolApplied" not in second


def test_candidates_are_nobody_yet(library: Library) -> None:
    told = message(library, "RSP^K11", *ASKED, PATIENT, "PID|2||88^^^C^MR||Roe^X")
    assert not made(told, "Patient")


@pytest.mark.parametrize(
    ("control", "asked", "prescribed"),
    [
        ("NW", "active", "active"),
        ("XO", "active", "active"),
        ("CA", "revoked", "cancelled"),
        ("DC", "revoked", "stopped"),
        ("HD", "on-hold", "on-hold"),
        ("RP", "revoked", "cancelled"),
        ("RO", "active", "active"),
    ],
)
def test_an_order_that_nobody_wants_any_more_is_not_active(
    library: Library, control: str, asked: str, prescribed: str
) -> None:
    order = f"ORC|{control}|1"
    assert only(library, "ServiceRequest", "ORM^O01", order, "OBR|1|1||A")["status"] == asked
    drug = ("RXO|1^Aspirin^L", "RXE||1^Aspirin^L|1")
    assert only(library, "MedicationRequest", "RDE^O11", order, *drug)["status"] == prescribed


def test_an_authority_is_no_group_number(library: Library) -> None:
    order = only(library, "ServiceRequest", "ORM^O01", "ORC|NW|1||G1^EHR", "OBR|1|1||A")
    assert (order["requisition"]["value"], len(order["identifier"])) == ("G1", 1)
    both = only(library, "ServiceRequest", "ORM^O01", "ORC|NW|1||G1&EHR^G2&LAB", "OBR|1|1||A")
    assert both["requisition"]["system"].endswith("/EHR")
    assert [each["value"] for each in both["identifier"]] == ["1", "G2"]


def test_a_specimens_numbers_keep_who_gave_them(library: Library) -> None:
    taken = "SPM|1|S1&EHR^S2&LAB&1.2.3&ISO||BLD"
    one, two = only(library, "Specimen", "ORU^R01", PANEL, taken)["identifier"]
    assert one["system"].endswith("/EHR")
    assert two["system"] == "urn:oid:1.2.3"


@pytest.mark.parametrize("event", ["ORU^R01", "ORM^O01", "ADT^A01", "MDM^T02", "VXU^V04"])
def test_lines_that_their_sender_does_not_number_are_all_kept(library: Library, event: str) -> None:
    lines = [f"OBX||TX|R^rep||{said}||||||F" for said in ("one", "two", "two", "three")]
    told = message(library, event, PATIENT, "ORC|RE|1", *lines)
    seen = made(told, "Observation")
    assert [each["valueString"] for each in seen] == ["one", "two", "three"]
    again = made(message(library, event, PATIENT, "ORC|RE|1", *lines), "Observation")
    assert [each["id"] for each in again] == [each["id"] for each in seen]
    mended = made(message(library, event, PATIENT, "ORC|RE|1", lines[0]), "Observation")
    assert mended[0]["id"] == seen[0]["id"]


def test_a_report_names_what_was_said_twice_once(library: Library) -> None:
    line = "OBX|1|ED|PDF^R||^a^pdf^Base64^{}"
    sent = [line.format(each) for each in ("AAAA", "AAAA", "BBBB")]
    told = message(library, "ORU^R01", PATIENT, PANEL, *sent)
    (report,) = made(told, "DiagnosticReport")
    assert [len(report["result"]), len(made(told, "DocumentReference"))] == [2, 2]


def test_what_was_seen_in_the_only_specimen_names_it(library: Library) -> None:
    result = (PANEL, "OBX|1|ST|A||v", "SPM|1|^S1||BLD")
    seen = only(library, "Observation", "ORU^R01", *result)
    (taken,) = made(message(library, "ORU^R01", PATIENT, *result), "Specimen")
    assert seen["specimen"] == {"reference": f"Specimen/{taken['id']}"}
    assert "specimen" not in only(library, "Observation", "ORU^R01", *result, "SPM|2|^S2||UR")


def test_an_answer_that_was_asked_for_with_the_order_is_no_result(library: Library) -> None:
    asked = "OBX|2|ST|B^q||yes||||||F" + "|" * 18 + "QST"
    told = message(library, "ORU^R01", PATIENT, PANEL, "OBX|1|ST|A||v", asked)
    result, answer = (f"Observation/{one['id']}" for one in made(told, "Observation"))
    (report,), (order,) = made(told, "DiagnosticReport"), made(told, "ServiceRequest")
    assert report["result"] == [{"reference": result}]
    assert order["supportingInfo"] == [{"reference": answer}]


def test_whoever_a_report_names_has_a_part_in_it(library: Library) -> None:
    parts = ("PRT|1|UC||TN|5^Tech", "PRT|2|UC||PRI|6^Reader", "PRT|3|UC||PO||||Lab^L")
    told = message(library, "ORU^R01", PATIENT, PANEL, *parts)
    (report,) = made(told, "DiagnosticReport")
    (lab,) = (one for one in made(told, "Organization") if one["name"] == "Lab")
    named = [each["reference"].partition("/")[0] for each in report["performer"]]
    assert named == ["PractitionerRole", "Organization"]
    assert report["performer"][1] == {"reference": f"Organization/{lab['id']}"}
    assert len(report["resultsInterpreter"]) == 1


BOOKING = "SCH|P1|F1||||ILL^Patient ill^L||||30|min|^^^202603011000^202603011030"


def test_all_whom_a_booking_names_attend_it(library: Library) -> None:
    told = message(library, "SIU^S12", BOOKING, PATIENT, "PID|2||88^^^C^MR||Roe^X")
    patients = [f"Patient/{one['id']}" for one in made(told, "Patient")]
    (booked,) = made(told, "Appointment")
    assert [each["actor"]["reference"] for each in booked["participant"]] == patients
    assert len(patients) == 2
    assert "cancelationReason" not in booked


def test_a_cancelled_booking_says_why(library: Library) -> None:
    booked = only(library, "Appointment", "SIU^S15", BOOKING)
    assert booked["cancelationReason"]["text"] == "Patient ill"


def test_an_image_that_is_pointed_to_says_what_it_is(library: Library) -> None:
    line = "OBX|1|RP|IMG^X-ray^L||https://pacs.example/1^PACS^IM^DICOM"
    pointed = only(library, "DocumentReference", "ORU^R01", PANEL, line)
    attachment = pointed["content"][0]["attachment"]
    assert (attachment["contentType"], attachment["title"]) == ("application/dicom", "X-ray")
