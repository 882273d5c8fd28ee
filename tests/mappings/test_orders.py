"""Orders, prescriptions, vaccinations and 360X referrals by the standard library."""

from __future__ import annotations

import pytest

from gateway.model import Translation
from gateway.translate import Library, merge
from tests.mappings import said
from tests.mappings.said import PATIENT, entry, made

REFERS = "OBR|1|||57133-1^Referral note^LN"


def message(library: Library, event: str, *segments: str, profile: str = "") -> Translation:
    return said.message(library, event, *segments, to="County Food Bank", profile=profile)


@pytest.mark.parametrize("event", ["ORM^O01", "OMG^O19", "OML^O21"])
def test_a_result_meets_its_order(library: Library, event: str) -> None:
    order = message(library, event, PATIENT, "ORC|NW|O1^EHR", "OBR|1|O1^EHR||4548-4^A1c^LN")
    result = message(
        library, "ORU^R01", PATIENT, "ORC|RE|O1^EHR|F1^LAB", "OBR|1|O1^EHR|F1^LAB|4548-4^A1c^LN"
    )
    (asked,), (report,) = made(order, "ServiceRequest"), made(result, "DiagnosticReport")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{asked['id']}"}]


def test_a_timing_between_an_order_and_its_request_parts_neither(library: Library) -> None:
    timing = "TQ1|1||BID||||20260105|20260112"
    order = message(library, "OML^O21", PATIENT, "ORC|NW|O1", timing, "OBR|1|O1||4548-4^A1c^LN")
    (asked,) = made(order, "ServiceRequest")
    bounds = asked["occurrenceTiming"]["repeat"]["boundsPeriod"]
    assert bounds == {"start": "2026-01-05", "end": "2026-01-12"}
    assert asked["code"]["text"] == "A1c"


def test_360x_is_a_referral_known_by_the_orders_number(library: Library) -> None:
    omg = message(library, "OMG^O19", PATIENT, "ORC|NW|R-1^EHR", REFERS, profile="360X")
    ref = message(library, "REF^I12", "RF1|P|||||R-1^EHR", PATIENT)
    assert entry(omg, "Task").resource["id"] == entry(ref, "Task").resource["id"]
    asked, task = entry(omg, "ServiceRequest").resource, entry(omg, "Task").resource
    assert task["focus"] == {"reference": f"ServiceRequest/{asked['id']}"}
    assert (task["status"], asked["status"], asked["intent"]) == ("requested", "active", "order")
    asks = {f"Organization/{one['id']}": one["name"] for one in made(omg, "Organization")}
    assert [asks[one["reference"]] for one in asked["performer"]] == ["County Food Bank"]


def test_360x_taken_back_cancels_the_referral_for_its_reason(library: Library) -> None:
    asked = message(library, "OMG^O19", PATIENT, "ORC|NW|R-1^EHR", REFERS, profile="360X")
    reason = "ORC|CA|R-1^EHR" + "|" * 14 + "^Found help"
    back = message(library, "OMG^O19", PATIENT, reason, REFERS, profile="360X")
    task = merge(entry(asked, "Task").resource, entry(back, "Task"))
    assert (task["status"], task["statusReason"]) == ("cancelled", {"text": "Found help"})


def test_an_order_without_360x_asks_for_no_task(library: Library) -> None:
    order = message(library, "OMG^O19", PATIENT, "ORC|NW|O1", "OBR|1|O1||24627-2^CT^LN")
    assert not made(order, "Task")


def test_what_the_pharmacy_encodes_is_the_same_prescription(library: Library) -> None:
    asked = message(library, "OMP^O09", PATIENT, "ORC|NW|P1^EHR", "RXO|860975^metformin^RXN|500")
    coded = message(library, "RDE^O11", PATIENT, "ORC|NW|P1^EHR", "RXE||860975^metformin^RXN|500")
    (one,), (other,) = made(asked, "MedicationRequest"), made(coded, "MedicationRequest")
    assert one["id"] == other["id"]
    assert (one["intent"], other["intent"]) == ("original-order", "order")


@pytest.mark.parametrize(
    ("completion", "action", "status"),
    [
        ("CP", "A", "completed"),
        ("RE", "A", "not-done"),
        ("", "", "completed"),
        ("CP", "D", "entered-in-error"),
    ],
)
def test_a_vaccination_is_as_it_was_completed(
    library: Library, completion: str, action: str, status: str
) -> None:
    given = f"RXA|0|1|20260101||140^Flu^CVX|999|||00^New^NIP001|||||||||||{completion}|{action}"
    (vaccination,) = made(
        message(library, "VXU^V04", PATIENT, "ORC|RE||V1^EHR", given), "Immunization"
    )
    assert vaccination["status"] == status
    assert "doseQuantity" not in vaccination, "999 says that the amount isn't known"


def test_number_9999_tells_no_vaccination_from_another(library: Library) -> None:
    lines = [("ORC|RE||9999^CDC", f"RXA|0|1|2026010{n}||998^none^CVX|999") for n in (1, 2)]
    segments = [segment for pair in lines for segment in pair]
    assert len(made(message(library, "VXU^V04", PATIENT, *segments), "Immunization")) == 2


def test_several_numbers_in_one_observation_become_components(library: Library) -> None:
    values = "OBX|1|NM|8867-4^Heart rate^LN||60~120|/min"
    report = message(library, "ORU^R01", PATIENT, "OBR|1||F1|8867-4^Heart rate^LN", values)
    (one,) = made(report, "Observation")
    assert [int(part["valueQuantity"]["value"]) for part in one["component"]] == [60, 120]
    assert not any(name.startswith("value") for name in one)


def test_a_modification_changes_what_is_asked_and_no_status(library: Library) -> None:
    first = message(library, "REF^I12", "RF1|P|R||||R-1^EHR", PATIENT)
    second = message(library, "REF^I13", "RF1|P|S||||R-1^EHR", PATIENT)
    held = {**entry(first, "Task").resource, "status": "accepted"}
    task = merge(held, entry(second, "Task"))
    asked = merge(entry(first, "ServiceRequest").resource, entry(second, "ServiceRequest"))
    assert (task["status"], task["priority"], asked["priority"]) == ("accepted", "stat", "stat")
