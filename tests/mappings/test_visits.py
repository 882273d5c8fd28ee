"""ADT beyond admission, merges, appointments and documents by the standard library."""

from __future__ import annotations

import pytest

from gateway.parse.er7 import parse
from gateway.translate import Library, merge, translate
from tests.mappings.said import AGENCY, PATIENT, entry, made, message

NUMBER = "V1^^^CLINIC"
BOOKING = "SCH|P1^EHR|F1^EHR|||||||30|min|^^^20260310093000^20260310100000"


def visit(
    class_: str = "I", place: str = "", left: str = "", begin: str = "", end: str = ""
) -> str:
    fields = {2: class_, 3: place, 6: left, 19: NUMBER, 44: begin, 45: end}
    return "PV1|" + "|".join(fields.get(number, "") for number in range(1, 46))


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("A01", "in-progress"),
        ("A02", "in-progress"),
        ("A03", "finished"),
        ("A04", "in-progress"),
        ("A05", "planned"),
        ("A06", "in-progress"),
        ("A07", "in-progress"),
        ("A11", "cancelled"),
        ("A13", "in-progress"),
        ("A23", "entered-in-error"),
        ("A38", "cancelled"),
    ],
)
def test_the_event_says_how_the_visit_stands(library: Library, event: str, status: str) -> None:
    (encounter,) = made(message(library, f"ADT^{event}", PATIENT, visit()), "Encounter")
    assert encounter["status"] == status


def test_a_transfer_tells_where_the_patient_is_and_was(library: Library) -> None:
    moved = message(library, "ADT^A02", PATIENT, visit(place="W2^1", left="W1^7"))
    names = {f"Location/{one['id']}": one["name"] for one in made(moved, "Location")}
    (encounter,) = made(moved, "Encounter")
    told = [(names[p["location"]["reference"]], p["status"]) for p in encounter["location"]]
    assert told == [("W2 1", "active"), ("W1 7", "completed")]


def test_a_discharge_without_its_time_ends_when_it_occurred(library: Library) -> None:
    event = "EVN|A03|20260103||||20260102090000"
    (encounter,) = made(message(library, "ADT^A03", event, PATIENT, visit()), "Encounter")
    assert encounter["period"]["end"] == "2026-01-02T09:00:00-06:00"


def test_a_cancelled_discharge_reopens_the_visit(library: Library) -> None:
    begin, end = "20260101080000", "20260102090000"
    left = entry(message(library, "ADT^A03", PATIENT, visit(begin=begin, end=end)), "Encounter")
    back = entry(message(library, "ADT^A13", PATIENT, visit(begin=begin, end=end)), "Encounter")
    held = merge(left.resource, back)
    assert held["status"] == "in-progress"
    assert held["period"] == {"start": "2026-01-01T08:00:00-06:00"}


def test_a_change_of_class_names_the_account_that_was(library: Library) -> None:
    changed = message(library, "ADT^A06", PATIENT, "MRG|77^^^CLINIC||ACC9^^^CLINIC", visit())
    assert [one["status"] for one in made(changed, "Account")] == ["unknown"]


@pytest.mark.parametrize("event", ["A34", "A40"])
def test_a_merge_links_survivor_and_retired_both_ways(library: Library, event: str) -> None:
    merged = message(library, f"ADT^{event}", PATIENT, "MRG|90^^^CLINIC^MR")
    survivor, retired = made(merged, "Patient")
    assert survivor["link"] == [
        {"other": {"reference": f"Patient/{retired['id']}"}, "type": "replaces"}
    ]
    assert retired["link"] == [
        {"other": {"reference": f"Patient/{survivor['id']}"}, "type": "replaced-by"}
    ]
    assert retired["active"] is False
    assert "active" not in survivor


def test_the_retired_patient_is_the_one_that_was_known_and_keeps_its_numbers(
    library: Library,
) -> None:
    known = PATIENT.replace("77^^^CLINIC^MR", "90^^^CLINIC^MR~5^^^OTHER^PI")
    (held,) = made(message(library, "ADT^A04", known), "Patient")
    merged = message(library, "ADT^A40", PATIENT, "MRG|90^^^CLINIC")
    retired = next(one for one in merged.entries if one.resource.get("active") is False)
    assert retired.resource["id"] == held["id"]
    assert merge(held, retired)["identifier"] == held["identifier"]


def test_a_message_may_merge_several(library: Library) -> None:
    other = PATIENT.replace("77^", "78^")
    merged = message(library, "ADT^A40", PATIENT, "MRG|90^^^CLINIC^MR", other, "MRG|91^^^CLINIC^MR")
    assert len(made(merged, "Patient")) == 4


def test_two_records_of_one_person_stay_apart_and_see_each_other(library: Library) -> None:
    other = "PID|2||88^^^CLINIC^MR||Roe^Jo||1980|F"
    one, two = made(message(library, "ADT^A24", PATIENT, other), "Patient")
    assert one["link"] == [{"other": {"reference": f"Patient/{two['id']}"}, "type": "seealso"}]
    assert two["link"] == [{"other": {"reference": f"Patient/{one['id']}"}, "type": "seealso"}]
    assert (two["name"], two["birthDate"]) == ([{"family": "Roe", "given": ["Jo"]}], "1980")
    apart = message(library, "ADT^A37", PATIENT, other)
    assert [each.removes for each in apart.entries] == [frozenset({"link"})] * 2


def test_a_bed_is_where_a_visit_is(library: Library) -> None:
    (place,) = made(message(library, "ADT^A01", PATIENT, visit(place="W1^7^A^HOSP")), "Location")
    told = message(library, "ADT^A20", "NPU|W1^7^A^HOSP|K", "NPU|W1^7^B^HOSP|X")
    one, two = made(told, "Location")
    assert one["id"] == place["id"]
    assert [each["operationalStatus"].get("code") for each in (one, two)] == ["K", None]


def test_a_late_update_does_not_make_the_retired_active(library: Library) -> None:
    (late,) = made(message(library, "ADT^A08", PATIENT), "Patient")
    assert "active" not in late
    assert "link" not in late


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("S12", "booked"),
        ("S13", "booked"),
        ("S14", "booked"),
        ("S15", "cancelled"),
        ("S16", "cancelled"),
        ("S17", "entered-in-error"),
        ("S26", "noshow"),
    ],
)
def test_the_event_says_how_the_appointment_stands(
    library: Library, event: str, status: str
) -> None:
    (one,) = made(message(library, f"SIU^{event}", BOOKING, PATIENT), "Appointment")
    (first,) = made(message(library, "SIU^S12", BOOKING, PATIENT), "Appointment")
    assert one["status"] == status
    assert one["id"] == first["id"]


def test_the_filler_may_say_how_a_booked_appointment_stands(library: Library) -> None:
    booking = BOOKING + "|" * 14 + "Waitlist"
    (one,) = made(message(library, "SIU^S12", booking, PATIENT), "Appointment")
    assert one["status"] == "waitlist"


def test_everybody_and_everything_of_an_appointment_takes_part(library: Library) -> None:
    segments = ("AIG|1|A|X1^Scale", "AIL|1|A|C^3", "AIP|1|A|8^Lee", "AIP|2|A|9^Kim")
    booked = message(library, "SIU^S12", BOOKING, PATIENT, "RGS|1", *segments)
    (one,) = made(booked, "Appointment")
    actors = [who["actor"]["reference"].partition("/")[0] for who in one["participant"]]
    assert actors == ["Patient", "Device", "Location", "Practitioner", "Practitioner"]
    assert len({who["actor"]["reference"] for who in one["participant"]}) == 5


def test_a_booking_does_not_move_a_visit_that_has_begun(library: Library) -> None:
    begun = message(library, "ADT^A01", PATIENT, visit(begin="20260101080000"))
    booked = message(library, "SIU^S14", BOOKING, PATIENT, visit())
    (held,) = made(begun, "Encounter")
    (planned,) = made(booked, "Encounter")
    assert planned["status"] == "planned"
    assert merge(held, entry(booked, "Encounter"))["status"] == "in-progress"


def test_an_order_is_made_of_a_service_only_where_one_is_named(library: Library) -> None:
    service = "AIS|1|A|11429006^Consultation^SCT"
    plain = message(library, "SIU^S12", BOOKING, PATIENT, service)
    ordered = message(library, "SIU^S12", BOOKING + "|" * 15 + "O1^EHR", PATIENT, service)
    assert made(plain, "ServiceRequest") == []
    (order,) = made(ordered, "ServiceRequest")
    (one,) = made(ordered, "Appointment")
    assert one["basedOn"] == [{"reference": f"ServiceRequest/{order['id']}"}]


TXA = "TXA|1|DS^Summary^HL70270|TX|||||||||D1^EHR|D0^EHR||||LA"


def test_a_document_has_what_is_embedded_and_who_it_is(library: Library) -> None:
    embedded = "OBX|1|ED|18842-5^Summary^LN||^application^PDF^Base64^JVBERg=="
    (one,) = made(message(library, "MDM^T02", PATIENT, TXA, embedded), "DocumentReference")
    assert one["masterIdentifier"]["value"] == "D1"
    assert one["docStatus"] == "final"
    assert [part["attachment"].get("data") for part in one["content"]] == [None, "JVBERg=="]


@pytest.mark.parametrize(
    ("event", "code"), [("T01", None), ("T05", "appends"), ("T06", "appends"), ("T09", "replaces")]
)
def test_an_addendum_appends_and_a_replacement_replaces(
    library: Library, event: str, code: str | None
) -> None:
    (one,) = made(message(library, f"MDM^{event}", PATIENT, TXA), "DocumentReference")
    assert [to["code"] for to in one.get("relatesTo", [])] == ([code] if code else [])


def test_a_cancelled_document_was_an_error(library: Library) -> None:
    (one,) = made(message(library, "MDM^T11", PATIENT, TXA), "DocumentReference")
    (first,) = made(message(library, "MDM^T02", PATIENT, TXA), "DocumentReference")
    assert (one["status"], one["id"]) == ("entered-in-error", first["id"])


def test_a_cancelled_discharge_ends_no_stay_even_where_it_does_not_say_when_that_began(
    library: Library,
) -> None:
    ended = entry(
        message(library, "ADT^A03", PATIENT, visit(begin="20260101", end="20260103")), "Encounter"
    )
    back = entry(message(library, "ADT^A13", PATIENT, visit()), "Encounter")
    assert back.removes >= {"period"}
    assert "period" not in merge(ended.resource, back)
    told = entry(message(library, "ADT^A13", PATIENT, visit(begin="20260101")), "Encounter")
    assert merge(ended.resource, told)["period"] == {"start": "2026-01-01"}


def test_who_recorded_an_event_and_why_is_a_provenance(library: Library) -> None:
    said = "EVN|A01|20260101101500-0600||01|77^Clark^Ada|20260101100000-0600"
    (told,) = made(message(library, "ADT^A01", said, PATIENT, visit()), "Provenance")
    assert told["recorded"] == "2026-01-01T10:15:00-06:00"
    assert told["occurredDateTime"] == "2026-01-01T10:00:00-06:00"
    assert told["agent"][0]["who"]["reference"].startswith("Practitioner/")
    assert not made(message(library, "ADT^A01", "EVN|A01|20260101", PATIENT), "Provenance")


def test_a_provenance_without_a_moment_is_left_out_and_stops_nothing(library: Library) -> None:
    header = r"MSH|^~\&|EHR|CLINIC|HUB|COUNTY|20260101||ADT^A01|M1|P|2.5.1"
    told = "\r".join((header, "EVN|A01|20260101||01", PATIENT))
    result = translate(library, AGENCY, parse(told.encode()))
    assert not made(result, "Provenance")
    assert made(result, "Patient")
    assert [one.place for one in result.warnings if "Provenance" in one.text] == ["EVN-2"]
